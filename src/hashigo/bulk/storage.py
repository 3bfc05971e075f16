"""Where photos come from and where results go: folders, and object stores (`s3://`, `gs://`, `az://`).

Both look the same from outside: names with "/" below one root, each with a size and a version. A write appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

from hashigo.errors import MissingExtraError, PictureError, RecipeError, StorageError
from hashigo.files import Others, atomic_path, is_clutter, on_disk, open_file, suffix_of, walk_entries

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3://", "gs://", "az://")
"""Beginnings of the addresses of object stores."""

STOPPING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EMFILE,
    errno.ENFILE,
}
"""Errors of a disk or a network drive that the next photo would meet, too."""

RETRY: dict[str, Any] = {
    "max_retries": 10,
    "retry_timeout": timedelta(minutes=3),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=15), "base": 2},
}
"""How requests to stores are repeated."""

PAGE = 1_000
"""Objects per request when a store is listed: the most that S3 returns."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Entry:
    """A file below a place's root.

    name: its path with "/". size: in bytes. version: what changes when its content does: a store's etag, a file's date in nanoseconds.
    """

    name: str
    size: int
    version: str


class Place(Protocol):
    """A folder or an object store."""

    @property
    def text(self) -> str:
        """Its path or address."""

    def full(self, name: str) -> str:
        """The path or address of a file below it."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """A file's bytes, or `length` of them from `start`.

        Raises:
            PictureError: the file is missing or may not be read. StorageError: the place cannot be used now.
        """

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all.

        Raises:
            PictureError: the name cannot be used. StorageError: the place cannot be used now.
        """

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file unless it exists; returns whether it was written. Raises as `write` does."""

    def remove(self, name: str) -> None:
        """Removes a file, if it is there. Raises StorageError."""

    def entry(self, name: str) -> Entry | None:
        """What is known about a file; None if there is none. Raises StorageError."""

    def entries(self, suffixes: frozenset[str] | None, others: Others) -> Iterator[Entry]:
        """All files with these suffixes (lower case, with dot; None: all), by name, one page at a time.

        Hidden files and those that systems put beside photos are left out. others: counts files with other suffixes. A folder that cannot be
        listed is an entry of size -1. Raises StorageError.
        """

    def open(self, name: str) -> BinaryIO:
        """A seekable stream of a file. Raises as `read` does."""

    def settle(self, names: Iterable[str], alive: Callable[[], object]) -> None:
        """Makes sure that written files survive a power failure. alive: called after each. Raises StorageError."""


def is_store(text: str | os.PathLike[str]) -> bool:
    """Whether this is the address of an object store."""
    return os.fspath(text).startswith(SCHEMES)


def absolute(text: str) -> str:
    """A path without its dots and relative parts; an address as it is."""
    return text if is_store(text) else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 (links stay as they are)


@lru_cache(maxsize=64)
def place_of(text: str) -> Place:
    """The place at a path or address. Nothing is created.

    Raises:
        RecipeError: an address without a bucket. MissingExtraError: obstore is needed and not installed.
    """
    return Store(text) if is_store(text) else Folder(Path(text))


@dataclass(frozen=True)
class Folder:
    """A folder on a disk or network drive."""

    root: Path

    @property
    def text(self) -> str:
        """Its path."""
        return str(self.root)

    def full(self, name: str) -> str:
        """The path of a file in it."""
        return str(self.root / name)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Place`."""
        with self._reading(name), open_file(self.root / name) as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def open(self, name: str) -> BinaryIO:
        """See `Place`."""
        with self._reading(name):
            return open_file(self.root / name)

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in STOPPING:
                raise StorageError(error.errno, error.strerror, self.full(name)) from error
            reason = error.strerror or str(error)
            raise PictureError(f"{self.full(name)}: expected a file that can be read, got none: {reason}") from error

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
                raise PictureError(
                    f"{self.full(name)}: expected a name that the disk can hold: {error.strerror}"
                ) from error
            raise StorageError(error.errno, error.strerror, self.full(name)) from error

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        with self._writing(name), atomic_path(self.root / name) as temporary:
            temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`."""
        path = self.root / name
        with self._writing(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
        return True

    def settle(self, names: Iterable[str], alive: Callable[[], object]) -> None:
        """See `Place`."""
        paths = {self.root / name for name in names}
        folders = {parent for path in paths for parent in path.parents if parent.is_relative_to(self.root)}
        for path in [*sorted(paths), *([] if os.name == "nt" else sorted(folders, reverse=True))]:
            with self._writing(path.relative_to(self.root).as_posix()):
                on_disk(path)
            alive()

    def remove(self, name: str) -> None:
        """See `Place`."""
        with self._writing(name):
            (self.root / name).unlink(missing_ok=True)

    def entry(self, name: str) -> Entry | None:
        """See `Place`."""
        try:
            status = (self.root / name).stat()
        except OSError as error:
            if error.errno in STOPPING:
                raise StorageError(error.errno, error.strerror, self.full(name)) from error
            return None
        return Entry(name, status.st_size, str(status.st_mtime_ns))

    def entries(self, suffixes: frozenset[str] | None, others: Others) -> Iterator[Entry]:
        """See `Place`."""
        for name, status in walk_entries(self.root, suffixes, others):
            if status is None:
                yield Entry(name, -1, "")
            else:
                regular = stat.S_ISREG(status.st_mode)
                yield Entry(name, status.st_size if regular else 0, str(status.st_mtime_ns))


class Store:
    """Objects below a prefix of a bucket. Requests that fail are repeated with growing pauses by obstore, for up to three minutes.

    Credentials, regions and endpoints come from the environment, as for each cloud's own tools (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    """

    def __init__(self, text: str) -> None:
        scheme, _, rest = text.partition("://")
        bucket, _, prefix = rest.partition("/")
        if not bucket:
            raise RecipeError(f"expected an address such as {scheme}://bucket/folder, got {text!r}")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._root = f"{scheme}://{bucket}"
        self._store = _store(self._root)

    @property
    def text(self) -> str:
        """Its address."""
        return f"{self._root}/{self._prefix}".rstrip("/")

    def full(self, name: str) -> str:
        """The address of an object."""
        return f"{self._root}/{self._prefix}{name}"

    def _call(self, name: str, call: Callable[[], Value], *, reading: bool = False) -> Value:
        from obstore import exceptions

        try:
            return call()
        except (exceptions.BaseError, OSError) as error:
            if reading and self._answers():  # then it is about this object alone
                raise PictureError(
                    f"{self.full(name)}: expected an object that can be read, got none: {_short(error)}"
                ) from error
            raise StorageError(
                f"{self.full(name)}: the object store does not answer as expected: {_short(error)}"
            ) from error

    def _answers(self) -> bool:
        """Whether the store can be listed now."""
        import obstore
        from obstore import exceptions

        try:
            next(iter(obstore.list(self._store, self._prefix or None, chunk_size=1)), None)
        except (exceptions.BaseError, OSError):
            return False
        return True

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Place`."""
        import obstore

        key = self._prefix + name
        if length is None:
            return bytes(self._call(name, lambda: obstore.get(self._store, key).bytes(), reading=True))[start:]
        if not length:
            return b""
        got = self._call(name, lambda: obstore.get_range(self._store, key, start=start, length=length), reading=True)
        return bytes(got)

    def open(self, name: str) -> BinaryIO:
        """See `Place`."""
        import obstore

        reader = self._call(
            name, lambda: obstore.open_reader(self._store, self._prefix + name, buffer_size=1 << 20), reading=True
        )
        return io.BufferedReader(_Readable(reader), 1 << 16)

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        import obstore

        self._call(name, lambda: obstore.put(self._store, self._prefix + name, content))

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`."""
        import obstore
        from obstore import exceptions

        def put() -> bool:
            try:
                obstore.put(self._store, self._prefix + name, content, mode="create")
            except exceptions.AlreadyExistsError:
                return False
            return True

        return self._call(name, put)

    def settle(self, names: Iterable[str], alive: Callable[[], object]) -> None:
        """See `Place`. A store has what it has taken."""

    def remove(self, name: str) -> None:
        """See `Place`."""
        import obstore

        with contextlib.suppress(PictureError):
            self._call(name, lambda: obstore.delete(self._store, self._prefix + name), reading=True)

    def entry(self, name: str) -> Entry | None:
        """See `Place`."""
        import obstore

        try:
            meta = self._call(name, lambda: obstore.head(self._store, self._prefix + name), reading=True)
        except PictureError:
            return None
        return Entry(name, meta["size"], _version(meta))

    def entries(self, suffixes: frozenset[str] | None, others: Others) -> Iterator[Entry]:
        """See `Place`."""
        for meta in self._listed():
            name = meta["path"].removeprefix(self._prefix)
            if any(is_clutter(part) for part in name.split("/")):
                continue
            suffix = suffix_of(name)
            if suffixes is None or suffix in suffixes:
                yield Entry(name, meta["size"], _version(meta))
            else:
                others[suffix] += 1

    def _listed(self) -> Iterator[Any]:
        import obstore

        pages = iter(self._call("", lambda: obstore.list(self._store, self._prefix or None, chunk_size=PAGE)))
        while page := self._call("", lambda: next(pages, None)):
            yield from page


def _version(meta: Any) -> str:
    return str(meta.get("e_tag") or meta["last_modified"].isoformat()).strip('"')


def _short(error: BaseException) -> str:
    """The first line of an error, without the debugging text and the XML that follow."""
    return str(error).strip().partition("\n")[0].partition(": <?xml")[0][:300]


def _store(root: str) -> ObjectStore:
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtraError(f"reading and writing {root}", "stores", error.name or "obstore") from error
    insecure = root.startswith("s3://") and os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    client: dict[str, Any] = {"timeout": timedelta(minutes=2)} | ({"allow_http": True} if insecure else {})
    try:
        store: ObjectStore = from_url(root, client_options=client, retry_config=RETRY)  # type: ignore[call-overload]
    except Exception as error:  # of an address or credentials that make no sense
        raise RecipeError(f"{root}: expected an object store that can be used, got none: {_short(error)}") from error
    return store


class _Readable(io.RawIOBase):
    """obstore's reader as a stream of Python's."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._reader.read(len(buffer))
        buffer[: len(content)] = bytes(content)
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())
