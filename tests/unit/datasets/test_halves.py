import torch

from dass.datasets.halves import halved
from dass.datasets.task_data import TaskData


def task(train: list[int], test: list[int]) -> TaskData:
    images = torch.arange(len(train) + len(test), dtype=torch.uint8)[:, None, None, None].expand(-1, 4, 4, 3)
    images = images.contiguous().permute(0, 3, 1, 2)
    return TaskData(
        "small", ("a", "b"), images[: len(train)], torch.tensor(train), images[len(train) :], torch.tensor(test), "id"
    )


def test_half_of_each_class_is_for_training_and_no_image_is_lost_or_doubled() -> None:
    data = task([0] * 6 + [1] * 5, [0] * 2 + [1] * 2)
    found = halved(data)
    assert found.train_labels.bincount().tolist() == [4, 3]
    assert found.test_labels.bincount().tolist() == [4, 4]
    values = torch.cat([found.train_images, found.test_images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(15))


def test_images_keep_their_labels_and_their_channels_last_strides() -> None:
    data = task([0, 1, 0, 1, 0, 1], [1, 0])
    label = dict(enumerate([0, 1, 0, 1, 0, 1, 1, 0]))
    found = halved(data)
    for images, labels in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert [label[int(value)] for value in images[:, 0, 0, 0]] == labels.tolist()


def test_the_same_images_are_always_divided_alike_and_the_halves_have_a_name_of_their_own() -> None:
    data = task([0] * 9 + [1] * 9, [0, 1])
    first, second = halved(data), halved(data)
    assert torch.equal(first.train_images, second.train_images)
    assert first.data_id == second.data_id != data.data_id
