"""Served models and what people and adversaries send them: never a 5xx, never a wrong class.

A new report is one more row of `ANSWERED` or `REFUSED`.
"""

import base64
import http.client
import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from PIL import Image

from benchmarks.serving import served as in_thread
from dass.datasets.decoding import decode
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.tracking import scorer, scoring_app, serving
from dass.tracking.scoring_app import ScoringApp
from dass.tracking.serving import bind, load_app
from dass.tracking.store import Store, import_quietly
from dass.tracking.student_model import StudentModel, save_student_model

MAX_BYTES = 200_000
SIDE = 8
JSON = {"Content-Type": "application/json"}


def network() -> ElasticResNet:
    """Tells bright images from dark ones: the class is one of three bands of brightness."""
    torch.manual_seed(3)
    made = ElasticResNet(Architecture(((4,), (8,), (8,), (8,))), 3).train()
    with torch.no_grad():
        made(torch.rand(32, 3, SIDE, SIDE) * torch.linspace(0, 2, 32)[:, None, None, None] - 1)
    return made.eval()


CLASSES = ("ant", "bee", "cat")


def pictures(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model's folder."""
    import_quietly("mlflow.pyfunc.scoring_server")
    folder = tmp_path_factory.mktemp("served")
    save_student_model(folder / "student", network(), CLASSES, SIDE)
    mlflow.pyfunc.save_model(
        folder / "model", loader_module="dass.tracking.student_model", data_path=str(folder / "student"),
        signature=ModelSignature(outputs=Schema([ColSpec("string", "class")])), pip_requirements=["torch"],
        input_example=pictures(1),
    )  # fmt: skip
    return folder / "model"


@pytest.fixture(scope="module")
def address(served: Path) -> Iterator[tuple[str, int]]:
    """A real server of it, which waits for headers and bodies a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "HEADER_SECONDS", 1.0)
        patch.setattr(scoring_app, "BODY_SECONDS", 1.0)
        with in_thread(ScoringApp({"student": mlflow.pyfunc.load_model(str(served))}, MAX_BYTES)) as found:
            yield found


@pytest.fixture(scope="module")
def mlflows_address(served: Path) -> Iterator[tuple[str, int]]:
    """What `mlflow models serve` runs, with the same model."""
    from mlflow.pyfunc import scoring_server

    with in_thread(scoring_server.init(mlflow.pyfunc.load_model(str(served)))) as found:
        yield found


def ask(
    address: tuple[str, int], body: bytes, headers: dict[str, str] | None = None, method: str = "POST",
    path: str = "/invocations",
) -> tuple[int, bytes]:  # fmt: skip
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, body, JSON if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def inputs(images: Any) -> bytes:
    return json.dumps({"inputs": images.tolist() if isinstance(images, np.ndarray) else images}).encode()


def with_black(images: np.ndarray) -> np.ndarray:
    return np.concatenate([images[:3], np.zeros_like(images[:1])])


# what is sent -> the pixels that it stands for
ANSWERED: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "whole numbers 0..255": (lambda x: x, lambda x: x),
    "floats 0..255": (lambda x: x.astype(float), lambda x: x),
    "floats 0..255 with fractions": (lambda x: np.clip(x + 0.3, 0, 255), lambda x: x),
    "floats 0..1": (lambda x: x / 255, lambda x: x),
    "floats 0..1 of four digits": (lambda x: (x / 255).round(4), lambda x: x),
    "floats 0..1, one image black": (lambda x: with_black(x / 255), with_black),
    "floats 0..255, one image black": (lambda x: with_black(x / 1.0), with_black),
    "dark floats 0..1": (lambda x: (x // 10) / 255, lambda x: x // 10),
    "black": (lambda x: x * 0, lambda x: x * 0),
    "no images": (lambda x: x[:0].reshape(0, SIDE, SIDE, 3), lambda x: x[:0]),
}


@pytest.mark.parametrize("row", [row for row in ANSWERED if row != "no images"])
def test_answered_over_http(row: str, address: tuple[str, int]) -> None:
    send, meant = ANSWERED[row]
    status, answer = ask(address, inputs(send(pictures())))
    assert status == 200, answer
    rows = json.loads(answer)["predictions"]
    expected = StudentModel(network(), CLASSES, SIDE).probabilities(meant(pictures()))
    np.testing.assert_allclose([[one[f"p_{name}"] for name in CLASSES] for one in rows], expected, atol=1e-5)
    assert [one["class"] for one in rows] == [CLASSES[index] for index in expected.argmax(axis=1)]


WHOLE, FRACTIONS = ("uint8", "int16", "int64", "uint64"), ("float16", "float32", "float64")


@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        (row, dtype)
        for row, (send, _) in ANSWERED.items()
        for dtype in (*(WHOLE if send(pictures()).dtype.kind == "u" else ()), *FRACTIONS)
    ],
)
def test_answered_in_python(row: str, dtype: str) -> None:
    send, meant = ANSWERED[row]
    sent = send(pictures())
    model = StudentModel(network(), CLASSES, SIDE)
    found = model.predict(sent.astype(dtype)).iloc[:, 2:].to_numpy(dtype=float)
    np.testing.assert_allclose(found, model.probabilities(meant(pictures())), atol=0.02 if dtype == "float16" else 1e-5)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"a": np.zeros(100)}).to_parquet(buffer)
    return buffer.getvalue()


def file(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def photo(seed: int) -> np.ndarray:
    """Of no particular size."""
    return np.random.default_rng(seed).integers(0, 256, (11 + seed, 14, 3), dtype=np.uint8)


def bomb(pixels: int) -> bytes:
    """A small file that says it has many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (pixels // 5_000, 5_000)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = [file(photo(seed), kind) for seed, kind in enumerate(("PNG", "JPEG", "WEBP"))]
TEXTS = [text(each) for each in FILES]
# MLflow's forms of a request for the three files
FORMS: dict[str, dict[str, Any]] = {
    "inputs": {"inputs": TEXTS},
    "inputs, a column": {"inputs": {"image": TEXTS}},
    "instances": {"instances": TEXTS},
    "instances, objects": {"instances": [{"b64": each} for each in TEXTS]},
    "dataframe_split": {"dataframe_split": {"columns": ["image"], "data": [[each] for each in TEXTS]}},
    "dataframe_split with index": {
        "dataframe_split": {"index": [7, 8, 9], "columns": ["image"], "data": [[each] for each in TEXTS]}
    },
    "dataframe_records": {"dataframe_records": [{"image": each} for each in TEXTS]},
}


@pytest.mark.parametrize("row", FORMS)
def test_files_are_answered_as_training_would_have_seen_them(row: str, address: tuple[str, int]) -> None:
    status, answer = ask(address, json.dumps(FORMS[row]).encode())
    assert status == 200, answer
    rows = json.loads(answer)["predictions"]
    pixels = np.stack([decode(each, SIDE).pixels for each in FILES])
    expected = StudentModel(network(), CLASSES, SIDE).probabilities(pixels)
    np.testing.assert_allclose([[one[f"p_{name}"] for name in CLASSES] for one in rows], expected, atol=1e-5)


@pytest.mark.parametrize("row", FORMS)
def test_mlflows_own_server_gives_the_same_answer(
    row: str, address: tuple[str, int], mlflows_address: tuple[str, int]
) -> None:
    body = json.dumps(FORMS[row]).encode()
    status, answer = ask(mlflows_address, body)
    assert (status, json.loads(answer)) == (200, json.loads(ask(address, body)[1]))


@pytest.mark.parametrize("row", ["a file's name", "base64 of no image", "channels first", "a file of too many pixels"])
def test_mlflows_own_server_refuses_with_one_reason(row: str, mlflows_address: tuple[str, int]) -> None:
    status, answer = ask(mlflows_address, REFUSED[row][1])
    assert (status, json.loads(answer)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert len(json.loads(answer)["message"]) < 500


def test_long_runs_of_digits_in_base64_are_no_number(address: tuple[str, int]) -> None:
    flat = np.frombuffer(base64.b64decode("0000"), dtype=np.uint8)[::-1]  # which BMP turns round
    sent = text(file(np.tile(flat, (24, 24, 1)), "BMP"))
    assert "0" * 500 in sent
    assert ask(address, inputs([sent]))[0] == 200


def image(value: Any, count: int = 1) -> list[Any]:
    return [[[[value] * 3] * SIDE] * SIDE] * count


UNIT = (pictures() / 255).tolist()
# what is sent -> status, body, headers
REFUSED: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "normalised -1..1": (400, inputs(pictures() / 127.5 - 1), JSON),
    "normalised by mean and std": (400, inputs(np.abs(pictures() / 60.0)), JSON),
    "beyond 1 by little": (400, inputs(pictures() / 254.0), JSON),
    "both scales": (400, inputs([*UNIT[:2], *pictures(2).tolist()]), JSON),
    "whole numbers 0 and 1": (400, inputs(pictures() // 128), JSON),
    "above 255": (400, inputs(image(300)), JSON),
    "below 0": (400, inputs(image(-1)), JSON),
    "NaN": (400, inputs(image(float("nan"))), JSON),
    "infinity": (400, b'{"inputs": ' + json.dumps(image(7)).encode().replace(b"7", b"1e999", 1) + b"}", JSON),
    "truth values": (400, inputs(image(True)), JSON),
    "text": (400, inputs(image("r")), JSON),
    "nulls": (400, inputs(image(None)), JSON),
    "channels first": (400, inputs(pictures().transpose(0, 3, 1, 2)), JSON),
    "two channels": (400, inputs(pictures()[..., :2]), JSON),
    "a row of pixels": (400, inputs(pictures()[0, 0]), JSON),
    "a file's name": (400, inputs(["/etc/passwd"]), JSON),
    "an address": (400, inputs(["http://127.0.0.1/image.png"]), JSON),
    "base64 of no image": (400, inputs([base64.b64encode(b"hello" * 20).decode()]), JSON),
    "half a file": (400, inputs([text(file(photo(0)))[:400]]), JSON),
    "a file and text": (400, inputs([text(file(photo(0))), "r"]), JSON),
    "text within an image": (400, inputs([[["x" * 100] * 3, ["y" * 100]]]), JSON),
    "a 16-bit file of 12 bits": (400, inputs([text(file(np.full((9, 9), 4000, dtype=np.uint16)))]), JSON),
    "a file of too many pixels": (400, inputs([text(bomb(60_000_000))]), JSON),
    "files of too many pixels together": (413, inputs([text(bomb(40_000_000))] * 3), JSON),
    "too many images": (413, inputs([[[[255, 255, 255]] * 2]] * 4_100), JSON),
    "many short texts": (400, inputs(["AAAA"] * 20_000), JSON),
    "many small objects": (400, b'{"inputs": [' + b'{"a":1},' * 20_000 + b"1]}", JSON),
    "a table of two columns": (400, json.dumps({"dataframe_records": [{"a": "x", "b": "y"}]}).encode(), JSON),
    "a table of rows of two": (
        400, json.dumps({"dataframe_split": {"columns": ["a"], "data": [["x", "y"]]}}).encode(), JSON,
    ),
    "a table without rows": (400, json.dumps({"dataframe_split": {"columns": ["a"]}}).encode(), JSON),
    "records that are none": (400, json.dumps({"dataframe_records": "x"}).encode(), JSON),
    "ragged": (400, inputs([[[[0, 0, 0]], [[0]]]]), JSON),
    "a word": (400, inputs("cat"), JSON),
    "another key": (400, json.dumps({"images": UNIT}).encode(), JSON),
    "two keys": (400, json.dumps({"inputs": UNIT, "instances": UNIT}).encode(), JSON),
    "params": (400, json.dumps({"inputs": "x", "params": [1]}).encode(), JSON),
    "a data frame": (400, json.dumps({"dataframe_split": {"columns": ["a"], "data": [[1]]}}).encode(), JSON),
    "a list": (400, b"[1, 2]", JSON),
    "a number": (400, b"7", JSON),
    "no body": (400, b"", JSON),
    "no JSON": (400, b'{"inputs": [', JSON),
    "no UTF-8": (400, b'{"inputs": "\xff\xfe"}', JSON),
    "UTF-16": (400, '{"inputs": 1}'.encode("utf-16"), JSON),
    "deep": (400, b'{"inputs": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", JSON),
    "deep objects": (400, b'{"inputs":' * 9_000 + b"1" + b"}" * 9_000, JSON),
    "a long number": (400, b'{"inputs": [' + b"9" * 5_000 + b"]}", JSON),
    "many empty lists": (400, b'{"inputs": [' + b"[]," * 60_000 + b"[]]}", JSON),
    "texts of unlike length": (400, b'{"inputs": ["' + b"x" * 50_000 + b'"' + b',""' * 40_000 + b"]}", JSON),
    "lists of one": (400, b'{"inputs": [' + b"[1]," * 40_000 + b"[1]]}", JSON),
    "too large": (413, b" " * (MAX_BYTES + 1), JSON),
    "parquet": (415, parquet(), {"Content-Type": "application/vnd.apache.parquet"}),
    "CSV": (415, b"a,b\n1,2\n", {"Content-Type": "text/csv"}),
    "no content type": (415, inputs(UNIT), {}),
    "another character set": (415, inputs(UNIT), {"Content-Type": "application/json; charset=utf-16"}),
    "another parameter": (415, inputs(UNIT), {"Content-Type": "application/json; boundary=x"}),
    "compressed": (415, inputs(UNIT), {**JSON, "Content-Encoding": "gzip"}),
    "a huge announcement": (413, b"", {**JSON, "Content-Length": str(10**15)}),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_refused(row: str, address: tuple[str, int]) -> None:
    status, body, headers = REFUSED[row]
    found, answer = ask(address, body, headers)
    assert found == status, answer
    reason = json.loads(answer)["message"]
    assert reason.isprintable() and len(reason) < 500
    assert "[[" not in reason and "Traceback" not in reason
    assert ask(address, inputs(pictures()))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 200), ("GET", "/health", 200), ("GET", "/version", 200), ("HEAD", "/ping", 200),
        ("GET", "/invocations", 405), ("PUT", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/docs", 404),
        ("POST", "/", 404),
    ],
)  # fmt: skip
def test_pages(method: str, path: str, status: int, address: tuple[str, int]) -> None:
    assert ask(address, b"", {}, method, path)[0] == status


def test_a_request_takes_memory_in_proportion_to_its_size() -> None:
    """Of a model of another kind, whose input MLflow parses: what is sent there is bounded before it is parsed."""
    with pytest.raises(scorer.RefusedError):
        scorer.check_texts(b'["' + b"x" * 5_000 + b'"' + b',""' * 50_000 + b"]")
    architectures = json.dumps({"inputs": [json.dumps({"widths": [[2], [4], [4], [8]]})] * 5_000}).encode()
    scorer.check_json(architectures, scorer.BYTES_PER_LIST)
    scorer.check_texts(architectures)
    scorer.check_json(inputs(pictures(100)), scorer.BYTES_PER_PIXEL)


def test_content_types_as_clients_write_them(address: tuple[str, int]) -> None:
    for kind in ("application/json", "Application/JSON; charset=UTF-8", 'application/json; charset="utf-8"'):
        assert ask(address, inputs(pictures()), {"Content-Type": kind})[0] == 200


@pytest.mark.parametrize("sent", [b"", b"POST /invoc", b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-"])
def test_half_sent_headers_are_hung_up_on(sent: bytes, address: tuple[str, int]) -> None:
    connections = [socket.create_connection(address, timeout=20) for _ in range(30)]
    for connection in connections:
        connection.sendall(sent)
    assert ask(address, inputs(pictures()))[0] == 200
    for connection in connections:
        with connection:
            assert connection.recv(1000) == b""


def test_a_byte_now_and_then_does_not_keep_a_connection(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)


def test_a_slow_body_is_answered_408(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        connection.sendall(head)
        assert b" 408 " in connection.recv(1000)


def test_many_connections_leave_room_for_others(address: tuple[str, int]) -> None:
    connections = [socket.create_connection(address, timeout=20) for _ in range(serving.CONNECTIONS + 50)]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # the first are hung up on while the last are still there
        try:
            assert ask(address, inputs(pictures()))[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.1)
    else:
        pytest.fail("no answer")
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(
    "uri",
    [
        "models:/nothing/1", "models:/dass-student-pets/9", "models:/dass-student-pets@nobody", "runs:/abc/model",
        "/tmp", ".", "mlartifacts", "models:/dass-student-pets", "models:/m-0123456789abcdef", "file:///etc",
        "http://example.org/model", "models:/../1", "",
    ],
)  # fmt: skip
def test_addresses_of_no_registered_model(uri: str, store: Store, register: Callable[..., Any]) -> None:
    if uri.startswith("models:/dass"):
        register(2)
    with pytest.raises(UsageError) as caught:
        load_app(store, [uri], MAX_BYTES)
    assert str(caught.value).isprintable()


def test_a_student_filed_before_sees_fractions_too(store: Store, tmp_path: Path) -> None:
    save_student_model(tmp_path / "student", network(), CLASSES, SIDE)
    old = ModelSignature(Schema([TensorSpec(np.dtype(np.uint8), (-1, SIDE, SIDE, 3))]))
    mlflow.pyfunc.save_model(
        tmp_path / "model", loader_module="dass.tracking.student_model", data_path=str(tmp_path / "student"),
        signature=old, pip_requirements=["torch"],
        input_example=pictures(1),
    )  # fmt: skip
    store.client.create_registered_model("old")
    store.client.create_model_version("old", str(tmp_path / "model"))
    app = load_app(store, ["models:/old/1"], MAX_BYTES)
    rows = json.loads(app._scorers["old"].score(inputs(pictures() / 255)).body)["predictions"]
    expected = StudentModel(network(), CLASSES, SIDE).probabilities(pictures())
    np.testing.assert_allclose([[one[f"p_{name}"] for name in CLASSES] for one in rows], expected, atol=1e-5)


@pytest.fixture(scope="module")
def two(served: Path) -> Iterator[tuple[str, int]]:
    """A server of two models."""
    model = mlflow.pyfunc.load_model(str(served))
    with in_thread(ScoringApp({"ants": model, "bees": model}, MAX_BYTES)) as found:
        yield found


def counted(address: tuple[str, int]) -> dict[str, float]:
    """The lines of /metrics."""
    status, text = ask(address, b"", {}, "GET", "/metrics")
    assert status == 200
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_each_of_several_models_has_its_path_and_its_counters(two: tuple[str, int]) -> None:
    before = counted(two)
    assert ask(two, inputs(pictures()), path="/models/ants/invocations")[0] == 200
    assert ask(two, inputs(pictures()), path="/models/bees/invocations")[0] == 200
    assert ask(two, b"no JSON", path="/models/bees/invocations")[0] == 400
    assert json.loads(ask(two, b"", {}, "GET", "/models")[1]) == {"models": ["ants", "bees"]}
    for path, status in (
        ("/invocations", 404), ("/models/cats/invocations", 404), ("/models/ants", 404), ("/models//invocations", 404),
    ):  # fmt: skip
        found, answer = ask(two, inputs(pictures()), path=path)
        assert (found, "ants, bees" in json.loads(answer)["message"]) == (status, True)
    assert ask(two, b"", {}, "GET", "/models/ants/invocations")[0] == 405
    after = counted(two)
    for name, more in (
        ('dass_requests_total{model="ants",status="200"}', 1),
        ('dass_requests_total{model="bees",status="400"}', 1),
        ('dass_request_seconds_count{model="bees"}', 2),
    ):
        assert after[name] - before.get(name, 0) == more
    assert after['dass_request_seconds_sum{model="ants"}'] > before['dass_request_seconds_sum{model="ants"}']


def test_one_model_has_both_paths(address: tuple[str, int]) -> None:
    assert ask(address, inputs(pictures()), path="/models/student/invocations") == ask(address, inputs(pictures()))


def test_two_models_of_one_name_are_told_apart_by_another(store: Store, register: Callable[..., Any]) -> None:
    register(2)
    uri = "models:/dass-student-pets/1"
    with pytest.raises(UsageError, match="dass-student-pets"):
        load_app(store, [uri, uri], MAX_BYTES)
    assert load_app(store, [uri, f"other={uri}"], MAX_BYTES).names == ("dass-student-pets", "other")


def test_2000_hostile_requests_to_several_models_leave_them_well(two: tuple[str, int]) -> None:
    """No 5xx, the right answer afterwards, and no memory that grows with the number of requests."""
    rows = [row for row in REFUSED.values() if len(row[1]) < 30_000]

    def attack(count: int) -> set[int]:
        statuses = set()
        for number in range(count):
            status, body, headers = rows[number % len(rows)]
            name = ("ants", "bees", "nobody", "..", "%2e%2e", "a" * 500)[number % 6]
            found, _ = ask(two, body, headers, path=f"/models/{name}/invocations")
            assert found == (status if name in ("ants", "bees") else 404)
            statuses.add(found)
        return statuses

    attack(300)
    before, lines = psutil.Process().memory_info().rss, len(counted(two))
    statuses = attack(1700)
    assert statuses and all(400 <= status < 500 for status in statuses)
    assert psutil.Process().memory_info().rss - before < 100e6
    assert len(counted(two)) == lines
    assert ask(two, inputs(pictures()), path="/models/ants/invocations")[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_address_is_taken_before_it_is_told(host: str) -> None:
    """A taken port and an address of another machine are errors of one line."""
    try:
        listening = bind(host, 0)
    except UsageError:
        pytest.skip(f"{host} is no address here")
    with listening:
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)):
            bind(host, port)
    with pytest.raises(UsageError):
        bind("203.0.113.7", 5001)
