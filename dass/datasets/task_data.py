"""One task's images as training and evaluation see them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TaskData:
    """Images and labels of one task; every dataset ends up in this form.

    Attributes:
        name: the task, such as "split3" or "digits".
        classes: class names; a label is an index into them.
        train_images: uint8 [n, 3, h, w] with channels-last strides; may be backed by a memory map (copy on write,
            so writing to it never reaches the file).
        train_labels: class of each training image, int64 [n], 0..len(classes)-1.
        test_images: uint8 [m, 3, h, w], as `train_images`.
        test_labels: class of each test image, int64 [m].
        data_id: 12 hex digits that name the packed dataset's content and the images used of it.
    """

    name: str
    classes: tuple[str, ...]
    train_images: "Tensor"
    train_labels: "Tensor"
    test_images: "Tensor"
    test_labels: "Tensor"
    data_id: str

    @property
    def resolution(self) -> int:
        """Side of the square images, in pixels."""
        return self.train_images.shape[-1]

    def to(self, device: "torch.device | str") -> "TaskData":
        """The same data with its tensors on `device`, strides kept; no copy where they already are.

        Images that would take more than half of a GPU's free memory stay where they are, on disk behind a memory map as
        a rule: what looks at them takes them batch by batch to where the labels are.
        """
        moved = _too_many(self, device)
        return replace(
            self,
            train_images=self.train_images if moved else self.train_images.to(device),
            train_labels=self.train_labels.to(device),
            test_images=self.test_images if moved else self.test_images.to(device),
            test_labels=self.test_labels.to(device),
        )


def _too_many(data: TaskData, device: "torch.device | str") -> bool:
    import torch

    target = torch.device(device)
    if target.type != "cuda":
        return False
    new = sum(images.nbytes for images in (data.train_images, data.test_images) if images.device.type != "cuda")
    return new > torch.cuda.mem_get_info(target)[0] / 2
