"""How the networks of a group take a step: one after the other, or on a GPU as recordings that run side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from dass.training.batches import Batch
from dass.training.member import Loss, Member

WARM_UP = 3  # steps before a recording, in which libraries choose their algorithms and take their memory


class Steps(Protocol):
    """Takes steps of a group's networks."""

    def take(self, members: Sequence[Member], batch: Batch, teacher_logits: Tensor | None, rate: float) -> None:
        """Lets each network take a step on the batch, and files its loss there."""
        ...

    def wait(self) -> None:
        """Makes later work on the device come after all steps taken."""
        ...


def steps_on(device: torch.device, loss: Loss, precision: str) -> Steps:
    """The steps that are fastest on a device.

    Args:
        device: device of the networks.
        loss: loss that each network minimises.
        precision: `float32` or `bfloat16`, of the convolutions.
    """
    return RecordedSteps(loss, precision, device) if device.type == "cuda" else PlainSteps(loss, precision)


class PlainSteps:
    """One network after the other, operation by operation."""

    def __init__(self, loss: Loss, precision: str) -> None:
        self._loss = loss
        self._precision = precision

    def take(self, members: Sequence[Member], batch: Batch, teacher_logits: Tensor | None, rate: float) -> None:
        """See `Steps.take`."""
        for member in members:
            member.keep(member.step(batch, teacher_logits, self._loss, rate, self._precision))

    def wait(self) -> None:
        """See `Steps.wait`: there is one order of work already."""


class RecordedSteps:
    """Each network's step as a CUDA graph, recorded once and replayed on a stream of its own.

    A step of a small network is many hundred short kernels. Launching them one by one from Python takes longer than
    they run, and those of one network do not fill a large GPU; recorded ones are launched together, and several
    networks' run at a time. The arithmetic is that of `PlainSteps`.

    All batches must have the same shape. A process can make one recording at a time, so one job at a time is all that
    a process may run on GPUs.
    """

    def __init__(self, loss: Loss, precision: str, device: torch.device) -> None:
        self._loss = loss
        self._precision = precision
        self._device = device
        self._feeding = torch.cuda.Stream(device)
        self._read: _Inputs | None = None
        self._recordings: dict[Member, _Recording] = {}

    def take(self, members: Sequence[Member], batch: Batch, teacher_logits: Tensor | None, rate: float) -> None:
        """See `Steps.take`."""
        inputs = _Inputs(batch, teacher_logits, torch.full((), rate, device=self._device))
        if self._read is None:
            self._read = inputs.clone()
        for member in members:
            if member not in self._recordings:
                self._recordings[member] = self._record(member, self._read)
        # Batches are made on the current stream, which waits for no network; only feeding one does.
        self._feeding.wait_stream(torch.cuda.current_stream(self._device))
        for recording in self._recordings.values():
            self._feeding.wait_stream(recording.stream)
        with torch.cuda.stream(self._feeding):
            self._read.fill(inputs, self._feeding)
        for member in members:
            recording = self._recordings[member]
            recording.stream.wait_stream(self._feeding)
            with torch.cuda.stream(recording.stream):
                recording.graph.replay()
                member.keep(recording.loss.clone())

    def wait(self) -> None:
        """See `Steps.wait`."""
        for recording in self._recordings.values():
            torch.cuda.current_stream(self._device).wait_stream(recording.stream)

    def _record(self, member: Member, inputs: "_Inputs") -> "_Recording":
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        step = partial(member.step, inputs.batch, inputs.teacher_logits, self._loss, inputs.rate, self._precision)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream), member.unchanged():
            for _ in range(WARM_UP):
                step()
            with torch.cuda.graph(graph, stream=stream):
                loss = step()
        return _Recording(graph, stream, loss)


@dataclass(frozen=True)
class _Recording:
    """A network's step.

    Attributes:
        graph: CUDA graph of the step.
        stream: CUDA stream of the replay.
        loss: scalar, overwritten by each replay.
    """

    graph: torch.cuda.CUDAGraph
    stream: torch.cuda.Stream
    loss: Tensor


@dataclass(frozen=True)
class _Inputs:
    """What a step reads; recordings read it from where it lay when they were made.

    Attributes:
        batch: images and labels of the batch.
        teacher_logits: teacher's outputs before softmax, [b, classes], or None.
        rate: scalar, the learning rate.
    """

    batch: Batch
    teacher_logits: Tensor | None
    rate: Tensor

    def tensors(self) -> list[Tensor]:
        logits = [] if self.teacher_logits is None else [self.teacher_logits]
        return [self.batch.images, self.batch.labels, self.rate, *logits]

    def clone(self) -> "_Inputs":
        logits = None if self.teacher_logits is None else self.teacher_logits.clone()
        return _Inputs(Batch(self.batch.images.clone(), self.batch.labels.clone()), logits, self.rate.clone())

    def fill(self, inputs: "_Inputs", stream: torch.cuda.Stream) -> None:
        """Copies `given` to where these lie, on a stream that is the current one."""
        for mine, theirs in zip(self.tensors(), inputs.tensors(), strict=True):
            mine.copy_(theirs)
            theirs.record_stream(stream)  # not to be used anew before
