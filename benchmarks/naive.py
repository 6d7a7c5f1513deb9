"""The naive way to distil, as a first script would do it: what `benchmarks.distilling` and `loading` compare with."""

import math

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dass.config import Augmentation, DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images as PIL objects, each transformed when it is asked for."""

    def __init__(self, images: Tensor, labels: Tensor, augmentation: Augmentation | None) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()) for image in images]
        self.labels = labels.tolist()
        steps: list[object] = []
        if augmentation and augmentation.crop_padding:
            steps.append(transforms.RandomCrop(images.shape[-1], padding=augmentation.crop_padding))
        if augmentation and augmentation.flip:
            steps.append(transforms.RandomHorizontalFlip())
        steps += [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def distil_one(
    teacher: ElasticResNet,
    architecture: Architecture,
    train_loader: DataLoader[tuple[Tensor, int]],
    test_loader: DataLoader[tuple[Tensor, int]],
    recipe: DistillationRecipe,
    device: torch.device,
) -> float:
    """Distils one student in float32 and gives its final test accuracy in percent."""
    student = ElasticResNet(architecture, teacher.classes)
    weights = teacher.state_dict()
    sliced = {
        name: weights[name][tuple(slice(size) for size in value.shape)] for name, value in student.state_dict().items()
    }
    student.load_state_dict(sliced)
    student.to(device)
    teacher.to(device).eval()
    optimizer = torch.optim.SGD(
        student.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    total = recipe.epochs * len(train_loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / total)))
    check_after = recipe.epochs // recipe.evaluations
    for epoch in range(recipe.epochs):
        student.train()
        for batch, targets in train_loader:
            images, labels = batch.to(device), targets.to(device)
            with torch.no_grad():
                soft = F.softmax(teacher(images) / recipe.temperature, dim=1)
            logits = student(images)
            loss = recipe.alpha * F.cross_entropy(logits, labels)
            loss += (1 - recipe.alpha) * recipe.temperature**2 * F.cross_entropy(logits / recipe.temperature, soft)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if (epoch + 1) % check_after == 0:
            accuracy = test_accuracy(student, test_loader, device)
    return accuracy


@torch.no_grad()
def test_accuracy(network: ElasticResNet, loader: DataLoader[tuple[Tensor, int]], device: torch.device) -> float:
    """Percent of a loader's images."""
    network.eval()
    right = count = 0
    for images, labels in loader:
        right += (network(images.to(device)).argmax(1) == labels.to(device)).sum().item()
        count += len(labels)
    return 100 * right / count


def loaders(
    data: TaskData, recipe: DistillationRecipe
) -> tuple[DataLoader[tuple[Tensor, int]], DataLoader[tuple[Tensor, int]]]:
    """Loaders of the train and the test images."""
    train = PilImages(data.train_images, data.train_labels, recipe.augmentation)
    test = PilImages(data.test_images, data.test_labels, None)
    return DataLoader(train, recipe.batch_size, shuffle=True, drop_last=True), DataLoader(test, recipe.batch_size)
