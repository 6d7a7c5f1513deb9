"""Images held out of the training part."""

from dataclasses import replace

import pytest
import torch

from dass.datasets.validation import held_out, held_out_part
from dass.errors import UsageError
from tests.samples import rows_task


def test_a_tenth_of_each_class_is_held_out_and_nothing_is_in_both_parts() -> None:
    data = rows_task(train=200)
    divided = held_out(data, seed=0)
    assert torch.bincount(divided.test_labels).tolist() == [5, 5, 5, 5]
    assert len(divided.train_labels) == 180
    everything = {image.numpy().tobytes() for image in data.train_images}
    train, validation = (
        {image.numpy().tobytes() for image in part} for part in (divided.train_images, divided.test_images)
    )
    assert train | validation == everything
    assert not train & validation
    assert divided.data_id != data.data_id


def test_the_test_part_plays_no_role_and_the_seed_decides() -> None:
    data = rows_task(train=80)
    spoilt = replace(data, test_images=255 - data.test_images)
    assert torch.equal(held_out(data, 1).test_images, held_out(spoilt, 1).test_images)
    assert not torch.equal(held_out(data, 1).test_images, held_out(data, 2).test_images)


def test_a_class_keeps_one_image_to_train_on() -> None:
    data = rows_task(train=8)
    assert torch.bincount(held_out(data, 0).train_labels).tolist() == [1, 1, 1, 1]
    with pytest.raises(UsageError, match="two training images"):
        held_out(rows_task(train=4), 0)


def test_the_part_alone_is_the_same() -> None:
    data = rows_task(64)
    images, labels = held_out_part(data, 3)
    whole = held_out(data, 3)
    assert torch.equal(images, whole.test_images) and torch.equal(labels, whole.test_labels)
