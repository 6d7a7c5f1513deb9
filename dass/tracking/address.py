"""Addresses of tracking stores, which may hold passwords: what of them may be shown."""

import re
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

HIDDEN = "***"
_PLAIN_HOST = re.compile(r"(\[[^\]]*\]|[^:\s]*)(:\d{0,5})?")
_WHOLE_WORDS = 4  # a shorter secret is replaced only where it stands alone, or it would be found in every word


def masked(uri: str) -> str:
    """An address as far as it is surely no secret: scheme, host and path; nothing where these cannot be told apart.

    Secrets are what stands before an `@`, also with blanks, `/` or `?` in it, and the values behind a `?`.
    """
    uri = uri.strip()
    scheme, rest = _split(uri)
    if scheme.startswith(("sqlite", "file")):
        return uri
    before = rest.rpartition("@")[0]
    start = re.search(r"[?#;]", rest)
    query = start.start() if start else len(rest)
    if before and ("@" in before or query < len(before)):  # which of the signs ends the password?
        return scheme + HIDDEN
    host = rest[len(before) + 1 if before else 0 : query]
    if not _PLAIN_HOST.fullmatch(host.partition("/")[0]):
        return scheme + HIDDEN
    return f"{scheme}{HIDDEN + '@' if before else ''}{host}{rest[query] + HIDDEN if start else ''}"


def without_secrets(text: str, uri: str) -> str:
    """A text, such as a library's message, without what an address keeps secret, in whatever spelling."""
    text = text.replace(uri, masked(uri))
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        pattern = re.escape(secret)
        text = re.sub(pattern if len(secret) > _WHOLE_WORDS else rf"(?<!\w){pattern}(?!\w)", HIDDEN, text)
    return re.sub(r"://\S*@", f"://{HIDDEN}@", text)


def page_address(uri: str) -> str | None:
    """Where a browser finds the pages of a tracking server, without user and password; None for what is no server."""
    try:
        parts = urlsplit(uri.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _split(uri: str) -> tuple[str, str]:
    """The scheme with its `://`, or nothing; and the rest."""
    match = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", uri)
    return (match[0], uri[match.end() :]) if match else ("", uri)


def _secrets(uri: str) -> set[str]:
    """What an address keeps secret, whole and in the parts that a library may take it apart into."""
    scheme, rest = _split(uri.strip())
    if scheme.startswith(("sqlite", "file")):
        return set()
    credentials, _, _ = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    if masked(uri) == scheme + HIDDEN:  # no telling which part is which
        user, _, password = rest.partition(":")
        password = password or rest
    parts = {credentials, password, *re.split(r"[/?#@:;=&\s]", password)}
    _, _, query = rest.partition("?")
    parts |= {value for _, value in parse_qsl(query.replace(";", "&"))} | {
        part.partition("=")[2] for part in query.split("&")
    }
    spellings = {spell(part) for part in parts for spell in (str, quote, quote_plus, unquote, unquote_plus)}
    return {part for part in spellings if len(part) > 1 and part != user}
