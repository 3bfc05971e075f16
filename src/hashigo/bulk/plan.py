"""The plan: which photos there are, and how they are divided into shards. It is written to OUT as it is made, so memory does not grow with the number of photos.

    OUT/.hashigo/plan.json                  what was planned: the inputs, and how many photos, bytes and shards there are
    OUT/.hashigo/shards.jsonl               one line per shard
    OUT/.hashigo/manifest/SHARD.jsonl       one line per photo of a shard

A shard ends after a photo whose name says so, not after a fixed number. So a photo that is added later changes its own shard only, and a second plan
leaves all other shards as they were: they count as done.
"""

from __future__ import annotations

import glob
import json
import os
import sqlite3
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path, PurePosixPath

from hashigo.bulk.storage import Entry, Folder, Place, is_store, place_of
from hashigo.data.tars import pictures_in
from hashigo.errors import DataError, PictureError, RecipeError, StorageError, plural
from hashigo.files import Others, locked, suffix_of
from hashigo.image.formats import FORMATS, SUFFIXES, suffix_for_output

STATE = ".hashigo"
"""The folder in OUT for plan, reports and attempts; hidden, so that no walk takes it for photos."""

PHOTOS, MOST_PHOTOS, MOST_BYTES = 200, 400, 64_000_000
"""Photos per shard on average, and at most; bytes per shard."""

KINDS = SUFFIXES | {".tar"}
"""Endings of what is planned: photos, and tar files of them."""

VERSION = 1

Say = Callable[[str], object]


@dataclass(frozen=True)
class Item:
    """A photo to process.

    Args:
        input: Number of the input that it is part of.
        name: Its name below that input; of a photo in a tar file, the tar's name, "!" and the member's name.
        size: In bytes.
        version: What changes when the photo does: a store's etag, or a file's date in nanoseconds.
        target: Its result's name in OUT, with "*" in place of the model's word: `album/a.*.jpg`.
        start: Where it begins in its tar file; -1 for a file of its own.
        tar: Length of the tar file's name within `name`.
        note: What people should know about the result's name.
    """

    input: int
    name: str
    size: int
    version: str
    target: str
    start: int = -1
    tar: int = 0
    note: str = ""

    @property
    def archive(self) -> str:
        """Name of the tar file that contains it; "" for a file of its own."""
        return self.name[: self.tar]

    def result(self, word: str) -> str:
        """The result's name with the model's word."""
        stem, _, ending = self.target.rpartition("*")
        return f"{stem}{word}{ending}"

    def line(self) -> str:
        """The item as a line of a manifest."""
        values = asdict(self)
        for name, usual in (("start", -1), ("tar", 0), ("note", "")):
            if values[name] == usual:
                del values[name]
        return json.dumps(values) + "\n"

    @classmethod
    def of(cls, line: str) -> Item:
        """The item of a line. Raises DataError."""
        try:
            return cls(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"expected a line of a manifest, got {line[:100]!r}; run 'hashigo bulk plan' again"
            ) from error


@dataclass(frozen=True)
class Shard:
    """Some photos that are processed together.

    id: of its first photo's name, so that it stays the same when photos are added. digest: of its manifest.
    """

    id: str
    photos: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Plan:
    """What was planned.

    Args:
        inputs: Each input's root: an absolute path or an address.
        photos: How many.
        bytes: Their size.
        shards: How many.
        left_out: Files of other kinds, by suffix.
        format: The results' format, by Pillow's name; "" for each photo's own.
        created: Date, in seconds since 1970.
        version: Of this format.
    """

    inputs: tuple[str, ...]
    photos: int
    bytes: int
    shards: int
    left_out: dict[str, int] = field(default_factory=dict)
    format: str = ""
    created: float = 0.0
    version: int = VERSION


def make_plan(
    inputs: Sequence[str], output: str, *, format: str = "", say: Say = lambda _: None, progress: Callable[[int], object] = lambda _: None
) -> Plan:  # fmt: skip
    """Finds all photos of the inputs and writes the plan to `output`. An earlier plan there is removed first: half of a new one could lose photos.

    inputs: folders, patterns, photos, tar files, or addresses of object stores. format: of all results, by Pillow's name. progress: called
    with the number of photos found so far.

    Raises:
        PictureError: an input does not exist, or there are no photos. RecipeError: inputs that contain one another, or `output` is one of them.
        StorageError: an input or `output` cannot be used now. BusyError: a run works on `output`.
    """
    out = place_of(absolute(output))
    roots = [root for given in inputs for root in _roots(given)]
    _check_apart(roots, out)
    with alone(out):
        return _make(roots, out, format, say, progress)


