"""What of a tracking store's address may be shown, and what of it a library's words tell."""

import re
from urllib.parse import quote

import pytest

from dass.tracking.address import masked, page_address, without_secrets


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://host:5000", "http://host:5000"),
        ("https://user:hunter22@host/path", "https://***@host/path"),
        ("postgresql://u:hunter22@h:5432/db?sslmode=require", "postgresql://***@h:5432/db?***"),
        ("postgresql://h/db?user=u&password=hunter22", "postgresql://h/db?***"),
        ("postgresql://h/db?password=hun@ter22", "postgresql://***"),
        ("postgresql://u:hunter 22@h/db", "postgresql://***@h/db"),
        ("postgresql://u:hun?ter22@h/db", "postgresql://***"),
        ("postgresql://u:hun#ter22@h/db", "postgresql://***"),
        ("postgresql://u:hun/ter22@h/db", "postgresql://***@h/db"),
        ("postgresql://u:hun@ter22@h/db", "postgresql://***"),
        ("postgresql://u:hunter22/db", "postgresql://***"),  # the host was forgotten
        ("u:hunter22@h/db", "***@h/db"),
        ("u:hunter22", "***"),
        ("u:hun://ter22@h", "***@h"),
        (" http://u:hunter22@h ", "http://***@h"),
        ("localhost:5000", "localhost:5000"),
        ("http://[::1]:5000/x", "http://[::1]:5000/x"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_what_may_be_a_password_is_not_shown(uri: str, told: str) -> None:
    assert masked(uri) == told
    assert "hun" not in masked(uri)
    for part in ("hunter22", "hunter 22", "hun", "ter22"):  # what a library may have taken out of it
        if re.search(rf"(?<!\w){part}(?!\w)", uri):
            assert part not in without_secrets(f"bad {part!r} of {uri}: {part}", uri)
            assert quote(part) not in without_secrets(f"bad {quote(part)}", uri)
    assert "hun" not in without_secrets(f"cannot connect to {uri}", uri)


def test_other_words_of_a_message_stay() -> None:
    said = "no database mlflow at h: role mlflow is unknown"
    assert without_secrets(said, "postgresql://mlflow:a@h/mlflow?sslmode=no") == said.replace(
        "no database", "*** database"
    )


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("http://host:5000/", "http://host:5000"),
        ("https://user:secret@host/base?token=x#y", "https://host/base"),
        ("HTTP://u:p@[::1]:5000", "http://[::1]:5000"),
        ("http://u:p@host:nonsense", None),
        ("postgresql://u:p@host/db", None),
        ("sqlite:////x/mlflow.db", None),
        ("", None),
    ],
)
def test_links_hold_neither_user_nor_password(uri: str, page: str | None) -> None:
    assert page_address(uri) == page
