"""What each stage will take, extrapolated from a few timed steps on the device at hand."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

import torch

from dass.config import Evaluation, Target
from dass.datasets.catalogue import find_dataset
from dass.datasets.packed import CARD, open_packed
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.fidelity import FIDELITIES, ONE_BATCH, Fidelity
from dass.method_names import METHODS, REFERENCE, REMAPPED, multi_fidelity_method
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.embeddings import embed, fixed_noise
from dass.project import Project
from dass.proxies.one_batch import IMAGES
from dass.search.successive_halving import trained_fidelities
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.students.plan import target_jobs
from dass.training.evaluation import predict
from dass.training.loop import train
from dass.training.losses import label_loss
from dass.training.workers import usual_count

STEPS = 6  # timed, after as many to warm up
UNKNOWN_IMAGES = 6000  # assumed of a dataset that is not here yet
UNKNOWN_CLASSES = 50
PROCESS_MIB = 450  # a worker with torch loaded
SAMPLE = 128  # candidates embedded to measure scoring
MIB = 2**20


@dataclass(frozen=True)
class StageEstimate:
    """What one stage takes from scratch.

    Attributes:
        stage: name of the stage in dvc.yaml.
        work: amount of work, in words and numbers.
        hours: wall time in hours.
        disk_mib: size of its files under data/, in MiB.
        memory_mib: peak of the memory of all processes together, in MiB.
    """

    stage: str
    work: str
    hours: float
    disk_mib: float
    memory_mib: float


@dataclass(frozen=True)
class _Size:
    """Images and classes of one task; a guess where the dataset is not here.

    Attributes:
        scale: pixels of an image over those of an image at the working resolution.
    """

    train: int
    test: int
    classes: int
    scale: float = 1.0


def make_plan(project: Project, device: torch.device, workers: int | None = None) -> list[StageEstimate]:
    """Times a few steps and multiplies.

    Args:
        project: whose params.yaml says how much work there is.
        device: device that the pipeline would run on.
        workers: processes side by side; None for one per core, or one on a GPU.
    """
    params, space = project.params, SearchSpace.from_config(project.params.space)
    workers = workers or usual_count(device)
    source = _source_size(project)
    targets = [_target_size(project, target) for target in params.targets.values()]
    trained = [size for size, target in zip(targets, params.targets.values(), strict=True) if target.teacher is None]
    splits, resolution = len(params.source.splits), params.data.resolution
    image = _timed_image(project, space, device, source.classes)
    largest = cost(space.largest, resolution, source.classes)
    sample = [job.architecture for job in target_jobs(space, min(64, params.students.per_target), params.seed)]
    share = fmean(cost(architecture, resolution, source.classes).macs for architecture in sample) / largest.macs
    network_mib = 4 * largest.parameters / MIB
    data_mib = 3 * resolution**2 * (source.train + source.test) / MIB

    def teacher_seconds(size: _Size) -> float:
        recipe = params.teacher.for_images(size.train)
        return size.scale * (recipe.epochs * size.train * image.alone + 10 * size.test * image.forward)

    def student_seconds(size: _Size) -> float:
        recipe = params.distillation.for_images(size.train)
        tests = (recipe.evaluations + 1) * size.test * image.forward
        # Small networks use the hardware less well than large ones: their time falls more slowly than their work.
        return size.scale * (recipe.epochs * size.train * image.training + tests) * share**0.7

    side = min(workers, splits)
    memory = workers * (PROCESS_MIB + data_mib + 12 * network_mib)
    students = params.students
    counts = [
        students.per_target + (students.repeated if t.repeat else 0) for t in params.targets.values() if t.evaluate
    ]
    evaluated = [size for size, t in zip(targets, params.targets.values(), strict=True) if t.evaluate]
    distilled = sum(n * student_seconds(size) for n, size in zip(counts, evaluated, strict=True))
    embedding_mib = 4 * space.embedding_channels * space.embedding_side(resolution) ** 2 / MIB
    episode = 2.5e-5 * splits * params.predictor.query * space.embedding_channels  # on 2 cores: see benchmarks/
    searched, search_seconds = _search_work(project, image, share, workers)
    packed = [
        _size(project, name, side)
        for name in params.datasets
        for side in (resolution, *params.further_resolutions(name))
    ]
    raw_mib = sum(3 * size.scale * resolution**2 * (size.train + size.test) / MIB for size in packed)
    return [
        StageEstimate("dataset", f"{len(params.datasets)} datasets, imports not counted", 0, raw_mib, PROCESS_MIB),
        StageEstimate(
            "teachers", f"{splits} teachers", splits * teacher_seconds(source) / side / 3600,
            splits * network_mib, memory,
        ),
        StageEstimate(
            "students", f"{splits} x {students.per_source} students",
            splits * students.per_source * student_seconds(source) / workers / 3600, 1, memory,
        ),
        StageEstimate(
            "meta_train", f"{params.predictor.episodes} episodes",
            params.predictor.episodes * episode / 3600, 10,
            PROCESS_MIB + 12 * splits * students.per_source * embedding_mib,
        ),
        StageEstimate(
            "multi_fidelity", f"proxies of {splits * students.per_source} students",
            splits * students.per_source / workers / 3600
            * _proxy_seconds(project, image, share, params.search.steps), 1, memory,
        ),
        StageEstimate(
            "teacher", f"{len(trained)} teachers", sum(map(teacher_seconds, trained)) / 3600,
            len(targets) * network_mib, PROCESS_MIB + data_mib + 12 * network_mib,
        ),
        StageEstimate("target_students", f"{sum(counts)} students", distilled / workers / 3600, 1, memory),
        StageEstimate(
            "search", f"{len(targets)} x {searched}", len(targets) * search_seconds / 3600, 1,
            PROCESS_MIB + 600 + memory * (params.search.method == "multi_fidelity"),
        ),
        StageEstimate(
            "distil", f"{len(targets)} students", sum(map(student_seconds, targets)) / 3600,
            len(targets) * network_mib, PROCESS_MIB + data_mib,
        ),
        _ranking_estimate(
            project, evaluated, image, share, episode, sum(map(student_seconds, evaluated)) / workers,
            memory=PROCESS_MIB + data_mib + 12 * splits * students.per_source * embedding_mib,
        ),
    ]  # fmt: skip


def _proxy_seconds(project: Project, image: "_PerImage", share: float, steps: int) -> float:
    """Proxies of one student: one batch, and a training of so many steps."""
    return image.scoring + IMAGES * image.forward * share + _k_step_seconds(project, image, share, steps)


def _k_step_seconds(project: Project, image: "_PerImage", share: float, steps: int) -> float:
    return steps * project.params.distillation.batch_size * image.alone * share**0.7


def _search_work(project: Project, image: "_PerImage", share: float, workers: int) -> tuple[str, float]:
    """What a search does for one target, in numbers, and its seconds: workers share all that follows the scoring."""
    block = project.params.search
    scoring = block.candidates * image.scoring
    if block.method != "multi_fidelity":
        return f"{block.candidates} candidates", scoring
    one_batch = block.one_batch * IMAGES * image.forward * share
    learned = FIDELITIES[: Fidelity("steps", block.steps).level + 1]
    lengths = [fidelity.steps for fidelity in trained_fidelities(learned)]
    steps = sum(block.k_step // 2**halvings * length for halvings, length in enumerate(lengths))
    work = f"{block.candidates} candidates, {block.one_batch} on one batch, {block.k_step} trained for some steps"
    return work, scoring + (one_batch + _k_step_seconds(project, image, share, steps)) / workers


def _ranking_estimate(
    project: Project,
    targets: Sequence[_Size],
    image: "_PerImage",
    share: float,
    episode: float,
    one_pick: float,
    *,
    memory: float,
) -> StageEstimate:
    """Meta-training of every method that learns, scoring by every method, and distilling picks.

    Args:
        project: project whose params.yaml names the methods.
        targets: targets whose students are distilled for the comparison.
        image: times of the largest network.
        share: share of its work that a student does on average.
        episode: seconds.
        one_pick: seconds to distil one student of each target.
        memory: peak of the memory, in MiB.
    """
    block = project.params.evaluation
    learning = sum(len(_learned_seeds(block, name)) for name in block.methods)
    # The network passes of one score: zero-cost methods take a batch of 64 back and forth, remapped students look at
    # 512 images.
    per_score = {
        "meta": image.scoring,
        "multi_fidelity": image.scoring,
        "zero-cost": 64 * 2 * image.alone * share,
        "trivial": 0.0,
    }
    looks = dict.fromkeys(REMAPPED, 512 * image.forward * share)
    looks |= {
        multi_fidelity_method(one): _proxy_seconds(project, image, share, one.steps)
        for one in FIDELITIES
        if one.level >= ONE_BATCH.level
    }
    students = len(targets) * project.params.students.per_target
    candidates = len(targets) * project.params.search.candidates
    scoring = 0.0
    for name in block.methods:
        count = students * (block.seeds if METHODS[name].varies else 1) + candidates * (name in block.picks)
        scoring += count * looks.get(name, per_score.get(METHODS[name].group, 0.0))
    picks = len(block.picks) * block.pick_seeds
    return StageEstimate(
        "rank",
        f"{len(block.methods)} methods, {picks * len(targets)} picks",
        (learning * project.params.predictor.episodes * episode + scoring + picks * one_pick) / 3600,
        1,
        memory,
    )


def _learned_seeds(block: Evaluation, name: str) -> range:
    """Seeds under which a method must learn: all but the first of DaSS, which is the predictor."""
    if not METHODS[name].varies:
        return range(0)
    return range(1 if name == REFERENCE else 0, block.seeds)


def assumed_datasets(project: Project) -> list[str]:
    """Datasets of params.yaml that are not here yet, so that the plan rests on assumed sizes."""
    away = [name for name in project.params.datasets if not (project.packed(name) / CARD).exists()]
    return [name for name in away if not ((dataset := find_dataset(name)) and dataset.size)]


@dataclass(frozen=True)
class _PerImage:
    """Seconds the largest network takes for one image, and the engine for one candidate.

    Attributes:
        alone: training of a network by itself.
        training: training of each of a group, as students are trained.
        forward: looking at the image.
        scoring: embedding a candidate.
    """

    alone: float
    training: float
    forward: float
    scoring: float


def _timed_image(project: Project, space: SearchSpace, device: torch.device, classes: int) -> _PerImage:
    """Trains the largest network for a few steps on random images, looks at a batch, scores a few candidates.

    With one torch thread on a CPU, as worker processes have.
    """
    params = project.params
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else threads)
    try:
        recipe = params.distillation.model_copy(update={"epochs": 1, "min_steps": 0, "evaluations": 1})
        images = recipe.batch_size * STEPS
        short, long = (_random_task(times * images, params.data.resolution, classes) for times in (1, 3))
        network = ElasticResNet(space.largest, classes).to(device)

        def training(count: int) -> float:
            """Of each of so many side by side; what is paid once, however long it is, cancels."""
            networks = [ElasticResNet(space.largest, classes) for _ in range(count)]
            once, thrice = (
                _seconds(partial(train, networks, data, recipe, _plain_loss, seed=0, device=device))
                for data in (short, long)
            )
            return max((thrice - once) / (2 * images * count), 1e-9)

        alone = training(1)
        grouped = training(params.students.group) if device.type == "cuda" else alone  # on a CPU it is the same
        precision = resolve_precision(recipe.precision, device)
        test = short.test_images.to(device)
        forward = _seconds(lambda: predict(network, test, precision)) / len(test)
        candidates = [job.architecture for job in target_jobs(space, min(SAMPLE, space.size), params.seed)]
        noise = fixed_noise(params.data.resolution, params.seed)
        embedding = partial(embed, network, candidates, noise, statistics=params.predictor.statistics)
        scoring = _seconds(lambda: list(embedding())) / len(candidates)
    finally:
        torch.set_num_threads(threads)
    return _PerImage(alone, grouped, forward, scoring)


def _plain_loss(logits: torch.Tensor, labels: torch.Tensor, _: torch.Tensor | None) -> torch.Tensor:
    return label_loss(logits, labels, 0.0)


def _seconds(work: Callable[[], object]) -> float:
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _random_task(images: int, resolution: int, classes: int) -> TaskData:
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.randint(256, (count, resolution, resolution, 3), generator=generator, dtype=torch.uint8)
        return pixels.permute(0, 3, 1, 2), torch.randint(classes, (count,), generator=generator)

    return TaskData("plan", tuple(map(str, range(classes))), *part(images), *part(64), data_id="")


def _source_size(project: Project) -> _Size:
    source = project.params.source
    whole = _size(project, source.dataset)
    group = source.classes_per_group or max(whole.classes // source.groups, 2)
    images = whole.train * group // max(whole.classes, 1)
    return _Size(images // 2, images - images // 2, group)


def _target_size(project: Project, target: Target) -> _Size:
    size = _size(project, target.dataset, target.resolution)
    if not target.halves:
        return size
    images = size.train + size.test
    return replace(size, train=images - images // 2, test=images // 2)


def _size(project: Project, dataset: str, resolution: int | None = None) -> _Size:
    scale = ((resolution or project.params.data.resolution) / project.params.data.resolution) ** 2
    folder = project.packed(dataset, resolution)
    if not (folder / CARD).exists():
        known_dataset = find_dataset(dataset)
        if known_dataset and known_dataset.size:
            return _Size(*known_dataset.size, scale)
        return _Size(UNKNOWN_IMAGES, UNKNOWN_IMAGES // 2, UNKNOWN_CLASSES, scale)
    card = open_packed(folder).card
    return _Size(card.train_count, card.test_count, len(card.classes), scale)
