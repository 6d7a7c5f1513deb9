"""Once-for-all's space: what is a member, how members are drawn, and that search and predictor take them."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from dass.config import ElasticSpace as Block
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.families.ofa_resnet import OfaResNet, member
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import fixed_noise
from dass.predictor.meta import MetaLearner
from dass.predictor.tasks import build_task
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits, cost
from dass.space.elastic_space import ElasticSpace
from dass.space.search_space import SearchSpace
from tests.samples import is_member, predictor_settings

PAPERS = Block(
    family="ofa_resnet", streams=(256, 512, 1024, 2048), base_depths=(2, 2, 4, 2), more_blocks=2,
    stream_ratios=(0.65, 0.8, 1.0), expand_ratios=(0.2, 0.25, 0.35), stem_widths=((24, 32), (40, 48, 64)),
)  # fmt: skip
SMALL = Block.model_validate(
    PAPERS.model_dump()
    | {
        "streams": (48, 64, 96, 128), "base_depths": (1, 1, 2, 1), "more_blocks": 1, "stream_ratios": (0.5, 1.0),
        "expand_ratios": (0.25, 0.5), "stem_widths": ((8, 16), (16, 24)),
    }
)  # fmt: skip


def space_of(block: Block) -> ElasticSpace:
    made = SearchSpace.from_config(block)
    assert isinstance(made, ElasticSpace)
    return made


def test_the_largest_is_the_papers_teacher() -> None:
    space = space_of(PAPERS)
    family, widths = member()
    assert space.largest == Architecture(widths, family)
    assert (space.embedding_channels, space.embedding_side(256)) == (2048, 8)
    assert space.code_length == 1 + 18 * 3 + 4 * 3 + 5 + 1
    assert space.size == (9 + 27 + 81) ** 3 * (81 + 243 + 729) * 3**4 * 2 * 3 * 2
    assert json.loads(json.dumps(space.facts()))["family"]["name"] == "ofa_resnet"
    assert SearchSpace.from_facts(json.loads(json.dumps(space.facts()))) == space


@pytest.mark.parametrize(
    ("depths", "streams"),
    [
        ((4, 3, 5, 4), (208, 512, 816, 2048)),
        ((2, 3, 4, 2), (208, 512, 1024, 2048)),
        ((2, 3, 5, 2), (256, 512, 664, 2048)),
    ],
)
def test_the_rows_of_table_6_are_members(depths: tuple[int, ...], streams: tuple[int, ...]) -> None:
    space = space_of(PAPERS)
    row = space.from_depth_width(depths, streams)
    assert row.depths == depths
    assert isinstance(row.family, OfaResNet) and row.family.streams == streams
    assert cost(row, 256, 1000).macs < cost(space.largest, 256, 1000).macs


def test_draws_are_distinct_members_that_can_be_sliced_out_of_the_teacher() -> None:
    space = space_of(SMALL)
    drawn = space.sample(60, np.random.default_rng(0))
    assert len(set(drawn)) == 60
    assert drawn[:7] == space.sample(7, np.random.default_rng(0))
    codes = space.encode(drawn)
    assert codes.shape == (60, space.code_length)
    assert len({tuple(row) for row in codes.tolist()}) == 60  # nothing of a member is lost
    teacher = ElasticResNet(space.largest, 3).eval()
    with torch.no_grad():
        for one in (*drawn[:10], space.smallest):
            space.check(one)
            assert remap(teacher, one)(torch.randn(1, 3, 40, 40)).shape == (1, 3)
    for field in ("streams", "stem_widths", "stem_residual"):
        assert len({getattr(one.family, field) for one in drawn}) > 1
    assert {one.depths[2] for one in drawn} == {2, 3}


def test_every_member_of_a_tiny_space_is_found_and_no_more() -> None:
    update = {"base_depths": (1, 1, 1, 1), "more_blocks": 0, "stream_ratios": (1.0,), "expand_ratios": (0.25, 0.5)}
    space = space_of(Block.model_validate(SMALL.model_dump() | update))
    assert space.size == 2**4 * 4 * 2
    assert len(space.sample(1000, np.random.default_rng(0), fewer=True)) == space.size
    with pytest.raises(UsageError, match=f"has only {space.size}"):
        space.sample(1000, np.random.default_rng(0))


def test_draws_keep_limits() -> None:
    space = space_of(PAPERS)
    most = 0.9 * cost(space.largest, 256, 1000).macs
    for one in space.sample(50, np.random.default_rng(0), CostLimits(256, 1000, max_macs=most, min_macs=most / 2)):
        assert most / 2 <= cost(one, 256, 1000).macs <= most


@pytest.mark.parametrize("limits", [{"max_macs": 1e6}, {"min_params": 1e12}])
def test_limits_that_no_member_meets_are_refused_without_a_draw(limits: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(UsageError, match=r"smallest member has \d"):
        space_of(PAPERS).sample(5, rng, CostLimits(256, 1000, **limits))
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": OfaResNet((256, 512, 1024, 2000))}, "stage 4: width 2000"),
        ({"family": OfaResNet(stem_widths=(32, 56))}, "stem width 56"),
        ({"widths": ((88,) * 4, (176,) * 4, (360,) * 6, (720,))}, "stage 4 has 1 blocks"),
        ({"widths": ((88,) * 4, (176,) * 3 + (96,), (360,) * 6, (720,) * 4)}, "stage 2: inner width 96"),
    ],
)
def test_what_is_no_member_is_refused_by_its_first_odd_part(changes: dict[str, object], words: str) -> None:
    space = space_of(PAPERS)
    family, widths = member()
    odd = Architecture(**{"widths": widths, "family": family, **changes})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words):
        space.check(odd)
    assert not is_member(space, odd)
    assert is_member(space, space.largest) and is_member(space, space.smallest)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stream_ratios": (0.99, 1.0)}, "stream_ratios"),
        ({"expand_ratios": (0.25, 0.2)}, "expand_ratios"),
        ({"expand_ratios": (0.25, 0.251)}, "expand_ratios"),
        ({"stem_widths": ((24, 24), (40,))}, "stem_widths"),
        ({"base_depths": (0, 1, 1, 1)}, "base_depths"),
    ],
)
def test_wrong_blocks_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Block.model_validate({**PAPERS.model_dump(), **changes})


def test_a_predictor_learns_such_a_space() -> None:
    space, noise = space_of(SMALL), fixed_noise(64, 0)
    tasks = []
    for index in range(4):
        with torch.random.fork_rng():
            torch.manual_seed(index)
            teacher = ElasticResNet(space.largest, 3).eval()
        drawn = space.sample(30, np.random.default_rng(index))
        accuracies = [40.0 + 2 * sum(one.depths) + one.family.streams[3] / 16 for one in drawn]  # type: ignore[attr-defined]
        tasks.append(
            build_task(
                f"split{index}", teacher, 60.0, space, noise, architectures=drawn, accuracies=accuracies,
                statistics="batch",
            )
        )  # fmt: skip
    settings = predictor_settings(episodes=60, query=20, learning_rate=5e-3, validate_every=10)
    learner = MetaLearner(settings, precision="float32", device="cpu").fit(tasks[:3], tasks[3:])
    assert learner.best_.src > 0.8
    adapted = learner.result_.adapt(tasks[3].teacher_embedding, tasks[3].teacher_code, 60.0)
    predicted = adapted.predict(tasks[3].student_embeddings, tasks[3].codes).numpy()
    assert spearman(predicted, tasks[3].accuracies.numpy()) == pytest.approx(learner.best_.src)
