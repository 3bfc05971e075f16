"""A service in a process of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Reply:
    """What the service answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def detail(self) -> str:
        return str(json.loads(self.body)["detail"])


@dataclass
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def colorize(self, photo: bytes, query: str = "", **headers: str) -> Reply:
        return self.ask("POST", f"/v1/colorize{query}", photo, **{"Content_Type": "image/jpeg", **headers})

    def workers(self) -> list[int]:
        """Process numbers of the workers."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and b"spawn_main" in words:
                found.append(int(folder.name))
        return found


@contextmanager
def serving(tmp_path: Path, *words: str, port: int = 0) -> Iterator[Running]:
    """A running service; its log is in tmp_path."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    log = tmp_path / "service.log"
    command = [sys.executable, "-m", "hashigo.cli.main", "serve", "--port", str(port), "--allow-root", *words]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, text=True)
    running = Running(process, port, log)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise AssertionError(log.read_text())
            try:
                if running.ask("GET", "/readyz").status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.05)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