def alone(out: Place) -> AbstractContextManager[None]:
    """Keeps other runs and plans on this computer or network drive away from a folder. On a store they may share: what both do is the same.

    Raises BusyError if there is one.
    """
    if not isinstance(out, Folder):
        return nullcontext()
    busy = f"{out.text}: another bulk run works on this folder; wait until it ends, or stop it"
    return locked(out.root / STATE / "run.lock", busy)


def _make(roots: Sequence[_Root], out: Place, format: str, say: Say, progress: Callable[[int], object]) -> Plan:
    others: Others = Counter()
    twice = len(roots) > 1 or any(root.only is not None for root in roots)  # then a photo may be found again
    with _Manifests(out, roots) as manifests, _Names() as names:
        for number, root in enumerate(roots):
            for found in root.photos(others, out):
                if twice and not names.take_source(f"{root.text}/{found.name}"):
                    continue
                target, note = names.free(_target(found.relative, format), PurePosixPath(found.relative).suffix)
                manifests.add(Item(number, found.name, found.size, found.version, target, found.start, found.tar, note))
                if manifests.photos % 1000 == 0:
                    progress(manifests.photos)
        if not manifests.photos:
            raise PictureError(
                f"expected photos ({' '.join(sorted(SUFFIXES))}) or tar files of them, found none in {' '.join(root.text for root in roots)}"
            )
        plan = manifests.finish(tuple(root.text for root in roots), dict(others), format)
    for root in roots:
        for problem in root.problems:
            say(problem)
    return plan


def read_plan(output: str) -> Plan:
    """The plan in `output`.

    Raises:
        DataError: there is none, or one of another version. StorageError: `output` cannot be used now.
    """
    out = place_of(absolute(output))
    try:
        values = json.loads(out.read(f"{STATE}/plan.json"))
        plan = Plan(**{**values, "inputs": tuple(values["inputs"])})
    except (PictureError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{output}: expected a plan that this version of hashigo made, got none; run 'hashigo bulk plan IN… -o {output}' first"
        ) from error
    if plan.version != VERSION:
        raise DataError(
            f"{output}: expected a plan of version {VERSION}, got {plan.version}; run 'hashigo bulk plan' again"
        )
    return plan


def read_shards(out: Place) -> Iterator[Shard]:
    """The shards of a plan, in order. Raises DataError for damaged lines."""
    try:
        file = out.open(f"{STATE}/shards.jsonl")
    except PictureError as error:
        raise DataError(f"{out.text}: expected a list of shards, got none; run 'hashigo bulk plan' again") from error
    with file:
        for line in file:
            try:
                yield Shard(**json.loads(line))
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{out.text}: expected a list of shards, got {line[:100]!r}; run 'hashigo bulk plan' again"
                ) from error


def read_manifest(out: Place, shard: Shard) -> list[Item]:
    """The photos of a shard.

    Raises:
        StorageError: the manifest is missing or of another plan, which was made meanwhile. DataError: it is damaged.
    """
    try:
        content = out.read(f"{STATE}/manifest/{shard.id}.jsonl")
    except PictureError as error:
        raise StorageError(f"{out.text}: {error}; run 'hashigo bulk plan' again") from error
    if hash_of(content) != shard.digest:
        raise StorageError(f"{out.text}: the plan has changed since this run began; run 'hashigo bulk run' again")
    return [Item.of(line) for line in content.decode().splitlines()]


# --- inputs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """A photo of an input. relative: its path in the mirrored tree."""

    name: str
    relative: str
    size: int
    version: str
    start: int = -1
    tar: int = 0


@dataclass
class _Root:
    """An input: a folder or an address, or single names below it."""

    text: str
    only: Sequence[str] | None = None
    problems: list[str] = field(default_factory=list)

    def photos(self, others: Others, out: Place) -> Iterator[_Found]:
        """Its photos, by name; nothing that is in `out`."""
        place = place_of(self.text)
        within = _within(out.text, self.text)
        entries = place.entries(KINDS, others) if self.only is None else self._single(place, others)
        for entry in entries:
            if within and entry.name.startswith(within):
                continue
            if suffix_of(entry.name) == ".tar" and entry.size >= 0:
                yield from self._of_tar(place, entry)
            else:
                yield _Found(entry.name, entry.name, entry.size, entry.version)

    def _single(self, place: Place, others: Others) -> Iterator[Entry]:
        for name in self.only or ():
            if isinstance(place, Folder) and os.path.isdir(place.full(name)):  # noqa: PTH112 (of a pattern)
                for entry in Folder(Path(place.full(name))).entries(KINDS, others):
                    yield replace(entry, name=f"{name}/{entry.name}")
            else:
                yield place.entry(name) or Entry(name, -1, "")

    def _of_tar(self, place: Place, entry: Entry) -> Iterator[_Found]:
        folder, length = entry.name[: -len(".tar")], len(entry.name)
        try:
            with place.open(entry.name) as stream:
                for member in pictures_in(stream, place.full(entry.name), links=True):
                    name = member.name.removeprefix("./").replace("\0", "␀")
                    if not member.isreg() or member.issparse() or "\0" in member.name:  # it will be listed as failed
                        self.problems.append(
                            f"{place.full(entry.name)}!{name}: a link or a sparse file in a tar file cannot be read; unpack it"
                        )
                        yield _Found(f"{entry.name}!{name}", f"{folder}/{name}", -1, entry.version)
                        continue
                    version = f"{entry.version}@{member.offset_data}"
                    yield _Found(
                        f"{entry.name}!{name}", f"{folder}/{name}", member.size, version, member.offset_data, length
                    )
        except (DataError, PictureError) as error:
            self.problems.append(str(error))
            yield _Found(entry.name, entry.name, -1, entry.version)  # it will be listed as failed


