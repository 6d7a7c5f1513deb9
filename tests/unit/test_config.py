"""params.yaml: every preset holds, and whatever is wrong is refused with one line that names file and key."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dass.config import Params
from dass.errors import UsageError
from dass.params_file import load_params, parse_params, read_yaml
from flows.paper_tiny import OFA, PAPER, small_values
from tests.demo_params import DEMO, Key, changed, refused

ROOT = Path(__file__).parents[2]
PRESETS = sorted(ROOT.glob("presets/*.yaml"))


def keys_of(value: object, before: Key = ()) -> Iterator[Key]:
    """Every key there is, those of blocks and of list items included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, below in inner:
        yield (*before, part)
        yield from keys_of(below, (*before, part))


KEYS = list(keys_of(DEMO))
BLOCKS = sorted({key[:-1] for key in KEYS if isinstance(key[-1], str)} - {("targets",)})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("path", [*PRESETS, ROOT / "params.yaml"], ids=lambda path: path.name)
def test_every_preset_loads(path: Path) -> None:
    params = load_params(path)
    if path not in PRESETS:
        return
    assert params.preset == path.stem
    used = {params.source.dataset} | {target.dataset for target in params.targets.values()}
    assert set(params.datasets) == used  # none is fetched for nothing


def test_the_paper_preset_is_the_papers() -> None:
    params = load_params(ROOT / "presets" / "paper.yaml")
    recipe = params.distillation
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (50, 64, 0.05, 3e-5)
    assert (recipe.alpha, recipe.temperature, recipe.evaluations, recipe.augmentation.crop_padding) == (0.5, 6, 10, 8)
    assert (params.predictor.episodes, params.predictor.query, params.predictor.inner_rate) == (1000, 50, 0.005)
    assert (params.teacher.epochs, params.teacher.label_smoothing) == (180, 0.1)
    assert params.space.ratios == tuple(i / 16 for i in range(8, 17))
    assert (params.source.splits, params.source.validation) == (tuple(range(10)), (8, 9))
    table_4 = {"dass", "metad2a", "tans", "grad_norm", "snip", "grasp", "fisher", "plain", "synflow", "naswot"}
    assert table_4 <= set(params.evaluation.picks)
    assert params.teacher.precision == params.distillation.precision == "float32"
    windows = {
        name: (target.limit("min_macs", params.search), target.limit("max_macs", params.search))
        for name, target in params.targets.items()
    }
    assert windows["cub"] == windows["draw"] == (700, 1300)  # of Table 4
    assert windows["chestx224"] == (0, 4900)  # of Table 7
    assert (params.targets["chestx224"].resolution, params.further_resolutions("chestx")) == (224, (224,))
    assert windows["chestx"] == windows["eurosat"] == (0, 400)  # of Table 5


@settings(max_examples=600)
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_any_other_value_is_taken_or_named(key: Key, value: object) -> None:
    values = changed(key, value)
    try:
        params = parse_params(values, "params.yaml")
    except UsageError:
        message = refused(values)
        name = next(part for part in reversed(key) if isinstance(part, str))
        assert name in message
    else:
        assert params == Params.model_validate(params.model_dump())


OPTIONAL = {
    "halves",
    "statistics",
    "unit",
    "min_steps",
    "warmup_epochs",
    "classes_per_group",
    "repeated",
    "max_macs",
    "max_params",
    "min_macs",
    "min_params",
}


@pytest.mark.parametrize(
    "key", [key for key in KEYS if isinstance(key[-1], str) and key != ("targets", "digits")], ids=".".join
)
def test_a_missing_key_is_named(key: Key) -> None:
    values = copy.deepcopy(DEMO)
    block: Any = values
    for part in key[:-1]:
        block = block[part]
    del block[key[-1]]
    if key[-1] in OPTIONAL:
        assert parse_params(values, "params.yaml")
    else:
        assert refused(values).startswith(f"params.yaml: {'.'.join(key)}: missing")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: ".".join(block) or "top")
