import hashlib
import io
import json
import os
import resource
import threading
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from dass.datasets import packed as packed_module
from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.class_folder import read_class_folder
from dass.datasets.listing import Entry, Listing
from dass.datasets.packed import load_target, open_packed
from dass.datasets.packing import BrokenImagesError, pack
from dass.errors import DassError


def _listing(per_class: int = 4, classes: tuple[str, ...] = ("a", "b"), broken: tuple[str, ...] = ()) -> Listing:
    """Flat images whose grey says which they are; those in `broken` do not decode."""
    numbers = range(per_class)
    train = tuple(Entry(label, f"train/{label}/{number:03}") for label in range(len(classes)) for number in numbers)
    test = tuple(Entry(label, f"test/{label}/{number:03}") for label in range(len(classes)) for number in numbers)

    def read(name: str) -> bytes | np.ndarray:
        if name in broken:
            return b"broken"
        part, label, number = name.split("/")
        return np.full((8, 8), 100 * (part == "test") + 20 * int(label) + int(number) % 100, dtype=np.uint8)

    return Listing(classes, train, test, read, "by hand")


def _visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".tmp"))


def test_what_is_packed_comes_back(tmp_path):
    calls = []
    packed = pack(_listing(20), tmp_path / "set-16", "set", 16, source="s", progress=lambda *now: calls.append(now))
    packed.verify()
    assert packed.card == open_packed(tmp_path / "set-16").card
    assert (packed.card.train_count, packed.card.test_count, packed.card.skipped) == (40, 40, ())
    assert packed.train_labels.tolist() == [0] * 20 + [1] * 20
    assert packed.train_images[:, 0, 0, 0].tolist() == [*range(20), *range(20, 40)]
    assert packed.test_images[:, 7, 7, 2].tolist() == [*range(100, 120), *range(120, 140)]
    assert calls[-1] == (80, 80)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_the_target_is_a_view_of_the_file(tmp_path):
    folder = tmp_path / "set-16"
    pack(_listing(), folder, "set", 16, source="s")
    data = load_target(folder)
    assert data.name == "set"
    assert data.train_images.shape == (8, 3, 16, 16)
    assert data.train_images.is_contiguous(memory_format=torch.channels_last)
    assert data.train_labels.dtype == torch.int64
    assert data.resolution == 16
    assert data.to("cpu").train_images.data_ptr() == data.train_images.data_ptr()
    data.train_images.zero_()  # copy on write: the file stays as it is
    open_packed(folder).verify()
    assert load_target(folder).train_images.max() > 0


def test_same_source_same_bytes_in_any_order(tmp_path):
    listing = _listing()
    backwards = Listing(listing.classes, listing.train[::-1], listing.test[::-1], listing.read, listing.split_rule)
    for name, one in (("first", listing), ("second", backwards)):
        pack(one, tmp_path / name, "set", 16, source="s")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
    assert load_target(tmp_path / "first").data_id == load_target(tmp_path / "second").data_id
    pack(_listing(classes=("a", "c")), tmp_path / "third", "set", 16, source="s")
    assert load_target(tmp_path / "third").data_id != load_target(tmp_path / "first").data_id


def test_an_undecodable_image_is_named_and_left_out(tmp_path):
    packed = pack(_listing(50, broken=("train/1/007",)), tmp_path / "set-16", "set", 16, source="s")
    packed.verify()
    assert packed.card.train_count == 99
    assert packed.train_images[-1, 0, 0, 0] == 20 + 49
    assert [(image.part, image.name) for image in packed.card.skipped] == [("train", "train/1/007")]
    assert packed.card.skipped[0].reason == "not an image of a known format"
    recorded = json.loads((tmp_path / "set-16" / "dataset.json").read_text())
    assert recorded["skipped"][0]["name"] == "train/1/007"


@pytest.mark.parametrize(("per_class", "allowed"), [(2, 1), (25, 1), (50, 2)])
def test_more_than_one_in_a_hundred_are_refused_together(tmp_path, per_class, allowed):
    """The same rule for small sets: of fewer than a hundred images, one."""
    broken = ("train/0/000", "train/1/000", "test/1/001")
    few = pack(_listing(per_class, broken=broken[:allowed]), tmp_path / "few-16", "few", 16, source="s")
    assert len(few.card.skipped) == allowed
    listing = _listing(per_class, broken=broken)
    with pytest.raises(BrokenImagesError, match="3 image") as caught:
        pack(listing, tmp_path / "set-16", "set", 16, source="s")
    assert [image.name for image in caught.value.skipped] == list(broken)
    assert _visible(tmp_path) == ["few-16"]
    packed = pack(listing, tmp_path / "set-16", "set", 16, source="s", skip_broken=True)
    assert [image.name for image in packed.card.skipped] == list(broken)


