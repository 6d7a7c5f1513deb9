"""What is measured of a student when it is filed, and how it is shown: as metrics, tags and Markdown."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from dass.datasets.task_data import TaskData
from dass.device import device_name
from dass.evaluation.answers import Answers, ClassResult
from dass.networks.elastic_resnet import ElasticResNet
from dass.search.latency import measure_latency
from dass.training.calibration import Calibration, calibration_error
from dass.training.evaluation import predict

BATCHES = (1, 32)
WORST = 8  # classes that the card shows: a description has 5,000 characters in some databases
AGREEMENT_IMAGES = 2_000  # test images at most: a large teacher answers for no more in a minute or so


@dataclass(frozen=True)
class Measures:
    """What a student reaches, and what it costs here.

    Attributes:
        accuracy: percent of the test images, of the filed weights in float32 on the CPU.
        interval: ends of its 95 % interval, in percent.
        test_images: number of test images.
        per_class: every class, the worst first.
        calibration: calibration of the probabilities.
        calibration_errors: expected calibration error on the test images before and after, in percentage points.
        megabytes: size of its weights' file, in megabytes.
        device: device that latency was measured on.
        latencies: milliseconds of one forward pass of a batch of 1 and of 32 images.
        teacher_latencies: latencies of the teacher; None where it was not given.
        agreement: percent of test images for which student and teacher say the same; None where it was not given.
    """

    accuracy: float
    interval: tuple[float, float]
    test_images: int
    per_class: tuple[ClassResult, ...]
    calibration: Calibration
    calibration_errors: tuple[float, float]
    megabytes: float
    device: str
    latencies: tuple[float, float]
    teacher_latencies: tuple[float, float] | None
    agreement: float | None

    @property
    def speed_ups(self) -> tuple[float, float] | None:
        """How many times as fast as the teacher the student is, for a batch of 1 and of 32 images."""
        if self.teacher_latencies is None:
            return None
        one, many = (theirs / ours for theirs, ours in zip(self.teacher_latencies, self.latencies, strict=True))
        return one, many

    def metrics(self) -> dict[str, float]:
        """Numbers by which models are sorted and filtered on MLflow's page."""
        values = {
            "test_accuracy": self.accuracy,
            "test_accuracy_low": self.interval[0],
            "test_accuracy_high": self.interval[1],
            "calibration_error": self.calibration_errors[1],
            "calibration_error_before": self.calibration_errors[0],
            "size_mb": self.megabytes,
        }
        values |= _by_batch("latency_ms", self.latencies)
        if self.teacher_latencies and self.speed_ups:
            values |= _by_batch("teacher_latency_ms", self.teacher_latencies) | _by_batch("speed_up", self.speed_ups)
        return values | ({} if self.agreement is None else {"teacher_agreement": self.agreement})

    def tags(self) -> dict[str, str]:
        """The same as tags of a version, and the temperature."""
        numbers = {name: f"{value:.4f}" for name, value in self.metrics().items()}
        return numbers | {"temperature": f"{self.calibration.temperature:.4f}", "latency_device": self.device}

    def rows(self) -> list[tuple[str, str]]:
        """Rows of the card's table."""
        before, after = self.calibration_errors
        rows = [
            ("95 % interval of the accuracy", f"{self.interval[0]:.2f} % to {self.interval[1]:.2f} %"),
            ("Expected calibration error", f"{after:.2f} points; {before:.2f} before calibration"),
            ("Size of the weights", f"{self.megabytes:.2f} MB (float32)"),
        ]
        if self.agreement is not None:
            rows.insert(1, ("Agreement with the teacher", f"{self.agreement:.2f} % of the test images"))
        for index, batch in enumerate(BATCHES):
            what = f"{self.latencies[index]:.2f} ms on `{self.device}`"
            if self.teacher_latencies and self.speed_ups:
                what += (
                    f"; the teacher {self.teacher_latencies[index]:.2f} ms: {self.speed_ups[index]:.1f} times as fast"
                )
            rows.append((f"Latency, batch {batch}", what))
        return rows

    def classes(self) -> str:
        """Markdown: the worst classes as a table."""
        shown = self.per_class[:WORST]
        head = f"The {len(shown)} worst of {len(self.per_class)} classes" if len(self.per_class) > WORST else "Classes"
        lines = [
            f"| {cell(each.name)} | {each.images} | {each.right:.1f} % "
            f"| {'-' if each.precision is None else f'{each.precision:.1f} %'} | {cell(each.confused) or '-'} |"
            for each in shown
        ]
        return "\n".join(
            [
                f"{head}, by test images:",
                "",
                "| class | images | right | precision | most often taken for |",
                "| --- | --- | --- | --- | --- |",
                *lines,
            ]
        )

    def calibrated(self) -> str:
        """One sentence on what the probabilities are worth."""
        fit = self.calibration
        if not fit.images:
            return "Its probabilities are not calibrated: there are too few training images to hold some out."
        what = "which it was distilled on, too" if fit.seen else "held out of its distillation"
        return (
            f"Its probabilities are calibrated by temperature {fit.temperature:.2f}, fitted on {fit.images} training "
            f"images {what}; none of them is a test image."
        )


def measure(
    network: ElasticResNet,
    answers: Answers,
    calibration: Calibration,
    *,
    data: TaskData,
    teacher: ElasticResNet | None,
    device: torch.device,
) -> Measures:
    """Measures a student.

    Args:
        network: network of the student, on the CPU.
        answers: calibrated answers of the student for the test images.
        calibration: calibration of the probabilities.
        data: images and labels of the student's task, on the CPU.
        teacher: for the comparison; is moved to `device`.
        device: device that latency is measured on.
    """

    def latencies(of: ElasticResNet) -> tuple[float, float]:
        one, many = (
            measure_latency(of.architecture, data.resolution, len(data.classes), device, batch=batch)
            for batch in BATCHES
        )
        return one, many

    return Measures(
        accuracy=100 * float(answers.correct.mean()),
        interval=answers.interval,
        test_images=len(answers.labels),
        per_class=answers.per_class(),
        calibration=calibration,
        calibration_errors=(
            calibration_error(_uncalibrated(answers, calibration), answers.labels),
            calibration_error(answers.probabilities, answers.labels),
        ),
        megabytes=len(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})) / 1e6,
        device=device_name(device),
        latencies=latencies(network),
        teacher_latencies=None if teacher is None else latencies(teacher),
        agreement=None if teacher is None else _agreement(answers, teacher, data, device),
    )


def _uncalibrated(answers: Answers, calibration: Calibration) -> NDArray[np.float64]:
    """The probabilities at temperature 1: a temperature is a power of them, but for a factor."""
    powers = answers.probabilities**calibration.temperature
    return powers / powers.sum(axis=1, keepdims=True)


def _agreement(answers: Answers, teacher: ElasticResNet, data: TaskData, device: torch.device) -> float:
    count = len(answers.labels)
    chosen = np.linspace(0, count - 1, min(count, AGREEMENT_IMAGES)).round().astype(np.int64)
    images = data.test_images[torch.from_numpy(chosen)].to(device)
    theirs = predict(teacher.to(device), images, "float32").argmax(1).cpu().numpy()
    return 100 * float((theirs == answers.predicted[chosen]).mean())


def _by_batch(name: str, values: tuple[float, float]) -> dict[str, float]:
    return {f"{name}_batch{batch}": value for batch, value in zip(BATCHES, values, strict=True)}


def cell(text: str) -> str:
    """A class name as a cell of a Markdown table."""
    short = text if len(text) <= 30 else f"{text[:29]}…"
    return short.replace("|", "\\|").replace("`", "'")
