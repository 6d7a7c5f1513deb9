import pytest
import torch

from dass.config import Augmentation, DistillationRecipe, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.space.search_space import SearchSpace

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=NO_GPU)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device there is, for what must hold on each."""
    return torch.device(request.param)


def patches(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with one bright row of four: easy to learn, not trivial."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    images = torch.randint(0, 120, (count, 16, 16, 3), generator=generator)
    for index, label in enumerate(labels.tolist()):
        images[index, 4 * label : 4 * label + 4] += 60
    return images.to(torch.uint8).permute(0, 3, 1, 2), labels


@pytest.fixture(scope="session")
def data() -> TaskData:
    train_images, train_labels = patches(70, seed=1)
    test_images, test_labels = patches(41, seed=2)
    return TaskData("rows", ("a", "b", "c", "d"), train_images, train_labels, test_images, test_labels, "0123456789ab")


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace((4, 8, 8, 16), 2, (0.5, 1.0), "block")


@pytest.fixture(scope="session")
def teacher_recipe() -> TeacherRecipe:
    return TeacherRecipe(
        epochs=4,
        batch_size=16,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=0.0005,
        augmentation=Augmentation(flip=True, crop_padding=1),
        precision="float32",
        label_smoothing=0.1,
        warmup_epochs=1,
    )


@pytest.fixture(scope="session")
def recipe() -> DistillationRecipe:
    return DistillationRecipe(
        epochs=3,
        batch_size=16,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.00003,
        augmentation=Augmentation(flip=True, crop_padding=1),
        precision="bfloat16",
        alpha=0.5,
        temperature=6.0,
        evaluations=2,
    )
