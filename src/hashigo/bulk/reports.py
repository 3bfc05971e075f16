"""What became of a shard: one line about all of it, then one line per photo. A shard without a report has not been done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hashigo.bulk.lines import line_of, parsed
from hashigo.bulk.plan import STATE
from hashigo.bulk.storage import Place
from hashigo.errors import DataError, PictureError

FIRST_LINE = 1024
"""Bytes that contain a report's first line."""

State = Literal["done", "left", "failed"]
"""Of a photo: its result was made; it was left alone as asked; it failed."""


@dataclass(frozen=True)
class PhotoReport:
    """What became of a photo.

    source: its path or address. version, size: as in the plan. target: its result's name in OUT. error: why it failed. notes: what people should know, or why it
    was left.
    """

    source: str
    version: str
    state: State
    size: int = 0
    target: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard.

    Args:
        shard: Its id.
        key: Of its photos, the model and the options: the shard is done as long as these stay the same.
        done: Photos with results.
        left: Photos left alone as asked.
        failed: Photos that failed.
        made: Results that were made now; the others are of earlier runs.
        seconds: Duration.
    """

    shard: str
    key: str
    done: int = 0
    left: int = 0
    failed: int = 0
    made: int = 0
    seconds: float = 0.0

    @property
    def photos(self) -> int:
        """All of them."""
        return self.done + self.left + self.failed


def report_of(shard: str, key: str, photos: Sequence[PhotoReport], made: int, seconds: float) -> ShardReport:
    """The shard's report from those of its photos."""
    states = [photo.state for photo in photos]
    return ShardReport(
        shard, key, states.count("done"), states.count("left"), states.count("failed"), made, round(seconds, 3)
    )


def write_report(out: Place, report: ShardReport, photos: Sequence[PhotoReport]) -> None:
    """Writes a report. Raises StorageError."""
    lines = [line_of(report), *(line_of(photo, short=True) for photo in photos)]
    out.write(_name(report.shard), ("\n".join(lines) + "\n").encode())


def remove_report(out: Place, shard: str) -> None:
    """Removes a shard's report, if there is one: the shard is to be done again. Raises StorageError."""
    out.remove(_name(shard))


def _name(shard: str) -> str:
    return f"{STATE}/reports/{shard}.jsonl"


def read_report(out: Place, shard: str) -> ShardReport | None:
    """A shard's report; None if there is none. Raises StorageError."""
    try:
        line = out.read(_name(shard), 0, FIRST_LINE).partition(b"\n")[0]
        return parsed(ShardReport, line, "")
    except (PictureError, DataError):
        return None


def read_photos(out: Place, shard: str) -> Iterator[PhotoReport]:
    """The reports of a shard's photos; none if there is no report. Raises StorageError, and DataError for a damaged report."""
    try:
        lines = out.read(_name(shard)).splitlines()[1:]
    except PictureError:
        return
    yield from (parsed(PhotoReport, line, f"delete {out.full(_name(shard))}") for line in lines)
