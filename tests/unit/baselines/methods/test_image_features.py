"""A network's pooled features, class by class."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dass.baselines.methods.image_features import ClassFeatures, class_features, pooled_features
from dass.datasets.augment import normalize
from dass.errors import DassError
from dass.tasks.ranking import RankingTask


def test_features_are_what_the_classifier_sees(target: RankingTask) -> None:
    teacher, images = target.teacher, target.data.train_images
    features = pooled_features(teacher, images, "float32")
    with torch.no_grad():
        torch.testing.assert_close(teacher.classifier(features), teacher(normalize(images)))


def test_each_class_has_its_own_images(target: RankingTask) -> None:
    found = class_features(target, target.teacher, per_class=5, seed=0, precision="float32")
    assert [len(features) for features in found.classes] == [5, 5, 5]
    everything = pooled_features(target.teacher, target.data.train_images, "float32")
    for label, features in enumerate(found.classes):
        own = everything[target.data.train_labels == label]
        nearest = torch.cdist(features, own).min(1)
        assert nearest.values.max() < 1e-4
        assert len(set(nearest.indices.tolist())) == 5


def test_a_task_without_images_is_refused(target: RankingTask) -> None:
    data = replace(target.data, train_images=target.data.train_images[:0], train_labels=target.data.train_labels[:0])
    with pytest.raises(DassError, match="no training images"):
        class_features(replace(target, data=data), target.teacher, per_class=5, seed=0, precision="float32")


def test_small_classes_repeat_images() -> None:
    features = ClassFeatures((torch.arange(8.0)[:, None], torch.arange(2.0)[:, None]))
    drawn = features.draw(6, np.random.default_rng(0))
    assert drawn.shape == (2, 6, 1)
    assert len(set(drawn[0, :, 0].tolist())) == 6
    assert set(drawn[1, :, 0].tolist()) <= {0.0, 1.0}
