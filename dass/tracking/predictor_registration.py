"""Files predictors in the registry: the meta-learned one, and the one adapted to a target."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dass.files import content_id, file_id
from dass.networks.checkpoint import TeacherCard, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard
from dass.tracking.adapted_model import ARCHITECTURE, MACS, PARAMETERS, save_adapted_model
from dass.tracking.lineage import Lineage
from dass.tracking.predictor_model import PREDICTED, SCORE, load_predictor_model, save_predictor_model
from dass.tracking.registry import ModelPackage, RegisteredVersion, find_version, register_model
from dass.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

PREDICTOR = "dass-predictor"
ABOUT = "Predictors of the accuracy that students reach after distillation, learned on source tasks."
_NEEDS = ("pydantic", "pyyaml")


def adapted_name(target: str) -> str:
    """Name of a target's adapted predictor."""
    return f"{PREDICTOR}-{target}"


def register_predictor(store: Store, run_id: str, *, checkpoint: Path, lineage: Lineage) -> RegisteredVersion:
    """Files a meta-learned predictor, inner rates included, as a new version of `dass-predictor`, without an alias.

    It has no test images to be promoted by: `make_champion` makes it champion.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the predictor's MLflow run.
        checkpoint: the safetensors file; its JSON lies beside it.
        lineage: code and data that it came from.

    Returns:
        The version; the one that is there already where the same predictor was filed before.

    Raises:
        DassError: a file is missing or damaged, or the store failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "predictor"
        save_predictor_model(folder, checkpoint)
        model = load_predictor_model(folder)
        tags = _tags(model.card, checkpoint)
        key = content_id(tags)
        students = 2  # for the example: the number that is free
        example = {
            name: np.zeros([students if size < 0 else size for size in shape], np.float32)
            for name, shape in model.shapes.items()
        }
        package = ModelPackage(
            loader="dass.tracking.predictor_model",
            folder=folder,
            signature=_predictor_signature(model.shapes),
            example=example,
            requirements=_NEEDS,
        )
        return find_version(store, PREDICTOR, key) or register_model(
            store,
            run_id,
            PREDICTOR,
            key=key,
            package=package,
            about=ABOUT,
            card=_markdown(model.card, tags),
            tags=tags,
            lineage=lineage,
        )


def register_adapted(
    store: Store,
    run_id: str,
    *,
    checkpoint: Path,
    teacher: ElasticResNet,
    teacher_card: TeacherCard,
    lineage: Lineage,
) -> RegisteredVersion:
    """Files the predictor adapted to a target: architecture JSON in, predicted accuracy out.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the target's MLflow run.
        checkpoint: file of the meta-learned predictor.
        teacher: teacher of the target.
        teacher_card: card of the teacher, whose accuracy is the guide.
        lineage: code and data that it came from.

    Returns:
        The version of `dass-predictor-<target>`, as in `register_predictor`.

    Raises:
        DassError: a file is missing or damaged, or the store failed.
    """
    name = adapted_name(teacher_card.task)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "adapted"
        save_adapted_model(folder, checkpoint, teacher, teacher_card)
        tags = {
            **_tags(load_predictor_model(folder).card, checkpoint),
            "target": teacher_card.task,
            "teacher_id": weights_id(teacher),
            "teacher_accuracy": f"{teacher_card.accuracy:.4f}",
            "data_id": teacher_card.data_id,
        }
        key = content_id(tags)
        example = pd.DataFrame({ARCHITECTURE: [json.dumps(teacher.architecture.to_json())] * 2})
        example.columns = example.columns.astype(object)  # MLflow compares them in a way that pandas 3 warns about
        package = ModelPackage(
            loader="dass.tracking.adapted_model",
            folder=folder,
            signature=_adapted_signature(),
            example=example,
            requirements=_NEEDS,
        )
        return find_version(store, name, key) or register_model(
            store,
            run_id,
            name,
            key=key,
            package=package,
            about=f"The paper's predictor, adapted to the teacher of `{teacher_card.task}`.",
            card=_adapted_markdown(name, tags),
            tags=tags,
            lineage=lineage,
        )


def _predictor_signature(shapes: dict[str, tuple[int, ...]]) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [TensorSpec(np.dtype(np.float32), s, name) for name, s in shapes.items()]
    return ModelSignature(
        Schema(inputs), Schema([ColSpec(DataType.double, PREDICTED), ColSpec(DataType.double, SCORE)])
    )


def _adapted_signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    outputs = [
        ColSpec(DataType.double, PREDICTED),
        ColSpec(DataType.double, SCORE),
        ColSpec(DataType.long, MACS),
        ColSpec(DataType.long, PARAMETERS),
    ]
    return ModelSignature(Schema([ColSpec(DataType.string, ARCHITECTURE)]), Schema([*outputs]))


def _tags(card: PredictorCard, checkpoint: Path) -> dict[str, str]:
    return {
        "predictor_id": file_id(checkpoint),
        "validation_src": f"{card.validation_src:.4f}",
        "training": ", ".join(card.training),
        "validation": ", ".join(card.validation),
        "resolution": str(card.resolution),
        "seed": str(card.seed),
    }


def _markdown(card: PredictorCard, tags: dict[str, str]) -> str:
    space = card.space
    return f"""# {PREDICTOR}

Predicts the accuracy that a student will reach after distillation, from its teacher, its remapped weights and its \
architecture. Meta-learned over {len(card.training)} tasks ({tags["training"]}), about {card.students:.0f} really \
distilled students each; chosen at episode {card.best_episode} of {card.episodes} on {tags["validation"]}: mean \
Spearman correlation {card.validation_src:.3f}.

Search space: widths {space.widths}, up to {space.max_depth} blocks per stage, ratios {space.ratios} per \
{space.granularity}. Noise image {card.resolution}x{card.resolution}, seed {card.noise_seed}. Inner rates are learned, \
one per weight, and part of the checkpoint. Seed {card.seed}, {card.precision}, {card.device}, torch \
{card.torch_version}, {card.seconds:.0f} s.

Load with `mlflow.pyfunc.load_model("models:/{PREDICTOR}@champion")`; it takes embeddings and codes as its signature \
says, adapts to the teacher by one guided step and answers `predicted_accuracy` in percent. For architectures of one \
target take `{PREDICTOR}-<target>`.

Limits: it ranks students of this space and noise image only; percentages are less reliable than their order.
"""


def _adapted_markdown(name: str, tags: dict[str, str]) -> str:
    return f"""# {name}

The predictor `{tags["predictor_id"]}` adapted to the task `{tags["target"]}` by its teacher `{tags["teacher_id"]}` \
({float(tags["teacher_accuracy"]):.2f} %): architecture JSON in, predicted accuracy after distillation out.

```python
import mlflow, pandas
model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict(pandas.DataFrame({{"architecture": ['{{"widths": [[16], [32], [64], [128]]}}']}}))
```

It answers `predicted_accuracy` (percent), `macs` and `parameters`. Architectures outside the search space are refused.
"""
