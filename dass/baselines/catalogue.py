"""Every method that DaSS is compared with, by its key of `dass.method_names`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from dass.baselines.diswot import DisWOT
from dass.baselines.few_shot import SHOTS, FewShot
from dass.baselines.meta_predictors import VARIANTS, MetaPredictorRanker
from dass.baselines.metad2a import MetaD2A
from dass.baselines.multi_fidelity import MultiFidelityRanker
from dass.baselines.ranker import Ranker
from dass.baselines.remapped import RemappedAccuracy
from dass.baselines.set_conditioned import Extractor
from dass.baselines.tans import TANS
from dass.baselines.trivial import Depth, Macs, Parameters, Random
from dass.baselines.zero_cost import PROXIES, ZeroCost
from dass.config import DistillationRecipe, Predictor
from dass.fidelity import FIDELITIES, Fidelity
from dass.method_names import multi_fidelity_method

Group = Literal["meta", "zero-cost", "trivial", "multi_fidelity", "few-shot"]


@dataclass(frozen=True)
class Settings:
    """What methods need of params.yaml.

    Attributes:
        predictor: settings of the meta-training.
        distillation: the recipe behind the accuracies.
        seed: random seed of everything random in a method.
        device: on which methods that learn do so: `auto`, `cpu` or `cuda`. The others go where the teacher is.
        checkpoint: a file where a method whose learning can go on after a stop keeps its state; None for nowhere.
        proxies: a folder where the multi-fidelity predictor keeps its measurements; None for nowhere.
        workers: processes in which it measures, 0 for this one; None for one per core, or one on a GPU.
    """

    predictor: Predictor
    distillation: DistillationRecipe
    seed: int = 0
    device: str = "auto"
    checkpoint: Path | None = None
    proxies: Path | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Method:
    """An entry of the catalogue.

    Attributes:
        group: `meta` (learns from source tasks), `zero-cost` (one batch, no training), `trivial` (no thought),
            `multi_fidelity` (learns from source tasks what proxies are worth), or `few-shot` (is shown students of the
            target and learns from as many of each source task; `few_shot_curve` runs these).
        make: function that makes the method, unfitted.
    """

    group: Group
    make: Callable[[Settings], Ranker]

    @property
    def learns(self) -> bool:
        """Whether it must be fitted."""
        return self.group in ("meta", "multi_fidelity", "few-shot")

    @property
    def varies(self) -> bool:
        """Whether what it learns hangs on its seed, so that several are worth looking at."""
        return self.group in ("meta", "few-shot")


def _variant(settings: Settings, name: str, shots: int | None = None) -> MetaPredictorRanker:
    block = settings.predictor
    return MetaPredictorRanker(
        name,
        episodes=block.episodes,
        query=block.query,
        inner_steps=block.inner_steps,
        inner_rate=block.inner_rate,
        learning_rate=block.learning_rate,
        validate_every=block.validate_every,
        statistics=block.statistics,
        unit=block.unit,
        shots=shots,
        seed=settings.seed,
        device=settings.device,
        checkpoint=settings.checkpoint,
    )


def _set_conditioned(
    settings: Settings, kind: type[MetaD2A] | type[TANS], learning_rate: float, extractor: Extractor = "source"
) -> Ranker:
    block = settings.predictor
    return kind(
        episodes=block.episodes,
        query=block.query,
        learning_rate=learning_rate,
        validate_every=block.validate_every,
        extractor=extractor,
        seed=settings.seed,
        device=settings.device,
    )


def _few_shot(settings: Settings, shots: int) -> FewShot:
    return FewShot(shots, _variant(settings, "dass", shots))


def _proxy(settings: Settings, name: str) -> ZeroCost:
    return ZeroCost(name, seed=settings.seed)


def _diswot(settings: Settings, start: Literal["random", "trained teacher", "remapped"]) -> DisWOT:
    return DisWOT(start, seed=settings.seed)


def _start(settings: Settings, measure: Literal["accuracy", "loss"], recalibrate: bool) -> RemappedAccuracy:
    recipe = settings.distillation
    return RemappedAccuracy(
        measure,
        recalibrate=recalibrate,
        alpha=recipe.alpha,
        temperature=recipe.temperature,
        seed=settings.seed,
        precision=recipe.precision,
    )


def _multi_fidelity(settings: Settings, fidelity: Fidelity) -> MultiFidelityRanker:
    return MultiFidelityRanker(
        fidelity,
        settings.distillation,
        seed=settings.seed,
        device=settings.device,
        store=settings.proxies,
        workers=settings.workers,
    )


CATALOGUE: Mapping[str, Method] = {
    **{name: Method("meta", partial(_variant, name=name)) for name in VARIANTS},
    # Their authors' learning rates.
    "metad2a": Method("meta", partial(_set_conditioned, kind=MetaD2A, learning_rate=1e-4)),
    "tans": Method("meta", partial(_set_conditioned, kind=TANS, learning_rate=1e-2)),
    "metad2a_teacher_features": Method(
        "meta", partial(_set_conditioned, kind=MetaD2A, learning_rate=1e-4, extractor="teacher")
    ),
    "tans_teacher_features": Method(
        "meta", partial(_set_conditioned, kind=TANS, learning_rate=1e-2, extractor="teacher")
    ),
    **{name: Method("zero-cost", partial(_proxy, name=name)) for name in PROXIES},
    "diswot": Method("zero-cost", partial(_diswot, start="random")),
    "diswot_trained_teacher": Method("zero-cost", partial(_diswot, start="trained teacher")),
    "diswot_remapped_student": Method("zero-cost", partial(_diswot, start="remapped")),
    "parameters": Method("trivial", lambda _: Parameters()),
    "macs": Method("trivial", lambda _: Macs()),
    "depth": Method("trivial", lambda _: Depth()),
    "random": Method("trivial", lambda settings: Random(settings.seed)),
    "remapped_accuracy": Method("trivial", partial(_start, measure="accuracy", recalibrate=False)),
    "remapped_loss": Method("trivial", partial(_start, measure="loss", recalibrate=False)),
    "one_batch_accuracy": Method("trivial", partial(_start, measure="accuracy", recalibrate=True)),
    "one_batch_loss": Method("trivial", partial(_start, measure="loss", recalibrate=True)),
    **{
        multi_fidelity_method(one): Method("multi_fidelity", partial(_multi_fidelity, fidelity=one))
        for one in FIDELITIES
    },
    **{f"few_shot_{shots}": Method("few-shot", partial(_few_shot, shots=shots)) for shots in SHOTS},
}