def test_the_depth_is_that_of_the_brightest_image_of_all(tmp_path):
    """A dark image of 16 bits stays dark beside a bright one, and the depth is said."""

    def read(name):
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8), values[name], dtype=np.uint16)).save(buffer, "PNG")
        return buffer.getvalue()

    values = {"a": 160, "b": 4095, "c": 16, "d": 2048}
    parts = (Entry(0, "a"), Entry(1, "b")), (Entry(0, "c"), Entry(1, "d"))
    packed = pack(Listing(("x", "y"), *parts, read, "by hand"), tmp_path / "set", "set", 16, source="s")
    assert packed.train_images[:, 0, 0, 0].tolist() == [10, 255]
    assert packed.test_images[:, 0, 0, 0].tolist() == [1, 128]
    assert any("12-bit" in note for note in packed.card.notes)
    packed.verify()


def test_a_class_that_loses_all_its_images_is_refused(tmp_path):
    whole = _listing(150)
    listing = Listing(
        ("a", "b", "c"),
        (*whole.train, Entry(2, "train/2/000")),
        (*whole.test, Entry(2, "test/2/000")),
        lambda name: b"" if name == "train/2/000" else whole.read(name),
        "by hand",
    )
    with pytest.raises(DassError, match="train image of class 'c'"):
        pack(listing, tmp_path / "set-16", "set", 16, source="s")
    assert _visible(tmp_path) == []


def test_a_class_without_images_is_refused(tmp_path):
    listing = _listing()
    bare = Listing((*listing.classes, "c"), listing.train, listing.test, listing.read, "by hand")
    with pytest.raises(DassError, match="class 'c' has no train images"):
        pack(bare, tmp_path / "set-16", "set", 16, source="s")


def test_full_disk_leaves_what_was_there(tmp_path):
    """A limit on the size of files makes the kernel refuse a write, as a full disk does."""
    folder = tmp_path / "set-16"
    before = pack(_listing(), folder, "set", 16, source="s").card
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DassError, match="nothing was changed: free space"):
            pack(_listing(100), folder, "set", 16, source="s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _visible(tmp_path) == ["set-16"]
    assert open_packed(folder).card == before
    open_packed(folder).verify()


def test_too_little_space_is_said_before_anything_is_read(tmp_path):
    entries = tuple(Entry(label, str(number)) for label in (0, 1) for number in range(2))
    listing = Listing(("a", "b"), entries, entries, lambda _: pytest.fail("read an image"), "by hand")
    with pytest.raises(DassError, match=r"needs [\d,]+ MB in"):
        pack(listing, tmp_path / "set", "set", 2_000_000, source="s")


def test_a_repeated_import_replaces_and_leftovers_go(tmp_path):
    folder = tmp_path / "set-16"
    leftover = tmp_path / ".set-16.unfinished.tmp"
    leftover.mkdir()
    (leftover / "train_images.npy").write_bytes(b"half")
    pack(_listing(), folder, "set", 16, source="s")
    packed = pack(_listing(5), folder, "set", 16, source="s")
    assert packed.card.train_count == 10
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["set-16"]


def test_what_killed_imports_left_goes_and_what_is_in_use_stays(tmp_path):
    """Also of other datasets; the old folder comes back where a kill came between two renames."""
    pack(_listing(), tmp_path / "lost-16", "lost", 16, source="s")
    (tmp_path / "lost-16").rename(tmp_path / ".lost-16.old.tmp")
    for name in ("gone-16", "busy-16"):
        (tmp_path / f".{name}.unfinished.tmp").mkdir()
    old, young = tmp_path / ".unpacked-old.tmp", tmp_path / ".unpacked-young.tmp"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    with FileLock(tmp_path / ".busy-16.lock.tmp"):
        pack(_listing(), tmp_path / "set-16", "set", 16, source="s")
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert folders == {"set-16", ".busy-16.unfinished.tmp", ".lost-16.old.tmp", ".unpacked-young.tmp"}
    broken = _listing(50, broken=tuple(f"train/0/{number:03}" for number in range(49)))
    with pytest.raises(BrokenImagesError):
        pack(broken, tmp_path / "lost-16", "lost", 16, source="s")
    assert open_packed(tmp_path / "lost-16").card.name == "lost"


def _digest(images):
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(images))
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _shaded(shade: int) -> Listing:
    """Contents of one shape that differ in every pixel."""
    listing = _listing()
    return replace(listing, read=lambda name: np.full((8, 8), shade, dtype=np.uint8))


