"""The files of the web page: in memory, compressed once, and fetched again only when they have changed."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request, Response

from hashigo.service.problems import Problem

FOLDER = Path(__file__).with_name("static")

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    compressed: bytes
    etag: str
    media_type: str


class StaticFiles:
    """All files in `FOLDER` of the types in `MEDIA_TYPES`, and what `add` adds."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(FOLDER.iterdir()):
            if path.suffix in MEDIA_TYPES:
                self.add(path.name, path.read_bytes())

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def add(self, name: str, content: bytes) -> None:
        """Adds a file; the suffix of its name decides its media type."""
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        media_type = MEDIA_TYPES[Path(name).suffix]
        self._files[name] = _File(content, gzip.compress(content, mtime=0), etag, media_type)

    def answer(self, request: Request, name: str) -> Response:
        """The file, or 304 if the browser has it already.

        Raises:
            Problem: 404, no such file.
        """
        if name not in self._files:
            raise Problem(404, f"expected an address of this service, got {request.url.path!r}; see /docs")
        file = self._files[name]
        headers = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                file.compressed, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type
            )
        return Response(file.content, headers=headers, media_type=file.media_type)
