"""The names of the methods of `dass.baselines.catalogue`, by which params.yaml is checked."""

REFERENCE = "DaSS"  # what every other method is compared with

META = (
    "DaSS",
    "DaSS without guide",
    "MAML",
    "Meta-SGD",
    "DaSS without student",
    "DaSS without teacher",
    "DaSS without code",
    "DaSS, fixed rates",
    "DaSS, first order",
    "DaSS, 2 steps",
    "DaSS, 5 steps",
    "MetaD2A",
    "TANS",
    "MetaD2A, teacher's features",
    "TANS, teacher's features",
)
ZERO_COST = (
    "grad_norm",
    "snip",
    "grasp",
    "fisher",
    "plain",
    "synflow",
    "naswot",
    "DisWOT",
    "DisWOT, trained teacher",
    "DisWOT, remapped student",
)
TRIVIAL = (
    "parameters",
    "MACs",
    "depth",
    "random",
    "remapped accuracy",
    "remapped loss",
    "remapped accuracy, new statistics",
    "remapped loss, new statistics",
)
LADDER = tuple(
    f"ladder: {rung}" for rung in ("free", "noise", "start", "sprint 5", "sprint 10", "sprint 20", "sprint 50")
)
FEW_SHOT = tuple(f"few-shot {shots}" for shots in (1, 3, 5, 10, 20))

METHODS = META + ZERO_COST + TRIVIAL + LADDER + FEW_SHOT
"""Every method, in the order in which tables have them."""
