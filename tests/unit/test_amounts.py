"""Times and sizes as people write them."""

import pytest

from dass.amounts import megabytes, milliseconds
from dass.errors import UsageError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5ms", 5), ("5 ms", 5), (" 5MS ", 5), (5, 5), ("5", 5), ("0.5s", 500), (".5 s", 500), ("800us", 0.8),
        ("800µs", 0.8), ("1e-3s", 1), (0.25, 0.25),
    ],
)  # fmt: skip
def test_times(written: float | str, expected: float) -> None:
    assert milliseconds(written) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1MB", 1),
        ("1 mb", 1),
        ("300kB", 0.3),
        ("1MiB", 1.048576),
        ("2GB", 2000),
        ("1.5", 1.5),
        (2, 2),
        ("1KiB", 1024e-6),
    ],
)
def test_sizes(written: float | str, expected: float) -> None:
    assert megabytes(written) == pytest.approx(expected)


@pytest.mark.parametrize("read", [milliseconds, megabytes])
@pytest.mark.parametrize(
    "written", ["", "ms", "0", 0, -1, "-1", "5 weeks", "nan", "inf", "1e999", "5%", "5,5", True, "5 m s"]
)
def test_what_is_no_amount_is_refused(read: object, written: float | str) -> None:
    with pytest.raises(UsageError, match="give"):
        read(written)  # type: ignore[operator]
