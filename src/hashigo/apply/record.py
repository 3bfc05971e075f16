"""How each result was made, so that a later run knows which results are up to date.

The record is one small database in the user's state folder (`state_folder`), so that nothing clutters the photos. A row per
result: the photo it was made from (size, date, checksum), the options, and the size and date of the result. A result that was renamed
or moved is recognized by its size and date.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashigo.apply.call import Call
from hashigo.files import open_file
from hashigo.machine import state_folder
from hashigo.models.folder import ModelFolder

State = Literal["new", "current", "photo", "options", "edited", "unknown"]
"""The state of a result: missing; up to date; its photo changed; the options changed; edited since it was made; it
has no record."""

_CHUNK = 1 << 20
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class Source:
    """A photo's file: size in bytes, date of its last change in nanoseconds, CRC-32 of its content."""

    size: int
    time: int
    crc: int


@dataclass(frozen=True)
class Made:
    """How one result was made: its path, size and date, the photo's path and file, the options, and the hints (X,Y,#RRGGBB)."""

    path: str
    size: int
    time: int
    photo: str
    source: Source
    options: str
    hints: tuple[str, ...]


def source_of(path: Path) -> Source:
    """What identifies a photo's file. Raises OSError when it cannot be read."""
    status = path.stat()
    return Source(status.st_size, status.st_mtime_ns, _crc(path))


def _crc(path: Path) -> int:
    crc = 0
    with open_file(path) as file:
        while block := file.read(_CHUNK):
            crc = zlib.crc32(block, crc)
    return crc


def options_of(folder: ModelFolder, call: Call, *others: object, first: ModelFolder | None = None) -> str:
    """A short text that differs when the model or an option that changes results does. first: the model that photos go through before this one.

    Only the size and both ends of the weights are read, because training changes all of them.
    """
    crc = zlib.crc32(repr((call.task, call.size, others, *(["whole"] if call.whole else []))).encode())
    for model in (folder, *([] if first is None else [first])):
        for path in (model.path / "config.json", model.onnx, model.weights):
            crc = zlib.crc32(_sample(path), crc)
    return f"{crc:08x}"


def _sample(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_SAMPLE)
            file.seek(max(0, size - _SAMPLE))
            return str(size).encode() + head + file.read(_SAMPLE)
    except OSError:
        return b""


_TABLE = """
CREATE TABLE IF NOT EXISTS results (
    path TEXT PRIMARY KEY, size INTEGER, time INTEGER, photo TEXT, photo_size INTEGER, photo_time INTEGER, photo_crc INTEGER,
    options TEXT, hints TEXT
);
CREATE INDEX IF NOT EXISTS results_by_file ON results (size, time);
"""
_COLUMNS = "path, size, time, photo, photo_size, photo_time, photo_crc, options, hints"


class Records:
    """The record of all results; may be used from several threads and by several processes.

    If it cannot be read or written, `problem` says why, and results are compared by date only.

    Args:
        folder: the database's folder; by default the user's state folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.problem = ""
        self._lock = threading.Lock()
        self._database = self._open(folder or state_folder())

    def _open(self, folder: Path) -> sqlite3.Connection | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(
                folder / "results.sqlite", timeout=10, check_same_thread=False, isolation_level=None
            )
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")  # a lost line costs one photo made again
            database.executescript(_TABLE)
        except (OSError, sqlite3.Error) as error:
            self.problem = f"{folder}: {error}"
            return None
        return database

    def state(self, photo: Path, target: Path, options: str) -> State:
        """The state of the result at `target`. Raises OSError when the photo cannot be read."""
        try:
            status = target.stat()
        except OSError:
            return "new"
        made = self._made(target, status)
        if made is None:
            return "unknown"
        if (status.st_size, status.st_mtime_ns) != (made.size, made.time):
            return "edited"
        if not _same_file(photo, made.source):
            return "photo"
        return "current" if made.options == options else "options"

    def other_photo(self, photo: Path, target: Path) -> Path | None:
        """The photo from which the result at `target` was made, if that is a different photo and still exists."""
        if not os.path.exists(target):  # noqa: PTH110 (Path's raises for too long names)
            return None
        made = self._at(target)
        if made is None or not os.path.exists(made.photo):  # noqa: PTH110
            return None
        other = Path(made.photo)
        return None if _place(other) == _place(photo) or _is_same(photo, made.source) else other

    def hints(self, target: Path) -> tuple[str, ...]:
        """The hints with which the result at `target` was made."""
        try:
            made = self._made(target, target.stat())
        except OSError:
            return ()
        return () if made is None else made.hints

    def add(self, photo: Path, source: Source, target: Path, options: str, hints: tuple[str, ...] = ()) -> None:
        """Records how the result at `target` was made. Raises OSError when that cannot be read."""
        status = target.stat()
        row = (
            _text(_place(target)), status.st_size, status.st_mtime_ns, _text(_place(photo)), source.size, source.time, source.crc,
            options, json.dumps(hints),
        )  # fmt: skip
        self._query(f"INSERT OR REPLACE INTO results ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _made(self, target: Path, status: os.stat_result) -> Made | None:
        made = self._at(target)
        if made is not None:
            return made
        rows = self._query(
            f"SELECT {_COLUMNS} FROM results WHERE size = ? AND time = ?", (status.st_size, status.st_mtime_ns)
        )
        moved = (made for made in map(_made_of, rows) if not os.path.exists(made.path))  # noqa: PTH110
        return next(moved, None)

    def _at(self, target: Path) -> Made | None:
        rows = self._query(f"SELECT {_COLUMNS} FROM results WHERE path = ?", (_text(_place(target)),))
        return _made_of(rows[0]) if rows else None

    def _query(self, query: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        with self._lock:
            if self._database is None:
                return []
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self.problem = str(error)
                self._database = None
                return []


def _made_of(row: tuple[object, ...]) -> Made:
    path, size, time, photo, photo_size, photo_time, photo_crc, options, hints = row
    return Made(
        str(path), int(str(size)), int(str(time)), str(photo), Source(int(str(photo_size)), int(str(photo_time)), int(str(photo_crc))),
        str(options), tuple(json.loads(str(hints))),
    )  # fmt: skip


def _place(path: Path) -> str:
    return os.path.realpath(path)


def _text(path: str) -> str:
    """A path as text for the database; bytes that are not valid UTF-8 are escaped."""
    return path.encode("utf-8", "backslashreplace").decode()


def _same_file(photo: Path, source: Source) -> bool:
    """Whether the photo is unchanged: same size and date, or if only the date differs, same content."""
    status = photo.stat()
    if status.st_size != source.size:
        return False
    return status.st_mtime_ns == source.time or _crc(photo) == source.crc


def _is_same(photo: Path, source: Source) -> bool:
    try:
        return _same_file(photo, source)
    except OSError:
        return False