def _roots(given: str) -> Iterator[_Root]:
    """What an input stands for.

    Raises:
        PictureError: there is nothing.
    """
    text = absolute(given)
    if is_store(text):
        folder, _, name = text.rpartition("/")
        if suffix_of(name) in KINDS and folder.count("/") > 1:
            yield _Root(folder, [name])
        else:
            yield _Root(text.rstrip("/"))
    elif os.path.isdir(text):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        yield _Root(text)
    elif os.path.lexists(text):
        yield _Root(str(Path(text).parent), [Path(text).name])
    elif glob.has_magic(given):
        yield from _pattern(given)
    else:
        raise PictureError(
            f"{given}: expected a folder, a pattern, a photo, a tar file or an address such as s3://bucket/folder, but nothing is there"
        )


def _pattern(given: str) -> Iterator[_Root]:
    parts = Path(given).expanduser().parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    parent = absolute(str(Path(*parts[:fixed])))
    matches = sorted(glob.glob(str(Path(*parts[fixed:])), root_dir=parent, recursive=True))  # noqa: PTH207 (Path.glob matches hidden files)
    names = [
        Path(match).as_posix()
        for match in matches
        if suffix_of(match) in KINDS or os.path.isdir(os.path.join(parent, match))  # noqa: PTH112, PTH118
    ]
    if not names:
        raise PictureError(f"{given}: expected a pattern that matches photos, folders or tar files; it matches none")
    yield _Root(parent, names)


def absolute(text: str) -> str:
    """A path without its dots and relative parts; an address as it is."""
    return text if is_store(text) else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 (links stay as they are)


def _within(inner: str, outer: str) -> str:
    """The name of `inner` below `outer`, with "/" at its end; "" if it is not there."""
    if is_store(inner) != is_store(outer):
        return ""
    if not is_store(inner):
        inner, outer = os.path.realpath(inner), os.path.realpath(outer)
    outer = outer.rstrip("/") + "/"
    return f"{inner.rstrip('/')}/".removeprefix(outer) if inner.startswith(outer) else ""


def _check_apart(roots: Sequence[_Root], out: Place) -> None:
    for root in roots:
        if root.text == out.text or _within(root.text, out.text):
            raise RecipeError(
                f"-o {out.text}: expected a folder other than the photos' own, got one that contains {root.text}"
            )
    texts = sorted((_real(root.text), root.text) for root in roots if root.only is None)
    for (outer, shown), (inner, other) in pairwise(texts):  # sorted, an outer folder comes right before those in it
        if inner.startswith(outer):
            raise RecipeError(f"expected inputs that lie apart, got {shown} and {other}; give the outer one only")


def _real(text: str) -> str:
    return (text if is_store(text) else os.path.realpath(text)).rstrip("/") + "/"


# --- names ------------------------------------------------------------------------------------------


def _target(relative: str, format: str) -> str:
    path = PurePosixPath(
        relative if PurePosixPath(relative).name else "folder"
    )  # "." is an input that cannot be listed
    ending = FORMATS[format][0] if format else suffix_for_output(path.suffix)
    return str(path.with_name(f"{path.stem}.*{ending}"))


