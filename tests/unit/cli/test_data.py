import hashlib
import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from dass.cli.data import data_app
from dass.datasets import catalogue
from dass.datasets.catalogue import Remote, find_dataset
from dass.datasets.packed import open_packed
from dass.errors import DassError, UsageError
from dass.project import Project
from dass.tasks.stored import stored_target

PRESETS = Path(__file__).parents[3] / "presets"


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def images(tmp_path):
    """A class folder of the user's own."""
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            folder = tmp_path / "mine" / part / name
            folder.mkdir(parents=True)
            for shade in range(3):
                pixels = np.full((9, 9, 3), 100 * number + shade + 10 * (part == "test"), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{shade}.png")
    return tmp_path / "mine"


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(data_app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def _fail(*arguments: str) -> BaseException:
    result = CliRunner().invoke(data_app, list(arguments))
    assert isinstance(result.exception, DassError)
    return result.exception


def test_thin(images):
    said = _run("thin", "mine", "thin.zip", "--per-folder", "2")
    assert said.startswith("thin.zip: 4 of 6 training images, 0.0 MiB")
    assert "2 classes, 4 train and 6 test images" in _run("import", "mine", "thin.zip", "--resolution", "16")


def test_import_and_check(images):
    said = _run("import", "mine", "mine", "--resolution", "16")
    assert "data/raw/mine-16: 2 classes, 6 train and 6 test images; split: as given" in said
    open_packed(Path("data/raw/mine-16")).verify()
    said = _run("check", "mine", "--resolution", "16")
    assert "in train and test: 0" in said
    assert "cat" in said
    assert Path("reports/data/mine-16.png").is_file()


def test_import_at_the_resolutions_of_all_targets(images, tmp_path):
    values = yaml.safe_load((PRESETS / "demo.yaml").read_text())
    values["datasets"] = ["glyphs", "mine"]
    values["targets"] = {
        "here": {"dataset": "mine"}, "fine": {"dataset": "mine", "resolution": 32},
        "finer": {"dataset": "mine", "resolution": 40}, "same": {"dataset": "mine", "resolution": 16},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    _run("import", "mine", "mine")
    project = Project.open(tmp_path)
    assert [stored_target(project, name).load().resolution for name in values["targets"]] == [16, 32, 40, 16]
    assert {path.parent.name for path in (tmp_path / "data" / "raw").rglob("dataset.json")} == {
        "mine-16", "at-32", "at-40"
    }  # fmt: skip
    assert "mine at 40x40" in _run("list")
    _run("import", "mine", "mine")  # the new images at every resolution
    assert stored_target(project, "finer").load().resolution == 40


def test_duplicates_and_skipped_images_are_shown(images):
    (images / "test" / "dog" / "copy.png").write_bytes((images / "train" / "cat" / "2.png").read_bytes())
    for number in range(200):
        Image.new("RGB", (8, 8), (number, 50, 50)).save(images / "train" / "cat" / f"more{number}.png")
    (images / "train" / "cat" / "broken.png").write_bytes(b"no image")
    said = _run("import", "mine", "mine", "--resolution", "16", "--into", "elsewhere")
    assert "1 skipped; split: as given" in said
    assert "train/cat/broken.png" in said
    said = _run("check", "mine", "--resolution", "16", "--into", "elsewhere", "--sheet", "a/b.png")
    assert "in train and test: 1" in said
    assert "(cat) = test" in said
    assert "train: train/cat/broken.png" in said
    assert Path("a/b.png").is_file()


def test_the_output_names_classes_and_what_is_passed_over(images):
    (images / "train" / "cat" / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (images / "train" / "cat" / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (images / "extra").mkdir()
    (images / "extra" / "1.jpg").write_bytes((images / "train" / "cat" / "1.png").read_bytes())
    said = _run("import", "mine", "mine", "--resolution", "16")
    for text in ("classes: cat, dog", "2 .heic", "1 .jpg", "extra/ is not used"):
        assert text in said
    card = open_packed(Path("data/raw/mine-16")).card
    assert card.passed_over == {".heic": 2, ".jpg": 1}
    assert len(card.notes) == 1


def test_all_broken_images_are_listed_and_may_be_left_out(images):
    (images / "train" / "cat" / "0.png").write_bytes(b"no image")
    (images / "test" / "dog" / "2.png").write_bytes(b"")
    error = str(_fail("import", "mine", "mine", "--resolution", "16"))
    listed = Path("data/raw/mine-16-broken.txt")
    assert str(listed) in error and "--skip-broken" in error
    lines = [line.split("\t") for line in listed.read_text().splitlines()]
    assert [line[0] for line in lines] == ["train/cat/0.png", "test/dog/2.png"]
    assert all(len(line) == 2 and line[1] for line in lines)
    said = _run("import", "mine", "mine", "--resolution", "16", "--skip-broken")
    assert "5 train and 5 test images, 2 skipped" in said
    (images / "test" / "dog" / "0.png").write_bytes(b"")
    (images / "test" / "dog" / "1.png").write_bytes(b"")
    assert "no test image of class 'dog'" in str(_fail("import", "mine", "mine", "--resolution", "16", "--skip-broken"))


@pytest.mark.parametrize("ending", ["", ".jfif", ".jpe", ".JPG", ".img", ".png"])
@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "JPEG2000", "PNG", "WEBP"])
def test_an_image_is_told_by_its_content(images, kind, ending):
    Image.new("RGB", (9, 9), (200, 10, 10)).save(images / "train" / "cat" / f"more{ending}", kind)
    (images / "train" / "cat" / "BM.csv").write_text("BMW,1\nP5,2\n")
    said = _run("import", "mine", "mine", "--resolution", "16")
    assert "7 train and 6 test images" in said and "1 .csv" in said
    assert (np.abs(open_packed(Path("data/raw/mine-16")).train_images[:, 8, 8, 0].astype(int) - 200) < 12).sum() == 1


def test_list_shows_terms_ways_and_what_is_there(images):
    said = _run("list")
    for text in ("tiny-imagenet", "dass data download dtd", "image-net.org", "CC BY 4.0", "Krause"):
        assert text in said
    _run("import", "mine", "mine", "--resolution", "16")
    assert "mine at 16x16: 2 classes" in _run("list")


def test_the_resolution_comes_from_params(images, request):
    assert "give --resolution" in str(_fail("import", "mine", "mine"))
    Path("params.yaml").write_bytes((request.config.rootpath / "presets" / "small.yaml").read_bytes())
    _run("import", "mine", "mine")
    assert [path.name for path in Path("data/raw").glob("mine-*")] == ["mine-32"]


def test_wrong_use():
    assert isinstance(_fail("import", "mine", "--resolution", "16"), UsageError)
    assert "does not exist" in str(_fail("import", "mine", "none", "--resolution", "16"))
    assert "packed dataset" in str(_fail("check", "mine", "--resolution", "16"))
    assert "'mine'" in str(_fail("download", "mine"))
    assert "`dass data import digits` makes it" in str(_fail("download", "digits"))
    error = str(_fail("download", "chestx"))
    assert "nihcc.app.box.com" in error
    assert "Data_Entry_2017.csv" in error


def test_download_fetches_and_imports(images, tmp_path, monkeypatch):
    """From a server on this machine; a second call finds the archive."""
    shutil.make_archive("served/EuroSAT", "zip", images)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        md5 = hashlib.md5(Path("served/EuroSAT.zip").read_bytes(), usedforsecurity=False).hexdigest()
        here = replace(
            find_dataset("eurosat"), remote=Remote(f"http://127.0.0.1:{server.server_port}/EuroSAT.zip", md5)
        )
        monkeypatch.setattr(catalogue, "find_dataset", lambda _: here)
        said = _run("download", "eurosat", "--resolution", "16")
        server.shutdown()
        thread.join()
    assert "data/raw/eurosat-16: 2 classes" in said
    assert Path(".state/downloads/EuroSAT.zip").is_file()
    assert "data/raw/eurosat-24" in _run("download", "eurosat", "--resolution", "24")


@pytest.mark.parametrize("command", ["import", "download", "list", "check"])
def test_help_has_an_example(command):
    assert f"Example: dass data {command}" in _run(command, "--help")
