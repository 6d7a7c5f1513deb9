"""Students before training: loss, accuracy and batch statistics by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dass.baselines.methods.probes import probe_batch
from dass.baselines.methods.remapped import RemappedAccuracy, recalibrate
from dass.datasets.augment import normalize
from dass.errors import UsageError
from dass.networks.remapping import remap
from dass.tasks.ranking import RankingTask
from dass.training.evaluation import evaluate

CPU = torch.device("cpu")


def test_the_loss_by_hand(target: RankingTask) -> None:
    some = target.architectures[:4]
    images, labels = normalize(target.data.train_images), target.data.train_labels
    expected = []
    with torch.no_grad():
        soft = torch.softmax(target.teacher(images) / 4, 1)
        for architecture in some:
            logits = remap(target.teacher, architecture)(images)
            hard = -torch.log_softmax(logits, 1)[torch.arange(24), labels].mean()
            distilled = -(soft * torch.log_softmax(logits / 4, 1)).sum(1).mean()
            expected.append(-float(0.3 * hard + 0.7 * 16 * distilled))
    ranker = RemappedAccuracy("loss", alpha=0.3, temperature=4.0, precision="float32")
    np.testing.assert_allclose(ranker.score(target, some), expected, rtol=1e-5)


def test_accuracy_is_of_training_images(target: RankingTask) -> None:
    data = target.data
    swapped = replace(target, data=replace(data, test_images=data.train_images.flip(0)))
    some = target.architectures[:4]
    expected = [
        evaluate(remap(target.teacher, a), data.train_images, data.train_labels, "float32").accuracy for a in some
    ]
    np.testing.assert_allclose(RemappedAccuracy("accuracy", precision="float32").score(swapped, some), expected)
    few = RemappedAccuracy("accuracy", images=8, precision="float32").score(target, some)
    every_third = data.train_images[::3], data.train_labels[::3]
    assert few[0] == evaluate(remap(target.teacher, some[0]), *every_third, "float32").accuracy


def test_recalibrating_sets_the_statistics_of_the_batch(target: RankingTask) -> None:
    batch = probe_batch(target.data, 16, 0, CPU)
    student = remap(target.teacher, target.architectures[0])
    recalibrate(student, batch, "float32")
    entering = F.conv2d(batch.images, student.stem_conv.weight, padding=1).detach()
    norm = student.stem_bn
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, entering.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, entering.transpose(0, 1).flatten(1).var(1))
    assert not student.training
    assert norm.momentum == 0.1
    # In eval mode the student now does on this batch what it does in train mode, up to the variance's n - 1.
    with torch.no_grad():
        seen = student(batch.images)
        torch.testing.assert_close(seen, student.train()(batch.images), rtol=0.1, atol=0.05)


def test_recalibrating_matters_and_follows_its_seed(target: RankingTask) -> None:
    some = target.architectures[:4]
    plain, new, other = (
        RemappedAccuracy("loss", recalibrate=again, batch_size=8, seed=seed, precision="float32").score(target, some)
        for again, seed in ((False, 0), (True, 0), (True, 1))
    )
    assert (plain != new).all()
    assert (new != other).all()


def test_an_unknown_measure_is_refused(target: RankingTask) -> None:
    with pytest.raises(UsageError, match="unknown measure 'speed'"):
        RemappedAccuracy("speed").score(target, target.architectures)  # type: ignore[arg-type]
