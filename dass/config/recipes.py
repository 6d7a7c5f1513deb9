"""Blocks `teacher` and `distillation` of params.yaml: how networks are trained."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from dass.config.values import Block
from dass.files import content_id

USUAL_BATCH = 64  # images per step, where no recipe is given


class Augmentation(Block):
    """Random changes of a training image.

    Attributes:
        flip: horizontal flip with probability one half.
        crop_padding: pixels of zero padding before a random crop back to the resolution; 0 for none.
    """

    flip: bool
    crop_padding: int = Field(ge=0, le=64)


class Recipe(Block):
    """SGD with Nesterov momentum and a cosine from `learning_rate` to 0 over all steps.

    Attributes:
        epochs: passes over the training images.
        min_steps: a small dataset gets as many whole epochs as make this many steps, see `for_images`.
        batch_size: images per step; the last, partial batch of an epoch is left out in training.
        precision: `auto` means bfloat16 autocast where the hardware computes in it, else float32.
    """

    epochs: int = Field(ge=1, le=2000)
    min_steps: int = Field(ge=0, le=1_000_000, default=0)
    batch_size: int = Field(ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0, le=1)
    augmentation: Augmentation
    precision: Literal["auto", "float32", "bfloat16"]

    def for_images(self, count: int) -> Self:
        """The recipe as a dataset of `count` training images gets it: enough epochs for `min_steps`."""
        steps = max(count // self.batch_size, 1)
        return self.model_copy(update={"epochs": max(self.epochs, math.ceil(self.min_steps / steps)), "min_steps": 0})


class TeacherRecipe(Recipe):
    """How a teacher is trained: cross entropy with label smoothing.

    Attributes:
        warmup_epochs: epochs of linear warm-up from 0, within `epochs`.
    """

    label_smoothing: float = Field(ge=0, lt=1)
    warmup_epochs: int = Field(ge=0, le=100, default=0)

    @model_validator(mode="after")
    def _fits(self) -> "TeacherRecipe":
        if self.warmup_epochs > self.epochs:
            raise ValueError("warmup_epochs cannot exceed epochs")
        return self


class DistillationRecipe(Recipe):
    """How a student is distilled from its remapped start (Eqs. 11-12 as the authors run them).

    Attributes:
        alpha: weight of the labels' cross entropy; 1 - alpha goes to the teacher's soft labels.
        temperature: T of Eq. 11.
        evaluations: evenly spaced test evaluations, the last at the end; `best_accuracy` is their maximum.
    """

    alpha: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0, le=100)
    evaluations: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _fits(self) -> "DistillationRecipe":
        if self.evaluations > self.epochs:
            raise ValueError("evaluations cannot exceed epochs")
        return self

    @classmethod
    def usual(cls, images: int, resolution: int, epochs: int = 1) -> Self:
        """The paper's recipe, with a crop that fits the images and a batch that small sets can fill.

        Args:
            images: number of training images.
            resolution: side of the images in pixels.
            epochs: passes over the training images, at least 1.
        """
        return cls(
            epochs=epochs,
            batch_size=max(2, min(USUAL_BATCH, images // 4)),
            learning_rate=0.05,
            momentum=0.9,
            weight_decay=3e-5,
            augmentation=Augmentation(flip=True, crop_padding=resolution // 8),
            precision="auto",
            alpha=0.5,
            temperature=6.0,
            evaluations=1,
        )


RECIPE_VERSION = 1  # raised by hand when a change of dass/training or dass/datasets changes results


PRECISIONS = ("float32", "bfloat16")


def recipe_ids(recipe: Recipe, precision: str) -> tuple[str, ...]:
    """Names of a recipe: that for this machine's precision first, then those that count as the same.

    Where the recipe leaves the precision to the machine, results of a machine that computes in another one count too,
    so that work goes on anywhere.

    Args:
        recipe: how teachers are trained or students distilled.
        precision: `float32` or `bfloat16`, of this machine.
    """
    others = [one for one in PRECISIONS if one != precision] if recipe.precision == "auto" else []
    return tuple(recipe_id(recipe, one) for one in (precision, *others))


def recipe_id(recipe: Recipe, precision: str) -> str:
    """Short id of everything in a recipe that can change a result.

    Args:
        recipe: recipe of a teacher's training or a student's distillation.
        precision: what `auto` came to on this device, `float32` or `bfloat16`.
    """
    return content_id({**recipe.model_dump(mode="json"), "precision": precision, "version": RECIPE_VERSION})
