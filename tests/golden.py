"""What must never change by accident: identities, costs, samples and numbers of the paper's family.

`python -m tests.golden` prints them as JSON; `unit/networks/golden_paper_resnet.json` holds what the code gave before
network families were introduced. `--exact` prints digests of every bit instead, to compare two trees on one machine.
"""

import hashlib
import json
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from dass.config import Augmentation, DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import embed, fixed_noise
from dass.proxies.noise import noise_rows
from dass.proxies.one_batch import one_batch_rows
from dass.proxies.size import size_rows
from dass.space.cost import CostLimits, cost
from dass.space.search_space import SearchSpace
from dass.training.recipes import distill

SPACES = {
    "demo": (SearchSpace((8, 16, 32, 64), 2, tuple(i / 8 for i in range(1, 9)), "block"), 16, 12),
    "small": (SearchSpace((16, 32, 64, 128), 3, tuple(i / 8 for i in range(1, 9)), "block"), 32, 12),
    "paper": (SearchSpace((32, 64, 128, 256), 5, tuple(i / 16 for i in range(8, 17)), "stage"), 32, 6),
}
CLASSES = 5
RECIPE = DistillationRecipe(
    epochs=2, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=3e-5, alpha=0.5, temperature=6.0,
    evaluations=2, augmentation=Augmentation(flip=True, crop_padding=2), precision="float32",
)  # fmt: skip


def teacher(space: SearchSpace) -> ElasticResNet:
    """A network whose weights come from whole numbers alone, the same on every machine."""
    network = ElasticResNet(space.largest, CLASSES)
    with torch.no_grad():
        for offset, (name, tensor) in enumerate(sorted(network.state_dict().items())):
            values = (torch.arange(tensor.numel(), dtype=torch.int64) * 7919 + 104729 * offset) % 1009
            if name.endswith("num_batches_tracked"):
                continue
            fraction = values.double() / 1009
            if name.endswith(("running_var", "bn1.weight", "bn2.weight", "stem_bn.weight")):
                filled = fraction + 0.5
            else:
                filled = (fraction - 0.5) * (2 / max(1, tensor[0].numel()) ** 0.5)
            tensor.copy_(filled.view(tensor.shape).float())
    return network.eval()


def task(resolution: int) -> TaskData:
    """Sixty training and forty test images of stripes and whole-number noise."""

    def part(count: int, offset: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(count) % CLASSES
        size = count * resolution * resolution * 3
        noise = ((torch.arange(size, dtype=torch.int64) * 6271 + offset) % 131).view(count, resolution, resolution, 3)
        for index, label in enumerate(labels.tolist()):
            noise[index, 2 * label : 2 * label + 2] += 120
        return noise.to(torch.uint8).permute(0, 3, 1, 2), labels

    names = tuple(f"class {index}" for index in range(CLASSES))
    return TaskData("golden", names, *part(60, 1), *part(40, 2), "0123456789ab")


def measure(name: str) -> dict[str, Any]:
    """Everything of one space, as JSON values and arrays."""
    space, resolution, count = SPACES[name]
    network, data = teacher(space), task(resolution)
    sampled = space.sample(count, np.random.default_rng(3))
    limits = CostLimits(resolution, CLASSES, max_macs=0.4 * cost(space.largest, resolution, CLASSES).macs)
    limited = space.sample(4, np.random.default_rng(4), limits)
    members = [space.largest, *sampled]
    noise = fixed_noise(resolution, 0)
    embeddings = [torch.empty(0)] * len(members)
    for piece in embed(network, members, noise):
        for index, embedding in zip(piece.indices.tolist(), piece.embeddings, strict=True):
            embeddings[index] = embedding
    found: dict[str, Any] = {
        "arch_ids": [one.arch_id for one in (*members, *limited)],
        "labels": [one.stage_label for one in members],
        "json": [one.to_json() for one in members[:3]],
        "costs": [asdict(cost(one, resolution, CLASSES)) for one in members],
        "code": hashlib.sha256(space.encode(members).tobytes()).hexdigest(),
        "weights_id": weights_id(network),
        "remapped_ids": [weights_id(remap(network, one)) for one in sampled[:4]],
        "embeddings": np.array([one.double().mean().item() for one in embeddings]),
        "free": size_rows(members, resolution, CLASSES, space.widths),
        "noise": noise_rows(network, members, noise),
        "recalibrated": one_batch_rows(
            network, members, data, alpha=0.5, temperature=6.0, images=32, precision="float32"
        ),
        "logits": network(torch.linspace(-1, 1, 3 * resolution * resolution).view(1, 3, resolution, resolution))
        .detach()
        .numpy(),
    }
    found["embedding_bits"] = torch.stack([one.contiguous() for one in embeddings]).numpy()
    torch.manual_seed(1)
    found["random_start"] = ElasticResNet(sampled[0], CLASSES).state_dict()["classifier.weight"].numpy()
    if name != "paper":
        [student] = distill(network, sampled[:1], data, RECIPE, seed=0, device=torch.device("cpu"))
        found["distilled"] = np.array([student.init_accuracy, student.final_accuracy, student.final_loss])
    return found


def main() -> None:
    """Prints the measurements as JSON, or the digests of all their bits."""
    torch.set_num_threads(1)
    found = {name: measure(name) for name in SPACES}
    for values in found.values():
        for key, value in list(values.items()):
            if not isinstance(value, np.ndarray):
                continue
            if "--exact" in sys.argv:
                values[key] = hashlib.sha256(value.tobytes()).hexdigest()
            elif key in ("embedding_bits", "random_start"):
                del values[key]
            else:
                values[key] = value.tolist()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
