"""The plan: which photos there are, and how they are divided into shards. It is written to OUT as it is made, so memory does not grow with the number of photos.

    OUT/.hashigo/plan.json                  what was planned: the inputs, and how many photos, bytes and shards there are
    OUT/.hashigo/shards.jsonl               one line per shard
    OUT/.hashigo/manifest/SHARD.jsonl       one line per photo of a shard

A shard ends after a photo whose name says so, not after a fixed number. So a photo that is added later changes its own shard only, and a second plan
leaves all other shards as they were: they count as done.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b

from hashigo.bulk.inputs import Root, check_apart, roots_of
from hashigo.bulk.lines import line_of, parsed
from hashigo.bulk.naming import Names, target_of
from hashigo.bulk.storage import Folder, Place, absolute, place_of
from hashigo.errors import DataError, PictureError, StorageError, plural
from hashigo.files import Others, locked
from hashigo.image.formats import SUFFIXES

STATE = ".hashigo"
"""The folder in OUT for plan, reports and attempts; hidden, so that no walk takes it for photos."""

PHOTOS, MOST_PHOTOS, MOST_BYTES = 200, 400, 64_000_000
"""Photos per shard on average, and at most; bytes per shard."""

VERSION = 1

AGAIN = "run 'hashigo bulk plan' again"
"""What to do about a damaged plan."""

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
    roots = [root for given in inputs for root in roots_of(given)]
    check_apart(roots, out)
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


def _make(roots: Sequence[Root], out: Place, format: str, say: Say, progress: Callable[[int], object]) -> Plan:
    others: Others = Counter()
    twice = len(roots) > 1 or any(root.only is not None for root in roots)  # then a photo may be found again
    with _Manifests(out, roots) as manifests, Names() as names:
        for number, root in enumerate(roots):
            for found in root.photos(others, out):
                if twice and not names.take_source(f"{root.text}/{found.name}"):
                    continue
                target, note = names.free(*target_of(found.relative, format))
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
    remedy = f"run 'hashigo bulk plan IN… -o {output}' first"
    try:
        content = place_of(absolute(output)).read(f"{STATE}/plan.json")
    except PictureError as error:
        raise DataError(f"{output}: expected a plan, got none; {remedy}") from error
    plan = parsed(Plan, content, remedy)
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
        yield from (parsed(Shard, line, AGAIN) for line in file)


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
    return [parsed(Item, line, AGAIN) for line in content.splitlines()]


# --- shards -----------------------------------------------------------------------------------------


class _Manifests:
    """Writes manifests, some at a time in threads, because a store takes its time for each."""

    def __init__(self, out: Place, roots: Sequence[Root]) -> None:
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
        self._lines.append(line_of(item, short=True) + "\n")
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
        self._index.write(line_of(shard).encode() + b"\n")
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
        self._out.write(f"{STATE}/plan.json", line_of(plan).encode())
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
