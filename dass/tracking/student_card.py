"""The model card of a distilled student: what it is, where it came from, how good it is and where it stops."""

import math
from dataclasses import dataclass, replace

from dass.config import DistillationRecipe
from dass.datasets.decoding import RESIZE_RULE
from dass.space.architecture import Architecture
from dass.tracking.student_measures import Measures, cell


@dataclass(frozen=True)
class StudentCard:
    """What is known about a distilled student.

    Attributes:
        target: the task it was distilled for, as params.yaml names it.
        dataset: name of the packed dataset.
        data_id: 12 hex digits of the content of training and test images.
        classes: class names, in label order.
        resolution: side of the images in pixels.
        architecture: architecture of the network.
        macs: multiply-accumulates of one image, conv + linear.
        parameters: number of trained weights.
        teacher_id: 12 hex digits of the teacher's weights.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        predictor_id: the predictor that picked it; empty where none did.
        predicted_accuracy: percent, before distillation; None where it was not predicted.
        distilled_accuracy: percent of the test images at the end of distillation, not the best on the way.
        test_images: number of test images.
        recipe: recipe of the distillation.
        recipe_id: 12 hex digits of the recipe, precision included.
        seed: random seed of the distillation.
        licence: one sentence on the dataset's licence.
        measures: measurements at the registration; None before.
        pictures: addresses of pictures that the card shows, by what they show; none where no page has them.
    """

    target: str
    dataset: str
    data_id: str
    classes: tuple[str, ...]
    resolution: int
    architecture: Architecture
    macs: int
    parameters: int
    teacher_id: str
    teacher_accuracy: float
    predictor_id: str
    predicted_accuracy: float | None
    distilled_accuracy: float
    test_images: int
    recipe: DistillationRecipe
    recipe_id: str
    seed: int
    licence: str
    measures: Measures | None = None
    pictures: tuple[tuple[str, str], ...] = ()

    @property
    def standard_error(self) -> float:
        """Of the distilled accuracy, in percentage points (binomial, over test images)."""
        share = self.distilled_accuracy / 100
        return 100 * math.sqrt(max(share * (1 - share), 0.0) / self.test_images)

    @property
    def identity(self) -> dict[str, str]:
        """What tells a student from others: its tags without what was measured, which differs from time to time."""
        return replace(self, measures=None).tags()

    def tags(self) -> dict[str, str]:
        """The card's numbers as tags of a model version; accuracies in percent."""
        measured = {} if self.measures is None else self.measures.tags()
        predicted = {} if self.predicted_accuracy is None else {"predicted_accuracy": f"{self.predicted_accuracy:.4f}"}
        return (
            predicted
            | measured
            | {
                "target": self.target,
                "dataset": self.dataset,
                "data_id": self.data_id,
                "teacher_id": self.teacher_id,
                "predictor_id": self.predictor_id,
                "arch_id": self.architecture.arch_id,
                "family": self.architecture.family.name,
                "architecture": self.architecture.stage_label,
                "distilled_accuracy": f"{self.distilled_accuracy:.4f}",
                "test_images": str(self.test_images),
                "macs": str(self.macs),
                "parameters": str(self.parameters),
                "recipe_id": self.recipe_id,
                "seed": str(self.seed),
            }
        )

    def markdown(self, name: str) -> str:
        """The card as Markdown.

        Args:
            name: name of the registered model, for the lines that show how to load it.
        """
        predicted = "not predicted" if self.predicted_accuracy is None else f"{self.predicted_accuracy:.2f} %"
        predictor = f" by predictor `{self.predictor_id}`" if self.predictor_id else ""
        if self.predicted_accuracy is not None:
            predictor += (
                f"; what was reached differs by {self.distilled_accuracy - self.predicted_accuracy:+.2f} points"
            )
        names = ", ".join(cell(each) for each in self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        side = self.resolution
        augmentation = self.recipe.augmentation
        measures = self.measures
        rows = "".join(f"\n| {name} | {value} |" for name, value in (measures.rows() if measures else []))
        reached = f"\n{measures.classes()}\n" if measures else ""
        pictures = "".join(f"\n![{name}]({address})\n" for name, address in self.pictures)
        calibrated = measures.calibrated() if measures else "Its probabilities are not calibrated."
        return f"""# {name}

A small image classifier, distilled from a larger teacher for the task `{self.target}`.

| | |
| --- | --- |
| Task | {len(self.classes)} classes: {names} |
| Data | `{self.dataset}` at {side}x{side}, content `{self.data_id}` |
| Teacher | `{self.teacher_id}`, {self.teacher_accuracy:.2f} % |
| Family | {self.architecture.family.name} |
| Architecture | {self.architecture.stage_label} (depths / widths), id `{self.architecture.arch_id}` |
| Size | {self.parameters:,} parameters, {self.macs / 1e6:.2f} M multiply-accumulates per image |
| Predicted accuracy | {predicted}{predictor} |
| Distilled accuracy | {self.distilled_accuracy:.2f} % of {self.test_images} test images, \
standard error {self.standard_error:.2f} points |{rows}
{reached}{pictures}
## How it was made

Its weights started as slices of the teacher's and were distilled for {self.recipe.epochs} epochs: batches of \
{self.recipe.batch_size}, SGD at {self.recipe.learning_rate:g} with Nesterov momentum {self.recipe.momentum:g}, weight \
decay {self.recipe.weight_decay:g}, cosine to 0; labels weigh {self.recipe.alpha:g} and the teacher's soft labels \
{1 - self.recipe.alpha:g} at temperature {self.recipe.temperature:g}; flip {str(augmentation.flip).lower()}, crop \
padding {augmentation.crop_padding}. Recipe `{self.recipe_id}`, seed {self.seed}.

## How to use it

```python
import mlflow
model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict([open("photo.jpg", "rb").read()])  # files as bytes, one or more
model.predict(images)  # or arrays [n, height, width, 3] of any size, 0..255 or 0.0..1.0
```

It answers a table: `class`, `probability`, and `p_<name>` for every class. Over HTTP (`dass serve`, \
`mlflow models serve`) send files as base64 text, `{{"inputs": ["/9j/4AAQ..."]}}`, or numbers, \
`{{"inputs": [[[[r, g, b], ...], ...], ...]}}`; `instances` and a data frame of one column are understood, too.

## Limits

- Images of any size are brought to {side}x{side} as in training: {RESIZE_RULE}. What lies outside the central square \
is not seen.
- Numbers are whole ones 0..255, or floating-point ones of 0..1 or 0..255; anything else is refused.
- It knows these classes only and always names one of them. {calibrated}
- The accuracy is that of the test images named above. Other cameras, cropping or light will lower it.
- The weights follow the data. {self.licence}
"""
