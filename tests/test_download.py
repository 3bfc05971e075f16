"""Downloads, from a server on this machine: resume, checksums, mirrors, and no connection."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hashigo.data import DATASETS, get, open_dataset
from hashigo.data.named import sources
from hashigo.data.named.download import Remote, download
from hashigo.errors import DownloadError

CONTENT = bytes(range(256)) * 9000  # more than two pieces of a mebibyte
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT under several habits, and notes which ranges were asked for."""

    requests: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.requests.append((self.path, asked))
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/norange":
            first = 0
        if first >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        stop = first + 700_000 if self.path == "/breaks" else len(CONTENT)
        body = b"\0" * len(CONTENT) if self.path == "/wrong" else CONTENT
        self.wfile.write(body[first:stop])

    def log_message(self, *arguments: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that lives as long as the test."""
    Handler.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> str:
    """An address on this machine where nobody answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    return f"http://127.0.0.1:{port}/file.bin"


def test_a_file(server: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    target = tmp_path / "new" / "file.bin"
    path = download(
        [f"{server}/file"],
        target,
        size=len(CONTENT),
        md5=MD5,
        progress=lambda *c: calls.append(c),
    )
    assert path.read_bytes() == CONTENT
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert [entry.name for entry in target.parent.iterdir()] == ["file.bin"]
    download([f"{server}/file"], target)
    assert len(Handler.requests) == 1  # an existing file is kept


@pytest.mark.parametrize("path", ["/file", "/norange"])
def test_goes_on_where_it_stopped(server: str, tmp_path: Path, path: str) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert download([server + path], tmp_path / "file.bin", md5=MD5).read_bytes() == CONTENT
    assert Handler.requests == [(path, "bytes=1000-")]


def test_a_part_that_is_already_whole(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert download([f"{server}/file"], tmp_path / "file.bin", md5=MD5).read_bytes() == CONTENT


def test_a_part_of_another_file_is_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    assert download([f"{server}/file"], tmp_path / "file.bin", md5=MD5).read_bytes() == CONTENT
    assert [asked for _, asked in Handler.requests] == ["bytes=14-", None]


def test_a_broken_connection_is_taken_up_again(server: str, tmp_path: Path) -> None:
    assert download([f"{server}/breaks"], tmp_path / "file.bin", md5=MD5).read_bytes() == CONTENT
    assert len(Handler.requests) == -(-len(CONTENT) // 700_000)


def test_mirrors_in_turn(server: str, nobody: str, tmp_path: Path) -> None:
    urls = [nobody, f"{server}/missing", f"{server}/wrong", f"{server}/file"]
    assert download(urls, tmp_path / "file.bin", md5=MD5).read_bytes() == CONTENT


def test_wrong_checksum_and_size(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"expected md5 {MD5}, got .*put it at .*file.bin"):
        download([f"{server}/wrong"], tmp_path / "file.bin", md5=MD5)
    with pytest.raises(DownloadError, match=r"expected 5 bytes, got 2,304,000"):
        download([f"{server}/file"], tmp_path / "file.bin", size=5)
    assert list(tmp_path.iterdir()) == []


def test_offline(nobody: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download([nobody], tmp_path / "file.bin", md5=MD5)
    message = str(caught.value)
    assert nobody in message
    assert "refused" in message
    assert str(tmp_path / "file.bin") in message


def test_a_folder_that_cannot_be_written(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written"):
        download([f"{server}/file"], tmp_path / "file" / "file.bin")


def test_checksum_of_the_content(tmp_path: Path, server: str) -> None:
    (tmp_path / "file.gz.part").write_bytes(gzip.compress(CONTENT, 1))
    with pytest.raises(DownloadError, match="something else"):
        download([f"{server}/file"], tmp_path / "file.gz", md5=MD5, unpacked=True)


def test_a_dataset_that_is_nowhere(nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote("cifar-10-binary.tar.gz", (nobody,), MD5)
    monkeypatch.setitem(sources.DATASETS, "cifar10", replace(DATASETS["cifar10"], files=(remote,)))
    for attempt in (get, open_dataset):
        with pytest.raises(DownloadError, match=r"put it at .*cifar10.cifar-10-binary\.tar\.gz"):
            attempt("cifar10", root=tmp_path)


def test_what_is_published() -> None:
    for name, known in DATASETS.items():
        assert known.files or name == "digits"
        for file in known.files:
            assert len(file.md5) == 32
            assert all(url.endswith(file.name) for url in file.urls)
