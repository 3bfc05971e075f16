"""Bulk processing from and to an object store: a moto server on this computer, and a proxy before it that misbehaves."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import tiny
from hashigo.bulk import storage
from hashigo.bulk.engines.local import LocalEngine
from hashigo.bulk.plan import make_plan, read_manifest, read_shards
from hashigo.bulk.reports import read_report
from hashigo.bulk.run import run_bulk
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.storage import Entry, Store, place_of
from hashigo.errors import PictureError, RecipeError, StorageError
from test_bulk import InProcess, colorized

pytest.importorskip("obstore")
pytest.importorskip("moto")


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to moto, unless it has been told to fail."""

    target = ""
    refuse: list[int] = []  # noqa: RUF012 (shared on purpose)
    slow = 0.0
    dead = threading.Event()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.slow)
        if self.dead.is_set() or self.refuse:
            status = 503 if self.dead.is_set() else self.refuse.pop()
            self._answer(status, [("Content-Length", "0")], b"")
            return
        connection = http.client.HTTPConnection(self.target)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        response = connection.getresponse()
        content = response.read()
        kept = [
            pair
            for pair in response.getheaders()
            if pair[0].lower() not in ("transfer-encoding", "connection", "date", "server")
        ]
        self._answer(response.status, kept, content)
        connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    Proxy.target = f"127.0.0.1:{port}"
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    for _ in range(600):
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://{Proxy.target}/bucket", method="PUT"))
            break
        except OSError:
            time.sleep(0.1)
    yield f"http://127.0.0.1:{proxy.server_port}"
    proxy.shutdown()
    proxy.server_close()
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    for name, value in {
        "ENDPOINT_URL": server,
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    place_of.cache_clear()
    Proxy.refuse.clear()
    Proxy.slow = 0.0
    Proxy.dead.clear()
    yield f"s3://bucket/{request.node.name[:40].rstrip('[')}"
    place_of.cache_clear()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model(tmp_path_factory.mktemp("model"), onnx=True)


def stored(address: str) -> dict[str, bytes]:
    place = place_of(address)
    return {entry.name: place.read(entry.name) for entry in place.entries(None, Counter())}


def upload(album: Path, address: str) -> None:
    for path in album.rglob("*"):
        if path.is_file():
            place_of(address).write(path.relative_to(album).as_posix(), path.read_bytes())


def test_a_store_is_a_place_like_a_folder(bucket: str, tmp_path: Path) -> None:
    for text in (bucket, str(tmp_path / "folder")):
        place = place_of(text)
        for name in ("x/1.jpg", "x/2.txt", "b.JPG", ".hidden/3.jpg", "x/.3.jpg", "Thumbs.db"):
            place.write(name, name.encode())
        others: Counter[str] = Counter()
        entries = list(place.entries(frozenset({".jpg"}), others))
        assert [(entry.name, entry.size) for entry in entries] == [("b.JPG", 5), ("x/1.jpg", 7)]
        assert all(entry.version for entry in entries)
        assert others == {".txt": 1}
        assert place.create("m", b"1")
        assert not place.create("m", b"2")
        assert place.read("m") == b"1"
        assert place.read("x/1.jpg", 2, 3) == b"1.j"
        with place.open("x/1.jpg") as stream:
            assert stream.read(2) == b"x/"
            assert stream.seek(1) == 1
            assert stream.read() == b"/1.jpg"
        before = place.entry("m")
        assert isinstance(before, Entry)
        place.write("m", b"other")
        after = place.entry("m")
        assert after is not None
        assert after.version != before.version
        place.remove("m")
        place.remove("m")
        assert place.entry("m") is None
        with pytest.raises(PictureError, match="nope: expected a"):
            place.read("nope")


def test_from_store_to_store(bucket: str, tmp_path: Path, model: Path) -> None:
    album = tiny.album(tmp_path / "album", 5, 40)
    upload(album, f"{bucket}/in")
    make_plan([f"{bucket}/in"], f"{bucket}/out")
    place = place_of(f"{bucket}/out")
    names = [item.name for shard in read_shards(place) for item in read_manifest(place, shard)]
    assert names == [f"{number:02d}.png" for number in range(5)]
    chosen = BulkSettings(model=str(model), size=32)
    totals = run_bulk(f"{bucket}/out", chosen, LocalEngine(1))
    assert (totals.done, totals.failed, totals.remaining) == (5, 0, 0)
    assert stored(f"{bucket}/out") == colorized(album, tmp_path / "direct", model)
    place_of(f"{bucket}/in").write("01.png", (album / "00.png").read_bytes())
    make_plan([f"{bucket}/in"], f"{bucket}/out")
    assert run_bulk(f"{bucket}/out", chosen, InProcess()).made == 1


def test_tars_from_a_store_to_a_folder(bucket: str, tmp_path: Path, model: Path) -> None:
    album = tiny.album(tmp_path / "album", 3, 40)
    subprocess.run(["tar", "-cf", tmp_path / "s.tar", "-C", album, "."], check=True)
    place_of(bucket).write("s.tar", (tmp_path / "s.tar").read_bytes())
    make_plan([f"{bucket}/s.tar"], str(tmp_path / "out"))
    assert run_bulk(str(tmp_path / "out"), BulkSettings(model=str(model), size=32), InProcess()).done == 3
    direct = colorized(album, tmp_path / "direct", model)
    for name, content in direct.items():
        assert (tmp_path / "out" / "s" / name).read_bytes() == content


def test_a_store_that_answers_503_or_slowly_is_asked_again(bucket: str, tmp_path: Path, model: Path) -> None:
    album = tiny.album(tmp_path / "album", 3, 40)
    upload(album, f"{bucket}/in")
    make_plan([f"{bucket}/in"], f"{bucket}/out")
    Proxy.refuse.extend([503, 503, 500])
    Proxy.slow = 0.02
    totals = run_bulk(f"{bucket}/out", BulkSettings(model=str(model), size=32), InProcess())
    assert (totals.done, totals.failed) == (3, 0)


def test_a_store_that_stops_half_way_loses_nothing(
    bucket: str, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "RETRY", {"max_retries": 1, "retry_timeout": timedelta(seconds=2)})
    album = tiny.album(tmp_path / "album", 3, 40)
    upload(album, f"{bucket}/in")
    make_plan([f"{bucket}/in"], f"{bucket}/out")
    place = place_of(f"{bucket}/out")
    write = Store.write

    def dies(self: Store, name: str, content: bytes) -> None:
        if name == "01.color.png":
            Proxy.dead.set()
        write(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", dies)
        totals = run_bulk(f"{bucket}/out", BulkSettings(model=str(model), size=32), InProcess())
    assert "does not answer" in totals.lost[0]
    assert totals.remaining == 3
    Proxy.dead.clear()
    assert not any(read_report(place, shard.id) for shard in read_shards(place))
    assert run_bulk(f"{bucket}/out", BulkSettings(model=str(model), size=32), InProcess()).done == 3


def test_addresses_that_make_no_sense(bucket: str) -> None:
    with pytest.raises(RecipeError, match="bucket/folder"):
        place_of("s3://")
    with pytest.raises(StorageError, match="s3://no-such-bucket"):
        place_of("s3://no-such-bucket/x").write("a", b"")
    assert os.environ["AWS_REGION"] == "us-east-1"
