"""Where a training run stands, on disk, so that a killed run goes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dass.errors import DassError
from dass.sealed import read_state, write_state


@dataclass(frozen=True)
class TrainingState:
    """A run at the end of an epoch.

    Attributes:
        epoch: number of epochs done, from 0.
        seconds: seconds of training so far, those before a stop included.
        members: state of each network, its weights, its optimizer's state and what was seen of it.
    """

    epoch: int
    seconds: float
    members: list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds a run's state while the run lasts.

    Attributes:
        path: path of the file.
        run: names everything that shapes the run; a file left by another run is not read but replaced.
    """

    path: Path
    run: str

    def save(self, state: TrainingState) -> None:
        """Writes the state, atomically.

        Raises:
            DassError: the disk is full or not writable; the state before is still there.
        """
        values = {"run": self.run, "epoch": state.epoch, "seconds": state.seconds, "members": state.members}
        write_state(self.path, values)

    def load(self) -> TrainingState | None:
        """Reads the state, tensors with their strides; None where this run has left none.

        Raises:
            DassError: the file is damaged.
        """
        if not self.path.exists():
            return None
        values = read_state(self.path, "training")
        try:
            if values["run"] != self.run:
                return None
            return TrainingState(values["epoch"], values["seconds"], values["members"])
        except (KeyError, TypeError) as error:
            raise DassError(f"{self.path} is not the state of a training: delete it to start anew") from error

    def remove(self) -> None:
        """Deletes the file, once the run's result is safe."""
        self.path.unlink(missing_ok=True)
