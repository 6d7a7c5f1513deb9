import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dass.config import DistillationRecipe, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace
from dass.training.batches import epoch_batches
from dass.training.checkpoint import Checkpoint
from dass.training.loop import evaluation_epochs, learning_rate, train
from dass.training.losses import label_loss

CPU = torch.device("cpu")


def plain_loss(logits: Tensor, labels: Tensor, _: Tensor | None) -> Tensor:
    return label_loss(logits, labels, 0.0)


def network_of(space: SearchSpace, seed: int) -> ElasticResNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ElasticResNet(space.largest, 4)


def same_weights(one: ElasticResNet, other: ElasticResNet) -> bool:
    weights = other.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_learning_rate_is_half_a_cosine_after_a_linear_warmup(recipe: DistillationRecipe) -> None:
    rates = [learning_rate(recipe, step, 4, 1) for step in range(12)]
    assert rates[:4] == pytest.approx([0.0125, 0.025, 0.0375, 0.05])
    assert rates[4:] == pytest.approx([0.025 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])
    without = [learning_rate(recipe, step, 4, 0) for step in range(12)]
    assert without[0] == 0.05 and without[6] == pytest.approx(0.025) and 0 < without[11] < 0.001


@pytest.mark.parametrize(
    ("epochs", "evaluations", "expected"),
    [(50, 10, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]), (3, 2, [2, 3]), (7, 3, [2, 5, 7]), (4, 1, [4]), (2, 2, [1, 2])],
)
def test_evaluations_are_even_and_end_with_training(epochs: int, evaluations: int, expected: list[int]) -> None:
    assert evaluation_epochs(epochs, evaluations) == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_trains_to_the_same_bits_alone_and_in_a_group(
    data: TaskData, space: SearchSpace, recipe: DistillationRecipe, device: torch.device, precision: str
) -> None:
    recipe = recipe.model_copy(update={"precision": precision})
    group = [network_of(space, seed) for seed in range(4)]
    together = train(group, data, recipe, plain_loss, seed=5, device=device, evaluations=2)
    alone = network_of(space, 2)
    [run] = train([alone], data, recipe, plain_loss, seed=5, device=device, evaluations=2)
    assert same_weights(alone, group[2])
    assert run.evaluations == together[2].evaluations and run.losses == together[2].losses
    assert not same_weights(group[0], group[1])
    other = network_of(space, 2)
    train([other], data, recipe, plain_loss, seed=6, device=device)
    assert not same_weights(other, alone)


def test_step_is_sgd_with_nesterov_as_written_out(
    data: TaskData, space: SearchSpace, recipe: DistillationRecipe
) -> None:
    # v <- m v + (g + w d); w <- w - r ((g + w d) + m v), with r of the cosine
    recipe = recipe.model_copy(update={"precision": "float32", "epochs": 1, "weight_decay": 0.01})
    trained, by_hand = network_of(space, 0), network_of(space, 0)
    train([trained], data, recipe, plain_loss, seed=0, device=CPU)
    velocity = [torch.zeros_like(weight) for weight in by_hand.parameters()]
    for step, batch in enumerate(epoch_batches(data, recipe, 0, 0, "float32")):
        rate = 0.05 * 0.5 * (1 + math.cos(math.pi * step / 4))
        loss = torch.nn.functional.cross_entropy(by_hand(batch.images), batch.labels)
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        with torch.no_grad():
            for weight, speed, gradient in zip(by_hand.parameters(), velocity, gradients, strict=True):
                slope = gradient + 0.01 * weight
                speed.mul_(0.9).add_(slope)
                weight.sub_(rate * (slope + 0.9 * speed))
    for (name, weight), expected in zip(trained.named_parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(weight, expected, rtol=1e-3, atol=1e-5), name


def test_a_diverging_network_stops_and_the_others_go_on(
    data: TaskData, space: SearchSpace, recipe: DistillationRecipe, device: torch.device
) -> None:
    bad, good = network_of(space, 0), network_of(space, 1)
    with torch.no_grad():
        bad.classifier.bias.fill_(math.inf)
    failed, sound = train([bad, good], data, recipe, plain_loss, seed=0, device=device, evaluations=3)
    assert failed.failure == "loss became nan in epoch 1, step 1"
    assert failed.evaluations == () and failed.losses == ()
    assert sound.failure == "" and len(sound.evaluations) == 3 and len(sound.losses) == 3
    alone = network_of(space, 1)
    train([alone], data, recipe, plain_loss, seed=0, device=device)
    assert same_weights(alone, good)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 6, 8, 15])  # in the first epoch, later, at an end, near the end
def test_a_killed_run_goes_on_to_the_same_bits(
    data: TaskData,
    space: SearchSpace,
    teacher_recipe: TeacherRecipe,
    device: torch.device,
    tmp_path: Path,
    killed_at: int,
) -> None:
    def killer(done: int, total: int) -> None:
        assert total == 16
        if done == killed_at:
            raise KilledError

    def run(network: ElasticResNet, progress=None, path: Path | None = None):
        checkpoint = Checkpoint(path, "run") if path else None
        [result] = train(
            [network], data, teacher_recipe, plain_loss, seed=1, device=device, warmup_epochs=1, evaluations=4,
            progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
        return result

    straight = network_of(space, 0)
    expected = run(straight)
    with pytest.raises(KilledError):
        run(network_of(space, 0), killer, tmp_path / "state")
    resumed = network_of(space, 0)
    steps: list[int] = []
    result = run(resumed, lambda done, _: steps.append(done), tmp_path / "state")
    assert steps[0] == (killed_at // 4 * 4 if killed_at % 4 else killed_at - 4) + 1  # a step before its epoch's end
    assert same_weights(straight, resumed)
    assert result.evaluations == expected.evaluations and result.losses == expected.losses


def test_checkpoint_of_another_run_is_replaced_and_a_damaged_one_refused(
    data: TaskData, space: SearchSpace, teacher_recipe: TeacherRecipe, device: torch.device, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    short = teacher_recipe.model_copy(update={"epochs": 1})
    train([network_of(space, 0)], data, short, plain_loss, seed=1, device=device, checkpoint=Checkpoint(path, "one"))
    assert Checkpoint(path, "one").load() is not None
    assert Checkpoint(path, "two").load() is None
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DassError, match=r"state, .*delete"):
        Checkpoint(path, "one").load()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_images_that_a_gpu_cannot_hold_are_taken_batch_by_batch(
    data: TaskData, space: SearchSpace, recipe: DistillationRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = torch.device("cuda")
    held, fetched = network_of(space, 0), network_of(space, 0)
    [expected] = train([held], data, recipe, plain_loss, seed=0, device=device, evaluations=1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (data.train_images.nbytes, data.train_images.nbytes))
    assert data.to(device).train_images.device.type == "cpu"
    [found] = train([fetched], data, recipe, plain_loss, seed=0, device=device, evaluations=1)
    assert same_weights(held, fetched)
    assert found.evaluations == expected.evaluations
