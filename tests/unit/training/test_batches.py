from dataclasses import replace

import pytest
import torch

from dass.config import Augmentation, DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.training.batches import Batch, epoch_batches, steps_per_epoch


def collect(
    data: TaskData, recipe: DistillationRecipe, seed: int, epoch: int, precision: str = "float32"
) -> list[Batch]:
    return list(epoch_batches(data, recipe, seed, epoch, precision))


def test_last_partial_batch_is_left_out_and_no_image_comes_twice(data: TaskData, recipe: DistillationRecipe) -> None:
    plain = recipe.model_copy(update={"augmentation": Augmentation(flip=False, crop_padding=0)})
    batches = collect(data, plain, 0, 0)
    assert [len(batch.labels) for batch in batches] == [16, 16, 16, 16]  # of 70
    assert steps_per_epoch(data, plain) == 4
    seen = {bytes(image.flatten().numpy().tobytes()) for batch in batches for image in batch.images}
    assert len(seen) == 64


def test_images_keep_their_labels(data: TaskData, recipe: DistillationRecipe) -> None:
    plain = recipe.model_copy(update={"augmentation": Augmentation(flip=True, crop_padding=0)})  # a row stays a row
    for batch in collect(data, plain, 0, 1):
        brightness = batch.images.mean((1, 3)).unflatten(1, (4, 4)).mean(2)
        assert torch.equal(brightness.argmax(1), batch.labels)


def test_batches_depend_on_seed_and_epoch_only(data: TaskData, recipe: DistillationRecipe) -> None:
    first = collect(data, recipe, 3, 2)
    torch.rand(5)  # the global generator has no part in it
    again = collect(data, recipe, 3, 2)
    assert all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in zip(first, again, strict=True)
    )
    for seed, epoch in ((4, 2), (3, 3), (2, 3)):
        assert not torch.equal(collect(data, recipe, seed, epoch)[0].images, first[0].images)


def test_images_are_channels_last_in_the_wanted_precision(data: TaskData, recipe: DistillationRecipe) -> None:
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        images = collect(data, recipe, 0, 0, precision)[0].images
        assert images.dtype == dtype
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert images.min() >= -1 and images.max() <= 1


def test_too_few_images_are_refused(data: TaskData, recipe: DistillationRecipe) -> None:
    few = replace(data, train_images=data.train_images[:15], train_labels=data.train_labels[:15])
    with pytest.raises(UsageError, match=r"15 training images, .*16: .*batch_size"):
        collect(few, recipe, 0, 0)
