"""The methods of the comparison: keys, by which params.yaml and files name them, labels for people, and classes.

A new method is a class in a module of `dass.baselines.methods` and an entry of `_ALL`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dass.fidelity import FIDELITIES, Fidelity

REFERENCE = "dass"  # what every other method is compared with

Group = Literal["meta", "zero-cost", "trivial", "multi_fidelity", "few-shot"]


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        key: identifier of the method, by which params.yaml and files name it.
        label: name of the method for people.
        group: `meta` (learns from source tasks), `zero-cost` (one batch, no training), `trivial` (no thought),
            `multi_fidelity` (learns from source tasks what proxies are worth), or `few-shot` (is shown students of the
            target and learns from as many of each source task; `few_shot_curve` runs these).
        ranker: class of the method as MODULE:CLASS in `dass.baselines.methods`; imported when the method is used.
        options: keyword arguments of the class's `of`.
        ablation: whether the method is the paper's predictor with parts changed, and no baseline.
    """

    key: str
    label: str
    group: Group
    ranker: str
    options: Mapping[str, Any] = field(default_factory=dict)
    ablation: bool = False

    @property
    def learns(self) -> bool:
        """Whether the method must be fitted."""
        return self.group in ("meta", "multi_fidelity", "few-shot")

    @property
    def varies(self) -> bool:
        """Whether what the method learns depends on its seed, so that several seeds are worth looking at."""
        return self.group in ("meta", "few-shot")


def multi_fidelity_method(fidelity: Fidelity) -> str:
    """The key of the multi-fidelity predictor as a method that looks at nothing beyond a fidelity."""
    return f"multifidelity_{fidelity.key}"


def _variant(key: str, label: str, *, ablation: bool = True) -> Method:
    return Method(key, label, "meta", "meta_predictors:MetaPredictorRanker", {"variant": key}, ablation)


def _zero_cost(key: str) -> Method:
    return Method(key, key, "zero-cost", "zero_cost:ZeroCost", {"proxy": key})


def _diswot(key: str, label: str, start: str) -> Method:
    return Method(key, label, "zero-cost", "diswot:DisWOT", {"start": start})


def _remapped(key: str, label: str, measure: str, *, recalibrate: bool) -> Method:
    options = {"measure": measure, "recalibrate": recalibrate}
    return Method(key, label, "trivial", "remapped:RemappedAccuracy", options)


def _multi_fidelity(fidelity: Fidelity) -> Method:
    key, label = multi_fidelity_method(fidelity), f"multi-fidelity, {fidelity.label}"
    return Method(key, label, "multi_fidelity", "multi_fidelity:MultiFidelityRanker", {"fidelity": fidelity})


def _few_shot(shots: int) -> Method:
    return Method(f"few_shot_{shots}", f"few-shot {shots}", "few-shot", "few_shot:FewShot", {"shots": shots})


_ALL = (
    _variant("dass", "DaSS", ablation=False),
    _variant("dass_unguided", "DaSS without guide"),
    _variant("maml", "MAML", ablation=False),
    _variant("meta_sgd", "Meta-SGD", ablation=False),
    _variant("dass_without_student", "DaSS without student"),
    _variant("dass_without_teacher", "DaSS without teacher"),
    _variant("dass_without_code", "DaSS without code"),
    _variant("dass_fixed_rates", "DaSS, fixed rates"),
    _variant("dass_first_order", "DaSS, first order"),
    _variant("dass_2_steps", "DaSS, 2 steps"),
    _variant("dass_5_steps", "DaSS, 5 steps"),
    Method("metad2a", "MetaD2A", "meta", "metad2a:MetaD2A"),
    Method("tans", "TANS", "meta", "tans:TANS"),
    Method(
        "metad2a_teacher_features", "MetaD2A, teacher's features", "meta", "metad2a:MetaD2A", {"extractor": "teacher"}
    ),
    Method("tans_teacher_features", "TANS, teacher's features", "meta", "tans:TANS", {"extractor": "teacher"}),
    *map(_zero_cost, ("grad_norm", "snip", "grasp", "fisher", "plain", "synflow", "naswot")),
    _diswot("diswot", "DisWOT", "random"),
    _diswot("diswot_trained_teacher", "DisWOT, trained teacher", "trained teacher"),
    _diswot("diswot_remapped_student", "DisWOT, remapped student", "remapped"),
    Method("parameters", "parameters", "trivial", "trivial:Parameters"),
    Method("macs", "MACs", "trivial", "trivial:Macs"),
    Method("depth", "depth", "trivial", "trivial:Depth"),
    Method("random", "random", "trivial", "trivial:Random"),
    _remapped("remapped_accuracy", "remapped accuracy", "accuracy", recalibrate=False),
    _remapped("remapped_loss", "remapped loss", "loss", recalibrate=False),
    _remapped("one_batch_accuracy", "one-batch accuracy", "accuracy", recalibrate=True),
    _remapped("one_batch_loss", "one-batch loss", "loss", recalibrate=True),
    *map(_multi_fidelity, FIDELITIES),
    *map(_few_shot, (1, 3, 5, 10, 20)),
)
METHODS: Mapping[str, Method] = {method.key: method for method in _ALL}
"""Every method by its key, in the order in which tables have them."""

ABLATIONS = tuple(key for key, method in METHODS.items() if method.ablation)
FEW_SHOT = tuple(key for key, method in METHODS.items() if method.group == "few-shot")
MULTI_FIDELITY = tuple(key for key, method in METHODS.items() if method.group == "multi_fidelity")
REMAPPED = tuple(key for key, method in METHODS.items() if method.ranker == "remapped:RemappedAccuracy")

# What versions before 0.2 called methods, where that is not today's label.
_OLD_NAMES = {
    "remapped accuracy, new statistics": "one_batch_accuracy",
    "remapped loss, new statistics": "one_batch_loss",
}
_KEYS = {**{method.label: key for key, method in METHODS.items()}, **_OLD_NAMES}


def method_label(key: str) -> str:
    """What people read; the key itself where it is no method of the comparison, such as the noise ceiling."""
    return METHODS[key].label if key in METHODS else key


def method_key(name: str) -> str:
    """The key of a method by its key, its label, or the name that earlier versions gave it; other names as they are."""
    if name.startswith("ladder: "):
        return multi_fidelity_method(Fidelity.parse(name.removeprefix("ladder: ")))
    return name if name in METHODS else _KEYS.get(name, name)