class _Names:
    """The results' names so far, in a temporary database on disk. A name that is taken gets its photo's own ending: `x.png` becomes `x.png.color.png`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hashigo-")
        self._base = sqlite3.connect(Path(self._folder.name) / "names.sqlite", isolation_level=None)
        self._base.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536; "
            "CREATE TABLE names (name TEXT PRIMARY KEY, next INTEGER) WITHOUT ROWID; CREATE TABLE sources (name TEXT PRIMARY KEY) WITHOUT ROWID; BEGIN"
        )

    def __enter__(self) -> _Names:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()
        self._folder.cleanup()

    def take_source(self, name: str) -> bool:
        """Whether a photo is found for the first time."""
        return self._base.execute("INSERT OR IGNORE INTO sources VALUES (?)", (_text(name),)).rowcount == 1

    def free(self, target: str, own: str) -> tuple[str, str]:
        """A free name like `target`, and a note if that is another one."""
        if self._take(target):
            return target, ""
        stem, _, ending = target.rpartition(".*")
        (number,) = self._base.execute("SELECT next FROM names WHERE name = ?", (_text(target),)).fetchone()
        while not self._take(name := f"{stem}{own}{'' if number == 1 else f'-{number}'}.*{ending}"):
            number += 1
        self._base.execute("UPDATE names SET next = ? WHERE name = ?", (number + 1, _text(target)))
        return name, f"{target} is the result of another photo, so this one becomes {PurePosixPath(name).name}"

    def _take(self, name: str) -> bool:
        return self._base.execute("INSERT OR IGNORE INTO names VALUES (?, 1)", (_text(name),)).rowcount == 1


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# --- shards -----------------------------------------------------------------------------------------


class _Manifests:
    """Writes manifests, some at a time in threads, because a store takes its time for each."""

    def __init__(self, out: Place, roots: Sequence[_Root]) -> None:
        self._out, self._roots = out, roots
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="hashigo-plan")
        self._writing: list[Future[None]] = []
        self._lines: list[str] = []
        self._first = ""
        self._shard_bytes = 0
        self._index = tempfile.TemporaryFile("w+b")  # noqa: SIM115 (closed by __exit__)
        self.photos = self.bytes = self.shards = 0

    def __enter__(self) -> _Manifests:
        self._out.remove(
            f"{STATE}/plan.json"
        )  # if this is interrupted, there is no plan: half of one could lose photos
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._index.close()

    def add(self, item: Item) -> None:
        """Adds a photo to the present shard, and ends the shard if it is full."""
        if self._lines and self._shard_bytes + item.size > MOST_BYTES:
            self._end()
        if not self._lines:
            self._first = f"{self._roots[item.input].text}/{item.name}"
        self._lines.append(item.line())
        self._shard_bytes += max(0, item.size)
        self.photos += 1
        self.bytes += max(0, item.size)
        if len(self._lines) >= MOST_PHOTOS or _ends_shard(item):
            self._end()

    def _end(self) -> None:
        content = "".join(self._lines).encode()
        shard = Shard(
            hash_of(self._first.encode("utf-8", "surrogateescape")),
            len(self._lines),
            self._shard_bytes,
            hash_of(content),
        )
        self._index.write(json.dumps(asdict(shard)).encode() + b"\n")
        self._writing = [future for future in self._writing if not future.done() or future.result()]
        while len(self._writing) >= 64:
            self._writing.pop(0).result()
        self._writing.append(self._pool.submit(self._out.write, f"{STATE}/manifest/{shard.id}.jsonl", content))
        self.shards += 1
        self._lines, self._shard_bytes = [], 0

    def finish(self, inputs: tuple[str, ...], left_out: dict[str, int], format: str) -> Plan:
        """Writes the last shard, the list of shards and the plan."""
        if self._lines:
            self._end()
        for future in self._writing:
            future.result()
        self._index.seek(0)
        self._out.write(f"{STATE}/shards.jsonl", self._index.read())
        plan = Plan(inputs, self.photos, self.bytes, self.shards, left_out, format, time.time())
        self._out.write(f"{STATE}/plan.json", json.dumps(asdict(plan), indent=1).encode())
        return plan


def _ends_shard(item: Item) -> bool:
    """Whether a shard ends after a photo: so often that shards have `PHOTOS` photos, or half of `MOST_BYTES`, on average."""
    share = max(1 / PHOTOS, 2 * item.size / MOST_BYTES)
    return zlib.crc32(item.name.encode("utf-8", "surrogateescape")) < share * 2**32


def hash_of(content: bytes) -> str:
    """A short checksum."""
    return blake2b(content, digest_size=8).hexdigest()


def summary(plan: Plan) -> str:
    """For instance "1,000 photos (0.3 GB) in 6 shards; left out: 3 .txt"."""
    from hashigo.apply.planning import left_out

    size = f"{plan.bytes / 1e9:.1f} GB" if plan.bytes >= 5e7 else f"{plan.bytes / 1e6:.1f} MB"
    return (
        f"{plural(plan.photos, 'photo')} ({size}) in {plural(plan.shards, 'shard')}{left_out(Counter(plan.left_out))}"
    )