def test_an_unknown_key_is_named(block: Key) -> None:
    message = refused(changed((*block, "lerning_rate"), 0.1))
    assert message.startswith(f"params.yaml: {'.'.join((*block, 'lerning_rate'))}: unknown key")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("seed", 1.0, "seed: .*found 1.0"),
        ("seed", 2**31, "seed: .*found 2147483648"),
        ("data.resolution", 60, "data.resolution: .*found 60"),
        ("teacher.learning_rate", "1e-3", "teacher.learning_rate: .*found '1e-3'"),
        ("teacher.learning_rate", True, "teacher.learning_rate: .*found True"),
        ("teacher.learning_rate", float("nan"), "teacher.learning_rate: .*found nan"),
        ("teacher.augmentation.flip", "yes", "teacher.augmentation.flip: .*found 'yes'"),
        ("teacher.warmup_epochs", 11, "teacher: .*warmup_epochs"),
        ("distillation.evaluations", 4, "distillation: .*evaluations"),
        ("distillation.temperature", 0, "distillation.temperature: .*found 0"),
        ("space.max_depth", 6, "space.max_depth: .*found 6"),
        ("space.ratios", [0.5, 1.5], "space.ratios: "),
        ("space.ratios", [1.0, 0.5], "space.ratios: "),
        ("space.ratios", [0.0, 1.0], "space.ratios: "),
        ("space.ratios", [0.5, 0.51, 1.0], "space: .*ratios .*8"),
        ("space.widths", [8, 16, 32, 5000], "space: .*widths .*4096"),
        ("space.widths", [8, 16, 32], "space.widths.3: missing"),
        ("source.groups", 2, "source: .*splits"),
        *(
            (
                "source.validation", found,
                "source: .*validation",
            )
            for found in (list(range(10)), [8, 8])
        ),
        ("students.repeated", 25, "students: .*repeated"),
        ("evaluation.methods", ["dass", "x"], "evaluation.methods: .*'x'"),
        ("evaluation.methods", ["dass", "dass"], "evaluation.methods: .*'dass'"),
        ("evaluation.methods", ["macs"], "evaluation: .*dass"),
        ("evaluation.methods", "some", "evaluation.methods: .*found 'some'"),
        ("evaluation.seeds", 0, "evaluation.seeds: .*found 0"),
        ("evaluation.budgets", [0.5, 1.5], "evaluation.budgets.1: .*found 1.5"),
        ("evaluation.budgets", [0.5, 0.25], "evaluation.budgets: .*ascend"),
        ("evaluation.picks", ["tans"], "evaluation: picks: .*'tans'"),
        ("evaluation.picks", ["few_shot_5"], "evaluation: picks: .*'few_shot_5'"),
        ("evaluation.confidence", 101, "evaluation.confidence: .*found 101"),
        ("evaluation.confidence", 0.95, "evaluation.confidence: .*found 0.95"),
        ("datasets", ["glyphs", "digits", "digits"], "datasets: .*twice"),
        ("datasets", ["digits"], "source.dataset: .*'glyphs'"),
        ("targets", {"x": {"dataset": "dtd"}}, "targets.x.dataset: .*'dtd'"),
        *(
            ("targets", {name: {"dataset": "digits"}},
             f"targets.{name}: ")
            for name in ("split3", "source", "mean")
        ),
        (
            "targets",
            {"My set": {"dataset": "digits"}},
            r"targets.My set.\[key\]: .*found 'My set'",
        ),
        ("space.widths", 8, "space.widths: .*found 8"),
        ("source.splits", [], "source.splits: .*found 0"),
        ("source.splits", "all", "source.splits: .*found 'all'"),
        ("search", [1], "search: .*found \\[1\\]"),
        ("targets", ["digits"], "targets: .*found \\['digits'\\]"),
        ("targets", {}, "targets: .*found 0"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_or_contradicts_is_told(key: str, value: object, line: str) -> None:
    assert re.match(f"params.yaml: {line}", refused(changed(tuple(key.split(".")), value)))


def test_several_mistakes_are_counted() -> None:
    values = changed(("seed",), "one")
    values["data"] = {"resolution": 7}
    assert refused(values).endswith("found 'one' (1 more after this)")
    message = refused({})
    assert message.startswith("params.yaml: preset: missing") and "12 more" in message


@pytest.mark.parametrize("values", [None, [1], "text"])
def test_something_else_than_blocks(values: object) -> None:
    assert "expected a mapping of blocks" in refused(values)


@pytest.mark.parametrize(
    "content",
    [
        b"a: [1",
        b"\xff\xfe\xff",
        b"\x00",
        b"a: 2020-13-45",
        b"a: 0x_",
        b"!!int ",
        b"!!bool a",
        b"? - - a.",
        b"[" * 1000,
        b"a: !!python/name:os.system",
        b"a: *b",
    ],
)
def test_a_file_that_is_no_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path} is not valid YAML: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_wrong_one_are_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(UsageError, match=r"params\.yaml: No such file"):
        load_params(path)
    path.write_text("preset: 3\n")
    with pytest.raises(UsageError, match=rf"{path}: preset: "):
        load_params(path)


