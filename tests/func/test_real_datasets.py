"""Real images, and imports that are killed half-way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from dass.datasets.archives.opening import open_archive
from dass.datasets.check import check, contact_sheet
from dass.datasets.importing import import_dataset
from dass.datasets.layouts.tiny_imagenet import read_tiny_imagenet
from dass.datasets.packed import load_target, open_packed
from dass.datasets.splits import load_split, make_splits
from dass.datasets.thinning import thin
from dass.errors import DassError

# Imports in a process of its own, so that its CPU seconds and its peak memory can be measured or it can be killed.
_IMPORT = """
import json, resource, sys, time
from pathlib import Path
from dass.datasets.importing import import_dataset
start = time.process_time()
path = Path(sys.argv[2]) if sys.argv[2] else None
packed = import_dataset(sys.argv[1], path, Path(sys.argv[3]), int(sys.argv[4]), lambda *now: print(*now, flush=True))
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mib": peak, "content": packed.card.content}))
"""


def _command(name: str, path: Path | str, into: Path, resolution: int) -> list[str]:
    return [sys.executable, "-W", "error", "-c", _IMPORT, name, str(path), str(into), str(resolution)]


@pytest.fixture(scope="module")
def tiny(shared_datasets, tmp_path_factory):
    """Real TinyImageNet at 32 pixels, and what its import took."""
    into = tmp_path_factory.mktemp("raw")
    archive = shared_datasets / "tiny-imagenet-200-subset.zip"
    done = subprocess.run(
        _command("tiny-imagenet", archive, into, 32), capture_output=True, text=True, check=True, timeout=280
    )
    return into / "tiny-imagenet-32", json.loads(done.stdout.splitlines()[-1])


def test_tiny_imagenet_import_time_and_memory(tiny, record_property):
    folder, took = tiny
    record_property("seconds", took["seconds"])
    record_property("peak_mib", took["peak_mib"])
    assert took["seconds"] < 60
    assert took["peak_mib"] < 1536
    packed = open_packed(folder)
    assert (packed.card.train_count, packed.card.test_count) == (40_000, 2_000)
    assert (np.bincount(packed.train_labels) == 200).all()
    assert (np.bincount(packed.test_labels) == 10).all()
    assert packed.card.skipped == ()
    assert 90 < packed.train_images[::100].mean() < 140  # real photographs: neither black nor white


def test_tiny_imagenet_is_clean_and_gives_ten_splits(tiny, tmp_path):
    packed = open_packed(tiny[0])
    report = check(packed)
    assert len(report.counts) == 200
    assert len(report.duplicates) < 10
    contact_sheet(packed, tmp_path / "sheet.png")
    splits = make_splits(packed, groups=5, classes_per_group=None, seed=0)
    assert len(splits) == 10
    data = load_split(tiny[0], splits[9])
    assert data.train_images.shape == data.test_images.shape == (4000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [100] * 40


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [
        ("cifar10", 10, 6000, 4000),
        ("dtd", 10, 899, 294),
        ("plantvillage", 10, 670, 210),
        ("quickdraw8", 8, 4000, 3200),
        ("quickdraw_ndjson60", 60, 1140, 360),
        ("rsscn7", 7, 840, 280),
        ("stanford_cars", 60, 2058, 669),
    ],
)
def test_class_folder_zips(shared_datasets, tmp_path, name, classes, train, test):
    packed = import_dataset(name, shared_datasets / f"{name}.zip", tmp_path, 32)
    report = check(packed)
    assert len(report.counts) == classes
    assert (packed.card.train_count, packed.card.test_count) == (train, test)
    assert report.skipped == ()
    assert all(found.train_class == found.test_class for found in report.duplicates)
    assert load_target(packed.folder).train_images.shape == (train, 3, 32, 32)


def test_an_import_that_is_killed_leaves_nothing_that_looks_whole(tmp_path):
    """SIGKILL in the middle of drawing the glyphs; the next import is as if nothing had been."""
    command = _command("glyphs", "", tmp_path, 16)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline().split()[0]) < 2000:
            pass
        os.kill(process.pid, signal.SIGKILL)
    folder = tmp_path / "glyphs-16"
    assert not folder.exists()
    assert list(tmp_path.glob(".glyphs-16.unfinished.tmp"))
    with pytest.raises(DassError, match="is not a packed dataset"):
        open_packed(folder)
    packed = import_dataset("glyphs", None, tmp_path, 16)
    packed.verify()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["glyphs-16"]


def test_preset_medium_can_be_carried_in_60_mb(shared_datasets, tmp_path):
    names = yaml.safe_load((Path(__file__).parents[2] / "presets" / "medium.yaml").read_text())["datasets"]
    archive = tmp_path / "thin.zip"
    assert thin(shared_datasets / "tiny-imagenet-200-subset.zip", archive, 60) == (12_000, 40_000)
    others = [shared_datasets / f"{name}.zip" for name in names if name != "tiny-imagenet"]
    assert sum(path.stat().st_size for path in (archive, *others)) < 60e6
    with open_archive(archive) as files:
        listed = read_tiny_imagenet(files)
    assert (len(listed.classes), len(listed.train), len(listed.test)) == (200, 12_000, 2_000)
