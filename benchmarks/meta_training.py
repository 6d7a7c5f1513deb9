"""One meta-training episode: a Python loop over tasks with a functional module, and one batched pass."""

import time
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.report import BenchmarkRow, convolution_rate, peak_memory_mib, reset_peak_memory
from dass.config import Predictor
from dass.device import resolve_device
from dass.predictor.meta import MetaLearner
from dass.predictor.tasks import TaskTensors

TASKS = 8


@dataclass(frozen=True)
class Size:
    """What an episode's cost depends on.

    Attributes:
        name: the preset that has it.
        channels: of an embedding.
        side: of an embedding.
        code: length of the architecture code.
        query: students of each task.
    """

    name: str
    channels: int
    side: int
    code: int
    query: int


SIZES = (Size("demo", 128, 2, 65, 8), Size("small", 128, 4, 97, 24), Size("paper", 256, 8, 181, 50))


class PlainPredictor(nn.Module):
    """The predictor as one would write it first, with convolutions."""

    def __init__(self, size: Size, teacher_once: bool) -> None:
        super().__init__()
        self.student = encoder(size.channels)
        self.teacher = encoder(size.channels)
        self.code = nn.Linear(size.code, 64)
        self.head = nn.Sequential(nn.Linear(2 * size.channels + 64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.teacher_once = teacher_once

    def forward(self, teacher: Tensor, students: Tensor, codes: Tensor) -> Tensor:
        """Predictions [n]."""
        if self.teacher_once:
            encoded = self.teacher(teacher[None]).expand(len(students), -1)
        else:  # a batch of (teacher, student, code) triples
            encoded = self.teacher(teacher.repeat(len(students), 1, 1, 1))
        return self.head(torch.cat([self.student(students), encoded, self.code(codes)], 1))[:, 0]


def encoder(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels // 2, 3, stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class NaiveMetaLearner:
    """Meta-SGD, second order, task after task."""

    def __init__(self, tasks: list[TaskTensors], size: Size, teacher_once: bool, device: torch.device) -> None:
        self.tasks = [
            (t.teacher_embedding.to(device), t.teacher_code.to(device), t.teacher_accuracy / 100,
             t.student_embeddings.to(device), t.codes.to(device), (t.accuracies / 100).float().to(device))
            for t in tasks
        ]  # fmt: skip
        self.query = size.query
        self.model = PlainPredictor(size, teacher_once).to(device)
        self.weights: dict[str, Tensor] = dict(self.model.named_parameters())
        self.rates = {name: torch.full_like(w, 0.005).requires_grad_() for name, w in self.weights.items()}
        self.optimizer = torch.optim.Adam([*self.weights.values(), *self.rates.values()], lr=5e-4)

    def episode(self) -> float:
        """One outer step; gives the loss."""
        total = torch.zeros(())
        for teacher, teacher_code, teacher_accuracy, students, codes, accuracies in self.tasks:
            guess = functional_call(self.model, self.weights, (teacher, teacher[None], teacher_code[None]))
            loss = (guess - teacher_accuracy).square().mean()
            gradients = torch.autograd.grad(loss, list(self.weights.values()), create_graph=True)
            adapted = {
                name: w - self.rates[name] * g for (name, w), g in zip(self.weights.items(), gradients, strict=True)
            }
            pick = torch.randperm(len(codes))[: self.query]
            guesses = functional_call(self.model, adapted, (teacher, students[pick], codes[pick]))
            total = total + (guesses - accuracies[pick]).square().mean()
        self.optimizer.zero_grad()
        (total / len(self.tasks)).backward()
        self.optimizer.step()
        return total.item()


def run(quick: bool) -> list[BenchmarkRow]:
    """Times an episode at the presets' sizes, against the naive one that repeats the teacher and one that does not."""
    sizes = SIZES[:2] if quick else SIZES
    return [row for size in sizes for row in compare(size, episodes=8 if quick else 16)]


def compare(size: Size, episodes: int) -> list[BenchmarkRow]:
    device = resolve_device()
    tasks = [random_task(size, index) for index in range(TASKS + 1)]
    naive = {
        "teacher repeated": NaiveMetaLearner(tasks[:TASKS], size, False, device),
        "teacher encoded once": NaiveMetaLearner(tasks[:TASKS], size, True, device),
    }
    naive_times: dict[str, list[float]] = {name: [] for name in naive}
    our_times: list[float] = []
    began = time.perf_counter()

    def alternate(done: int, total: int) -> None:
        """Called after each of our episodes: takes the time, then does one naive episode of each kind."""
        nonlocal began
        if device.type == "cuda":
            torch.cuda.synchronize()
        our_times.append(time.perf_counter() - began)
        for name, learner in naive.items():
            began = time.perf_counter()
            learner.episode()  # reads the loss back, so it is finished
            naive_times[name].append(time.perf_counter() - began)
        began = time.perf_counter()

    learner = MetaLearner(settings_of(size, episodes))
    learner.fit(tasks[:TASKS], tasks[TASKS:], progress=alternate)
    # Ours alone, for its memory.
    naive.clear()
    reset_peak_memory()
    MetaLearner(settings_of(size, 2)).fit(tasks[:TASKS], tasks[TASKS:])

    ours = median(our_times[1:-1])  # the first holds the set-up, the last the look at the validation task
    floor = operations(size) / convolution_rate(device, learner.dtype_)
    precision = str(learner.dtype_).removeprefix("torch.")
    label = f"meta-training episode, {size.name} sizes, {TASKS} tasks x {size.query} students, {precision}"
    peak = peak_memory_mib()
    rows = []
    for name, times in naive_times.items():
        theirs = median(times[1:])
        figures = (theirs, ours, theirs / ours, floor / ours, peak)
        rows.append(BenchmarkRow(f"{label}; naive: {name}", *figures, rounds=len(our_times) - 2))
    return rows


def settings_of(size: Size, episodes: int) -> Predictor:
    """So many episodes with a look at the validation task at the end."""
    return Predictor(
        episodes=episodes, query=size.query, inner_steps=1, inner_rate=0.005, learning_rate=5e-4,
        validate_every=episodes,
    )  # fmt: skip


def operations(size: Size) -> float:
    """Floating-point operations that no arrangement avoids: the query through the student encoder and back."""
    first_side = (size.side + 1) // 2
    second_side = (first_side + 1) // 2
    product = 9 * size.channels * (size.channels // 2)
    # Forward and gradient by the weights of both convolutions, gradient by the input of the second only.
    return 2 * TASKS * size.query * product * (2 * first_side**2 + 3 * second_side**2)


def random_task(size: Size, seed: int) -> TaskTensors:
    generator = torch.Generator().manual_seed(seed)
    students = 4 * size.query
    shape = (size.channels, size.side, size.side)
    embeddings = torch.randn(students, *shape, generator=generator).relu().to(memory_format=torch.channels_last)
    return TaskTensors(
        f"random{seed}",
        torch.randn(shape, generator=generator).relu(),
        torch.rand(size.code, generator=generator).round(),
        50.0,
        embeddings,
        torch.rand(students, size.code, generator=generator).round(),
        50 + 5 * torch.randn(students, generator=generator).double(),
    )
