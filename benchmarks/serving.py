"""A JPEG over HTTP, one image a request: MLflow's own server of a student against ours."""

import base64
import http.client
import io
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from PIL import Image

from benchmarks.report import BenchmarkRow, peak_memory_mib, reset_peak_memory
from dass.families.cifar_resnet import CifarResNet
from dass.families.torchvision_resnet import TorchvisionResNet
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.tracking.scoring_app import ScoringApp
from dass.tracking.serving import make_server
from dass.tracking.store import import_quietly
from dass.tracking.student_model import save_student_model

CLASSES = tuple(f"class {number}" for number in range(10))
STUDENTS = {
    "ResNet-20": (CifarResNet.networks()["resnet20"], 32),
    "resnet18": (TorchvisionResNet.networks()["resnet18"], 224),
}
MAX_BYTES = 16_000_000


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures answers to a photograph of 500x375 pixels.

    Args:
        quick: fewer requests, the smaller student.
    """
    import_quietly("mlflow.pyfunc.scoring_server")
    return [_compare(name, 20 if quick else 200) for name in list(STUDENTS)[: 1 if quick else None]]


def _compare(name: str, requests: int) -> BenchmarkRow:
    from mlflow.pyfunc import scoring_server

    (family, widths), resolution = STUDENTS[name]
    with tempfile.TemporaryDirectory() as folder:
        model = _saved(ElasticResNet(Architecture(widths, family), len(CLASSES)).eval(), resolution, Path(folder))
        body = json.dumps({"inputs": [base64.b64encode(_photo()).decode()]}).encode()
        reset_peak_memory()
        with served(scoring_server.init(model)) as theirs, served(ScoringApp({"student": model}, MAX_BYTES)) as ours:
            for address in (theirs, ours):
                _ask(address, body)  # first-use costs
            pairs = [(_ask(theirs, body), _ask(ours, body)) for _ in range(requests)]
        direct = []
        for _ in range(requests):
            since = time.perf_counter()
            model.predict([_photo()])
            direct.append(time.perf_counter() - since)
    slow, fast = (median(pair[side] for pair in pairs) for side in (0, 1))
    late = quantiles([pair[1] for pair in pairs], n=20)[-1]
    return BenchmarkRow(
        name=f"a JPEG over HTTP, {name}, {resolution}x{resolution}, 95 of 100 in {1000 * late:.0f} ms; floor: no HTTP",
        naive_seconds=slow,
        ours_seconds=fast,
        ratio=slow / fast,
        floor_fraction=median(direct) / fast,
        peak_mib=peak_memory_mib(),
        rounds=requests,
    )


def _saved(network: ElasticResNet, resolution: int, folder: Path) -> Any:
    save_student_model(folder / "student", network, CLASSES, resolution)
    mlflow.pyfunc.save_model(
        folder / "model",
        loader_module="dass.tracking.student_model",
        data_path=str(folder / "student"),
        signature=ModelSignature(outputs=Schema([ColSpec("string", "class")])),
        pip_requirements=["torch"],
    )
    return mlflow.pyfunc.load_model(str(folder / "model"))


def _photo() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (25, 33, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC).save(data, "JPEG")
    return data.getvalue()


@contextmanager
def served(app: Any) -> Iterator[tuple[str, int]]:
    """Gives the address of an application that a thread serves meanwhile."""
    server = make_server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join()


def _ask(address: tuple[str, int], body: bytes) -> float:
    """Seconds from a new connection to the whole answer."""
    since = time.perf_counter()
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"a request was answered {answer.status}")
    return time.perf_counter() - since
