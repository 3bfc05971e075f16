"""Downloads with resume, mirrors and checksums, and the addresses of the known datasets' files."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashigo.errors import DownloadError

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 20  # per address, each continuing where the last one stopped
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class Remote:
    """A file of a dataset: name, addresses, size in bytes if fixed, MD5."""

    name: str
    urls: tuple[str, ...]
    md5: str
    size: int | None = None
    unpacked: bool = False
    """Whether the MD5 is for the gzip file's content, which is the same for all compressors."""


def download(
    urls: Sequence[str],
    destination: str | Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    unpacked: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Downloads one file from the first of `urls` that has it; an existing `destination` is kept.

    Partial downloads are in `destination` + ".part", from which a later call continues. The file gets
    its name only when size (bytes) and checksum are correct; with `unpacked` the checksum is for the gzip
    file's content. `progress` is called with the bytes so far and the total (0: unknown).
    Raises DownloadError, which names each address with its error and where to put the file manually.
    """
    destination = Path(destination)
    if destination.is_file():
        return destination
    part = destination.with_name(destination.name + ".part")
    reasons = []
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            reason = _from_one(url, part, size, md5, unpacked, progress)
            if reason is None:
                part.replace(destination)
                return destination
            reasons.append(f"{url}: {reason}")
    except OSError as error:
        reasons.append(f"{destination.parent} cannot be written ({error})")
    raise DownloadError(
        f"{destination.name} could not be downloaded. {'; '.join(reasons)}. Without a connection, get the "
        f"file elsewhere and put it at {destination}"
    )


def _from_one(
    url: str,
    part: Path,
    size: int | None,
    md5: str | None,
    unpacked: bool,
    progress: Callable[[int, int], None] | None,
) -> str | None:
    """Completes `part` from one address. Returns the reason of a failure, or None."""
    reason: str | None = None
    for _ in range(_TRIES):
        resumed = part.exists()
        before = part.stat().st_size if resumed else 0
        try:
            _fetch(url, part, progress)
            reason = _wrong(part, size, md5, unpacked)
        except _NETWORK_ERRORS as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
            if isinstance(error, urllib.error.HTTPError):
                reason = f"status {error.code} {error.reason}"
            if not part.exists() or part.stat().st_size == before:
                return reason
            continue
        if reason is None:
            return None
        part.unlink()
        if not resumed:  # the partial file may be a different one: try again from the start
            return reason
    return reason


def _fetch(url: str, part: Path, progress: Callable[[int, int], None] | None) -> None:
    """One request; appends to `part` if the server can continue, else starts again."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "hashigo", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing left to send: complete, or wrong according to its checksum
            return
        raise
    with response:
        goes_on = response.status == 206 and str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
        have = have if goes_on else 0
        length = int(response.headers.get("Content-Length", 0))
        total = have + length if length else 0
        with part.open("ab" if goes_on else "wb") as file:
            while data := response.read(_CHUNK):
                file.write(data)
                have += len(data)
                if progress is not None:
                    progress(have, total)
    if total and have < total:
        raise ConnectionError(f"the connection closed after {have:,} of {total:,} bytes")


def _wrong(part: Path, size: int | None, md5: str | None, unpacked: bool) -> str | None:
    """What is wrong with a complete file, or None."""
    if size is not None and part.stat().st_size != size:
        return f"expected {size:,} bytes, got {part.stat().st_size:,}"
    if md5 is None:
        return None
    try:
        arrived = checksum(part, unpacked=unpacked)
    except (OSError, EOFError, zlib.error) as error:
        return f"the server sent something else ({error})"
    return None if arrived == md5.lower() else f"expected md5 {md5}, got {arrived}: not the right file"


def checksum(path: str | Path, *, unpacked: bool = False) -> str:
    """The MD5 of a file, or of a gzip file's content, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with gzip.open(path, "rb") if unpacked else Path(path).open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()