def test_parameters_cannot_be_changed() -> None:
    params = parse_params(DEMO, "demo")
    with pytest.raises(ValidationError):
        params.seed = 1  # type: ignore[misc]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "presets" / "demo.yaml").read_text() + "seed: 1\n")
    with pytest.raises(UsageError, match=r'"seed" in line \d+'):
        load_params(path)


@pytest.mark.parametrize(
    "written",
    ["012", "0o17", "0x1F", "1_000", "0777", "08", "1e3", "1:30", "yes", "on", "1.", "+5", "~", "0b11", "'12'"],
)
def test_a_value_is_what_dvc_takes_it_for(tmp_path: Path, written: str) -> None:
    from dvc.utils.serialize import load_yaml

    path = tmp_path / "params.yaml"
    path.write_text(f"seed: {written}\n")
    ours = read_yaml(path.read_text())
    theirs = load_yaml(str(path))
    assert (ours, type(ours["seed"])) == (theirs, type(theirs["seed"]))
    path.write_text((ROOT / "presets" / "demo.yaml").read_text().replace("seed: 0", f"seed: {written}"))
    if type(theirs["seed"]) is int:
        assert load_params(path).seed == theirs["seed"]
    else:
        with pytest.raises(UsageError, match="seed"):
            load_params(path)


SPACE = {"family": "cifar_resnet", "network": "resnet20", "ratios": [0.5, 1.0], "granularity": "block"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"family": "vit"}, "space.family"), ({"network": "resnet21"}, "resnet21"), ({"family": 3}, "space.family"),
        ({"ratios": [1.0, 0.5]}, "space.ratios"), ({"divisor": 0}, "space.divisor"), ({"widths": [1]}, "space.widths"),
        ({"family": "paper_resnet"}, "space.widths"),
    ],
)  # fmt: skip
def test_a_space_below_a_named_network(change: dict[str, object], key: str) -> None:
    assert parse_params(changed(("space",), SPACE), "params.yaml").space.family == "cifar_resnet"
    assert key in refused(changed(("space",), SPACE | change))


def test_what_only_a_teacher_of_the_users_own_can_have() -> None:
    own = {"dataset": "digits", "teacher": "mine.pt", "normalization": "imagenet", "classes": ["a", "b"]}
    target = parse_params(changed(("targets", "digits"), own), "params.yaml").targets["digits"]
    assert (target.normalization, target.classes) == ("imagenet", ("a", "b"))
    assert "normalization" in refused(changed(("targets", "digits"), own | {"teacher": None}))
    assert "six numbers" in refused(changed(("targets", "digits"), own | {"normalization": "1,2"}))


@pytest.mark.parametrize("name", ["../x.pt", "/etc/passwd", "a\0b.pt", "a\nb.pt", "", ".", "..", "ä" * 128 + ".pt"])
def test_a_teacher_is_the_name_of_a_file(name: str) -> None:
    target = {"digits": {"dataset": "digits", "teacher": name}}
    assert refused(changed(("targets",), target)).startswith("params.yaml: targets.digits.teacher: ")
    target["digits"]["teacher"] = "my weights, ä.pt"
    assert parse_params(changed(("targets",), target), "params.yaml").targets["digits"].teacher == "my weights, ä.pt"


@pytest.mark.parametrize("images", [None, Path("images")])
def test_the_small_params_of_all_tables_hold(images: Path | None) -> None:
    for preset, changes in (("paper", PAPER), ("imagenet", OFA)):
        values = small_values(ROOT, preset, changes, images)
        assert parse_params(values, "params.yaml").preset == preset
