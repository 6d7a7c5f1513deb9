"""Small real images and archives for the tests of datasets."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def image_bytes() -> Callable[..., bytes]:
    """Makes an image file: uniform noise in the given mode and format."""

    def make(seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB", kind: str = "PNG") -> bytes:
        rng = np.random.default_rng(seed)
        image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, kind)
        return buffer.getvalue()

    return make


@pytest.fixture
def class_files(image_bytes: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """Files of a dataset in class-folder form: `images` a class in each of `parts`."""

    def make(
        classes: tuple[str, ...] = ("cat", "dog"), parts: tuple[str, ...] = ("train", "test"), images: int = 3
    ) -> dict[str, bytes]:
        names = [
            "/".join(filter(None, (part, name, f"{number:03}.png")))
            for part in parts
            for name in classes
            for number in range(images)
        ]
        return {name: image_bytes(seed) for seed, name in enumerate(names)}

    return make


@pytest.fixture
def put_zip(tmp_path: Path) -> Callable[..., Path]:
    """Writes files into a zip and gives its path."""

    def put(files: dict[str, bytes], name: str = "set.zip") -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as zipped:
            for inside, data in files.items():
                zipped.writestr(inside, data)
        return tmp_path / name

    return put


@pytest.fixture
def put_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes files into a folder and gives its path; a name that ends in `/` is an empty folder."""

    def put(files: dict[str, bytes], name: str = "set") -> Path:
        for inside, data in files.items():
            path = tmp_path / name / inside
            if inside.endswith("/"):
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return tmp_path / name

    return put
