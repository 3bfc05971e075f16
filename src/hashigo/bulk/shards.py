"""Processing a shard: its photos through the model, results first, the report last. Doing it again changes nothing."""

from __future__ import annotations

import contextlib
import errno
import io
import tarfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hashigo.apply.batches import Line
from hashigo.apply.call import Call
from hashigo.apply.jobs import advised, with_further
from hashigo.apply.model import Model, load
from hashigo.apply.record import options_of
from hashigo.bulk.plan import Item, Plan, Shard, read_manifest, read_plan
from hashigo.bulk.reports import (
    PhotoReport,
    ShardReport,
    State,
    read_photos,
    read_report,
    remove_report,
    report_of,
    write_report,
)
from hashigo.bulk.settings import BulkSettings, key_of
from hashigo.bulk.storage import STOPPING, Folder, Place, place_of
from hashigo.errors import DataError, PictureError, StorageError
from hashigo.files import copy_date
from hashigo.image.photo import Photo, encode, losses, pixels_in, read, write
from hashigo.models.folder import open_model
from hashigo.tasks.capabilities import vivid_task

MANY = 20
"""If so many photos of a shard are missing, and no others are there, it is not the photos' fault."""

AHEAD = 16
"""Photos of stores and tar files that are read ahead."""

Alive = Callable[[], object]
"""Called whenever a photo is finished."""


def shard_key(shard: Shard, options: str) -> str:
    """What a shard's report must say for the shard to be done."""
    return f"{shard.digest}-{options}"


def options_key(settings: BulkSettings) -> str:
    """A short text that differs when the model does or an option that changes results. Raises ModelError."""
    folder = open_model(settings.model)
    task = folder.task if settings.vivid is None else vivid_task(folder.task, settings.vivid)
    call = Call(task, settings.size or folder.size, whole=settings.whole)
    first = open_model(settings.restore) if settings.restore else None
    return key_of(settings, options_of(folder, call, settings.quality, settings.pages, first=first))


class Shards:
    """Processes the shards of a plan with one loaded model.

    Args:
        output: OUT, with its plan.
        settings: What is done with each photo.
        threads: Most threads for the network and for finishing a photo; 0 takes all cores.

    Raises:
        DataError: there is no plan. ModelError: the model cannot be used. RecipeError: it does not take an option.
    """

    def __init__(self, output: str, settings: BulkSettings, threads: int = 0) -> None:
        self.out, self.plan, self.settings = place_of(output), read_plan(output), settings
        self.options = options_key(settings)
        self.model = load(
            settings.model, engine=settings.backend, size=settings.size, vivid=settings.vivid, whole=settings.whole, threads=threads,
            restore=settings.restore or False,
        )  # fmt: skip
        self.word = settings.suffix or self.model.task.suffix

    def process(
        self,
        shard: Shard,
        *,
        known: Mapping[int, PhotoReport] | None = None,
        alone: bool = False,
        alive: Alive = lambda: None,
    ) -> ShardReport:
        """Processes a shard and writes its report. Results of earlier runs that are still right stay.

        known: reports of photos that have been tried, by their numbers. alone: process one photo at a time.

        Raises:
            StorageError: the disk is full, or a store does not answer: the shard has no report and is to be done again.
            MemoryError: photos needed too much memory together: the shard is to be done again, one photo at a time.
        """
        start = time.perf_counter()
        items = read_manifest(self.out, shard)
        photos = earlier(self.out, self.plan, shard, items, self.options, self.settings, self.word)
        for number, photo in (known or {}).items():
            photos[number] = photo
        made = sum(photo.state == "done" for photo in (known or {}).values())
        todo = [number for number, photo in enumerate(photos) if photo is None]
        work = self._work(alive, alone)
        for number, photo in zip(todo, self._run(work, [items[number] for number in todo]), strict=True):
            photos[number] = photo
            made += photo.state == "done"
        if work.crowded:
            raise MemoryError("photos of a shard needed too much memory together")
        reports = [photo for photo in photos if photo is not None]
        if len(todo) >= MANY and work.missing == len(todo):
            raise StorageError(
                f"{reports[todo[0]].source}: this photo and all others of its shard are missing; is a drive not connected? "
                "If they were removed, run 'hashigo bulk plan' again"
            )
        if self.settings.tars:
            self._write_tar(shard, work)
        # a report that outlives a power failure which its results did not would lose them silently
        new = [reports[number].target for number in {*todo, *(known or {})} if reports[number].state == "done"]
        self.out.settle([f"{shard.id}.tar"] if self.settings.tars else new, alive)
        report = report_of(shard.id, shard_key(shard, self.options), reports, made, time.perf_counter() - start)
        write_report(self.out, report, reports)
        return report

    def process_one(self, item: Item) -> PhotoReport:
        """Processes one photo; writes no report. Raises StorageError."""
        return next(self._run(self._work(lambda: None, alone=True), [item]))

    def _run(self, work: _Work, items: Sequence[Item]) -> Iterator[PhotoReport]:
        with work.reading:
            for some in [[item] for item in items] if work.alone else [items]:
                for photo in Line(self.model, work, batch_size=4).run(work.ahead(some)):
                    if work.stopped is not None:
                        raise work.stopped
                    yield photo

    def _work(self, alive: Alive, alone: bool) -> _Work:
        return _Work(self.model, self.settings, self.plan, self.out, self.word, self.model.call(), alive, alone)

    def _write_tar(self, shard: Shard, work: _Work) -> None:
        """All results of a shard as one tar file, in the photos' order."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in sorted(work.results.items()):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        self.out.write(f"{shard.id}.tar", stream.getvalue())


def source_of(plan: Plan, item: Item) -> str:
    """A photo's path or address."""
    return place_of(plan.inputs[item.input]).full(item.name)