@pytest.mark.parametrize("place", range(4))
def test_an_import_between_the_files_of_an_open_is_seen(tmp_path, monkeypatch, place):
    """What is opened is of one import, here the second, wherever that comes between."""
    folder, real, calls = tmp_path / "set-16", packed_module._load, []
    pack(_shaded(1), folder, "set", 16, source="s")

    def load(*arguments):
        calls.append(arguments[1])
        if len(calls) == place + 1:
            pack(_shaded(2), folder, "set", 16, source="s")
        return real(*arguments)

    monkeypatch.setattr(packed_module, "_load", load)
    packed = open_packed(folder)
    assert packed.train_images.max() == packed.test_images.max() == 2
    assert _digest(packed.train_images) == packed.card.sha256.train_images


def test_what_is_opened_while_it_is_imported_again_is_whole(tmp_path):
    """Three contents take turns; every card that is read fits the images that are read with it."""
    folder, stop = tmp_path / "set-16", threading.Event()

    def import_in_turns() -> None:
        while not stop.is_set():
            for listing in (_shaded(1), _shaded(2), _listing(5)):
                pack(listing, folder, "set", 16, source="s")

    pack(_shaded(1), folder, "set", 16, source="s")
    writer = threading.Thread(target=import_in_turns)
    writer.start()
    seen = set()
    try:
        for _ in range(1000):
            packed = open_packed(folder, verified=True)
            assert _digest(packed.train_images) == packed.card.sha256.train_images
            seen.add(packed.card.content)
    finally:
        stop.set()
        writer.join()
    assert len(seen) == 3


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "set-16").mkdir()
    (tmp_path / "set-16" / "thesis.txt").write_text("years of work")
    with pytest.raises(DassError, match="is not a packed dataset"):
        pack(_listing(), tmp_path / "set-16", "set", 16, source="s")
    assert (tmp_path / "set-16" / "thesis.txt").exists()


def test_two_imports_at_once(tmp_path):
    with (
        FileLock(tmp_path / ".set-16.lock.tmp"),
        pytest.raises(DassError, match="being written by another process"),
    ):
        pack(_listing(), tmp_path / "set-16", "set", 16, source="s")


def test_a_damaged_zip_member_stops_the_import(tmp_path, class_files, put_zip):
    path = put_zip(class_files(images=5))
    data = bytearray(path.read_bytes())
    data[100:140] = bytes(40)
    path.write_bytes(data)
    with open_archive(path) as archive, pytest.raises(DassError, match="cannot be read"):
        pack(read_class_folder(archive), tmp_path / "set-16", "set", 16, source="set.zip")
    assert _visible(tmp_path) == ["set.zip"]
    assert threading.active_count() == 1


def test_files_too_large_to_wait_in_memory_are_taken_one_by_one(tmp_path):
    """Of broken files, too, whose errors would hold on to them."""
    listing = _listing(20)
    large = replace(listing, read=lambda name: bytes(40 * 2**20))
    tracemalloc.start()
    with pytest.raises(DassError, match="decode"):
        pack(large, tmp_path / "set-16", "set", 16, source="s", skip_broken=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 40 * 2**20


def test_a_huge_image_is_undecodable(tmp_path, image_bytes):
    """A PNG that says it is 20,000 pixels square."""
    header = bytearray(image_bytes())
    header[16:24] = (20_000).to_bytes(4) * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    listing = _listing(80)
    bomb = Listing(
        listing.classes,
        listing.train,
        listing.test,
        lambda name: bytes(header) if name == "test/0/001" else listing.read(name),
        "by hand",
    )
    packed = pack(bomb, tmp_path / "set-16", "set", 16, source="s")
    assert "178,956,970 pixels" in packed.card.skipped[0].reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DassError, match="Permission denied"):
        pack(_listing(), tmp_path / "set-16", "set", 16, source="s")
    tmp_path.chmod(0o700)
