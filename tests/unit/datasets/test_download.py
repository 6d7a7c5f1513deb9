import contextlib
import errno
import hashlib
import http.client
import resource
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from filelock import FileLock

from dass.datasets.catalogue import Remote
from dass.datasets.download import download
from dass.errors import DassError

DATA = bytes(range(256)) * 20_000  # 5 MB
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


class Server:
    """A file server whose every answer a test can choose; remembers which bytes it was asked for.

    Attributes:
        asked: the Range header of each request.
        breaks: for each request to come, after how many bytes its connection breaks; then they hold.
        answers: for each request to come, an error code to send instead.
        ranges: whether it honours Range.
        says_length: whether it sends Content-Length.
        data: what it serves.
    """

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.breaks: list[int] = []
        self.answers: list[int] = []
        self.ranges = True
        self.says_length = True
        self.data = DATA
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):  # a client whose disk is full goes away
                    outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append(wanted)
        if self.answers:
            request.send_error(self.answers.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(self.data):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if self.says_length:
            request.send_header("Content-Length", str(len(self.data) - start))
        request.end_headers()
        stop = start + self.breaks.pop(0) if self.breaks else len(self.data)
        request.wfile.write(self.data[start:stop])
        request.close_connection = True

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def remote(self) -> Remote:
        return Remote(f"http://127.0.0.1:{self.http.server_port}/some/set.zip?download=1", MD5, len(DATA))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def names(tmp_path) -> Callable[[], list[str]]:
    return lambda: sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".tmp"))


def test_whole(server, tmp_path, names):
    calls = []
    path = download(server.remote, tmp_path, lambda *now: calls.append(now))
    assert path == tmp_path / "set.zip"
    assert path.read_bytes() == DATA
    assert names() == ["set.zip"]
    assert calls[-1] == (len(DATA), len(DATA))


def test_what_is_there_is_verified_and_not_fetched_again(server, tmp_path):
    path = download(server.remote, tmp_path)
    assert download(server.remote, tmp_path) == path
    assert len(server.asked) == 1
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(DassError, match="is not the expected file"):
        download(server.remote, tmp_path)
    assert download(server.remote, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("says_length", [True, False])
def test_broken_transfers_go_on_where_they_stopped(server, tmp_path, names, says_length):
    server.says_length = says_length
    server.breaks = [1_000_000, 2_000_000, 10]
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert server.asked == [None, "bytes=1000000-", "bytes=3000000-", "bytes=3000010-"]
    assert names() == ["set.zip"]


def test_a_break_that_nothing_shows_is_caught_by_the_checksum(server, tmp_path, names):
    server.says_length = False
    server.breaks = [1_000_000]
    with pytest.raises(DassError, match="is not the expected file"):
        download(replace(server.remote, size=None), tmp_path)
    assert names() == []


def test_a_later_call_asks_only_for_the_rest(server, tmp_path, names):
    server.answers = [503] * 5
    (tmp_path / "set.zip.part").write_bytes(DATA[:4_000_000])
    with pytest.raises(DassError, match=r"503 .*4,000,000 bytes"):
        download(server.remote, tmp_path)
    assert names() == ["set.zip.part"]
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == "bytes=4000000-"


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    server.breaks = [1_000_000]
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert server.asked == [None, "bytes=1000000-"]


def test_a_server_that_always_breaks_is_given_up(server, tmp_path, names):
    server.breaks = [0] * 9
    with pytest.raises(DassError, match=r"set\.zip by hand"):
        download(server.remote, tmp_path)
    assert len(server.asked) == 5
    assert "set.zip" not in names()


def test_other_content_is_removed(server, tmp_path, names):
    server.data = DATA[:-1] + b"x"
    with pytest.raises(DassError, match=r"^set\.zip .* removed"):
        download(server.remote, tmp_path)
    assert names() == []


def test_other_size_is_refused_before_it_is_fetched(server, tmp_path, names):
    server.data = DATA + b"x"
    with pytest.raises(DassError, match=r"5,120,001 bytes .*5,120,000"):
        download(server.remote, tmp_path)
    assert names() == []


def test_unknown_size(server, tmp_path):
    server.breaks = [1_000_000]
    assert download(replace(server.remote, size=None), tmp_path).read_bytes() == DATA


def test_a_complete_part_needs_no_bytes(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(DATA)
    assert download(replace(server.remote, size=None), tmp_path).read_bytes() == DATA
    (tmp_path / "set.zip").rename(tmp_path / "set.zip.part")
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert server.asked == [f"bytes={len(DATA)}-"]


def test_a_part_that_is_too_long(server, tmp_path, names):
    (tmp_path / "set.zip.part").write_bytes(DATA + b"x")
    with pytest.raises(DassError, match="is not the expected file"):
        download(server.remote, tmp_path)
    assert names() == []


def test_refusals_are_final(server, tmp_path):
    server.answers = [404]
    with pytest.raises(DassError, match=r"404 Not Found: .*set\.zip by hand"):
        download(server.remote, tmp_path)
    assert len(server.asked) == 1


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DassError, match=r"cannot be fetched .*refused"):
        download(Remote("http://127.0.0.1:9/set.zip", MD5), tmp_path)


def test_a_network_that_goes_is_not_a_full_disk(server, tmp_path, monkeypatch):
    read, lost = http.client.HTTPResponse.read, [OSError(errno.EHOSTUNREACH, "No route to host")]

    def unreliable(response, size=None):
        if lost:
            raise lost.pop()
        return read(response, size)

    monkeypatch.setattr(http.client.HTTPResponse, "read", unreliable)
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert len(server.asked) == 2


def test_full_disk_keeps_what_arrived(server, tmp_path, names):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, hard))
    try:
        with pytest.raises(DassError, match="what arrived is kept: free space"):
            download(server.remote, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names() == ["set.zip.part"]
    assert download(server.remote, tmp_path).read_bytes() == DATA
    assert server.asked[-1] != "bytes=0-"


def test_two_at_once(server, tmp_path):
    with FileLock(tmp_path / ".set.zip.lock.tmp"), pytest.raises(DassError, match="by another process"):
        download(server.remote, tmp_path)
