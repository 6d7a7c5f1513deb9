"""The methods of `dass.baselines.catalogue`: keys, by which params.yaml and files name them, and labels for people."""

from dass.fidelity import FIDELITIES, Fidelity

REFERENCE = "dass"  # what every other method is compared with


def multi_fidelity_method(fidelity: Fidelity) -> str:
    """The key of the multi-fidelity predictor as a method that looks at nothing beyond a fidelity."""
    return f"multifidelity_{fidelity.key}"


META = {
    "dass": "DaSS",
    "dass_unguided": "DaSS without guide",
    "maml": "MAML",
    "meta_sgd": "Meta-SGD",
    "dass_without_student": "DaSS without student",
    "dass_without_teacher": "DaSS without teacher",
    "dass_without_code": "DaSS without code",
    "dass_fixed_rates": "DaSS, fixed rates",
    "dass_first_order": "DaSS, first order",
    "dass_2_steps": "DaSS, 2 steps",
    "dass_5_steps": "DaSS, 5 steps",
    "metad2a": "MetaD2A",
    "tans": "TANS",
    "metad2a_teacher_features": "MetaD2A, teacher's features",
    "tans_teacher_features": "TANS, teacher's features",
}
ABLATIONS = (
    "dass_unguided", "dass_without_student", "dass_without_teacher", "dass_without_code", "dass_fixed_rates",
    "dass_first_order", "dass_2_steps", "dass_5_steps",
)  # fmt: skip
"""Those of `META` that are the paper's predictor with parts changed, and no baselines."""

ZERO_COST = {
    "grad_norm": "grad_norm",
    "snip": "snip",
    "grasp": "grasp",
    "fisher": "fisher",
    "plain": "plain",
    "synflow": "synflow",
    "naswot": "naswot",
    "diswot": "DisWOT",
    "diswot_trained_teacher": "DisWOT, trained teacher",
    "diswot_remapped_student": "DisWOT, remapped student",
}
TRIVIAL = {
    "parameters": "parameters",
    "macs": "MACs",
    "depth": "depth",
    "random": "random",
    "remapped_accuracy": "remapped accuracy",
    "remapped_loss": "remapped loss",
    "one_batch_accuracy": "one-batch accuracy",
    "one_batch_loss": "one-batch loss",
}
REMAPPED = ("remapped_accuracy", "remapped_loss", "one_batch_accuracy", "one_batch_loss")
"""Those of `TRIVIAL` that look at remapped students."""

MULTI_FIDELITY = {multi_fidelity_method(one): f"multi-fidelity, {one.label}" for one in FIDELITIES}
FEW_SHOT = {f"few_shot_{shots}": f"few-shot {shots}" for shots in (1, 3, 5, 10, 20)}

METHODS = {**META, **ZERO_COST, **TRIVIAL, **MULTI_FIDELITY, **FEW_SHOT}
"""The label of every method by its key, in the order in which tables have them."""

# What versions before 0.2 called methods, where that is not today's label.
_OLD_NAMES = {
    "remapped accuracy, new statistics": "one_batch_accuracy",
    "remapped loss, new statistics": "one_batch_loss",
}
_KEYS = {**{label: key for key, label in METHODS.items()}, **_OLD_NAMES}


def method_label(key: str) -> str:
    """What people read; the key itself where it is no method of the comparison, such as the noise ceiling."""
    return METHODS.get(key, key)


def method_key(name: str) -> str:
    """The key of a method by its key, its label, or the name that earlier versions gave it; other names as they are."""
    if name.startswith("ladder: "):
        return multi_fidelity_method(Fidelity.parse(name.removeprefix("ladder: ")))
    return name if name in METHODS else _KEYS.get(name, name)