def earlier(
    out: Place, plan: Plan, shard: Shard, items: Sequence[Item], options: str, settings: BulkSettings, word: str
) -> list[PhotoReport | None]:
    """What earlier runs say of each photo, if that is still right: the same photo, model, options and result's name, and no failure.

    Nothing for tar files, which are written whole. A report that is of no use is removed, because its results are about to be replaced: if that
    ends half-way, a run with the options of that report would take the new results for its own.
    """
    report = read_report(out, shard.id)
    photos: list[PhotoReport] = []
    if report is not None and report.key.partition("-")[2] == options and not settings.tars:
        with contextlib.suppress(DataError):  # damaged: as if there were none
            photos = [photo for photo in read_photos(out, shard.id) if photo.state != "failed"]
    if report is not None and not photos:
        remove_report(out, shard.id)
    known = {(photo.source, photo.version, photo.size, photo.target): photo for photo in photos}
    found = []
    for item in items:
        same = source_of(plan, item), item.version, item.size
        found.append(known.get((*same, item.result(word))) or known.get((*same, "")))
    return found


class _Named(io.BytesIO):
    """A file's bytes with its name, which messages and the format TGA need."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


@dataclass
class _Work:
    """Photos of a shard on the assembly line.

    alone: whether this is one photo at a time. stopped: why the place cannot be used now, once that is known. crowded: whether memory
    ran out. missing: photos that are not there. results: for a tar file.
    """

    model: Model
    settings: BulkSettings
    plan: Plan
    out: Place
    word: str
    treated: Call
    alive: Alive
    alone: bool = False
    stopped: StorageError | None = None
    crowded: bool = False
    missing: int = 0
    results: dict[str, bytes] = field(default_factory=dict)
    reading: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AHEAD, "hashigo-bulk"))
    contents: dict[str, Future[bytes]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ahead(self, items: Sequence[Item]) -> Iterator[Item]:
        """The items, while the bytes of the next ones are being read, if they do not come from files of their own."""
        waiting: deque[Item] = deque()
        for item in items:
            if self._path(item) is None:
                self.contents[_key(item)] = self.reading.submit(self._read, item)
            waiting.append(item)
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _place(self, item: Item) -> Place:
        return place_of(self.plan.inputs[item.input])

    def _path(self, item: Item) -> Path | None:
        """The photo's file; None if it is in a store or a tar file."""
        place = self._place(item)
        return place.root / item.name if isinstance(place, Folder) and item.start < 0 else None

    def _read(self, item: Item) -> bytes:
        if item.start < 0:
            return self._place(item).read(item.name)
        return self._place(item).read(item.archive, item.start, item.size)

    def _source(self, item: Item) -> Path | _Named:
        path = self._path(item)
        if path is not None:
            return path
        return _Named(self.contents[_key(item)].result(), self._place(item).full(item.name))

    def pixels(self, item: Item) -> int:
        """How many pixels the photo's result has according to its header; 0 if unknown."""
        try:
            path = self._path(item)
            return (
                pixels_in(path if path is not None else self.contents[_key(item)].result())
                * self.model.task.result_scale**2
            )
        except (StorageError, PictureError):
            return 0

    def load(self, item: Item) -> Photo | None:
        """The photo, or None if it is left alone."""
        if self.stopped is not None:
            raise self.stopped
        try:
            photo = read(
                self._source(item), max_pixels=int(self.settings.max_megapixels * 1e6), pages=self.settings.pages
            )
        except PictureError as error:
            check_reading(error, self._place(item))
            if isinstance(error.__cause__, FileNotFoundError):
                with self.lock:
                    self.missing += 1
            raise
        finally:
            self.contents.pop(_key(item), None)
        if self.model.recolours(photo):
            if self.settings.only_grey:
                return None
            self._note(item, "it was already in colour and got new colours")
        return photo

    def _note(self, item: Item, note: str) -> None:
        with self.lock:
            self.notes.setdefault(_key(item), []).append(note)

    def call(self, _item: Item) -> Call:
        """The options, the same for all."""
        return self.treated

    def finish(self, item: Item, photo: Photo, result: Photo) -> PhotoReport:
        """Writes the result."""
        if self.stopped is not None:
            raise self.stopped
        result = with_further(self.model, photo, result, self.treated)
        target = item.result(self.word)
        ending = Path(target).suffix
        notes = [item.note, *self.notes.pop(_key(item), []), *map(advised, result.warnings), losses(result, ending)]
        notes.append(self._write(item, target, result, ending))
        self.alive()
        return self._report(item, "done", target=target, notes=tuple(note for note in notes if note))

    def _report(
        self, item: Item, state: State, *, target: str = "", error: str = "", notes: tuple[str, ...] = ()
    ) -> PhotoReport:
        return PhotoReport(source_of(self.plan, item), item.version, state, item.size, target, error, notes)

    def _write(self, item: Item, target: str, result: Photo, ending: str) -> str:
        """Writes a result; returns what people should know."""
        if isinstance(self.out, Folder) and not self.settings.tars:
            path = self.out.root / target
            _write_file(result, path, self.settings.quality)
            return self._keep_date(item, path)
        content = encode(result, ending, self.settings.quality)
        if self.settings.tars:
            with self.lock:
                self.results[target] = content
        else:
            self.out.write(target, content)
        return ""

    def _keep_date(self, item: Item, path: Path) -> str:
        source = self._path(item)
        if not self.settings.keep_date or source is None:
            return ""
        try:
            copy_date(source, path)
        except OSError as error:
            return f"its result could not get its date ({error.strerror})"
        return ""

    def skip(self, item: Item) -> PhotoReport:
        """A photo that is left alone."""
        self.alive()
        return self._report(item, "left", notes=("in colour already",))

    def fail(self, item: Item, error: Exception) -> PhotoReport:
        """A photo that failed; if that is not its fault, the shard stops or is done again."""
        if isinstance(error, StorageError):
            self.stopped = error
        if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
            self.crowded = not self.alone
        self.alive()
        return self._report(item, "failed", error=str(error) or f"{source_of(self.plan, item)}: {type(error).__name__}")


def _key(item: Item) -> str:
    return f"{item.input}/{item.name}@{item.start}"


def check_reading(error: PictureError, place: Place) -> None:
    """Raises StorageError where a photo cannot be read because its whole folder cannot."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in STOPPING - {errno.EIO}:  # one bad sector is one photo
        raise StorageError(cause.errno, cause.strerror, place.text) from error
    if isinstance(place, Folder) and not place.root.is_dir():
        raise StorageError(errno.ENOENT, "the photos' folder is gone", place.text) from error


def _write_file(result: Photo, path: Path, quality: int) -> None:
    """Like `write`. Raises StorageError where the next photo would fail, too."""
    try:
        write(result, path, quality=quality)
    except PictureError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in STOPPING:
            raise StorageError(cause.errno, cause.strerror, str(path)) from error
        raise
