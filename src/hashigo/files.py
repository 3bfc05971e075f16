"""Files and folders: finding inputs, and writing outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import glob
import heapq
import json
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hashigo.errors import BusyError, PictureError, RecipeError

Others = Counter[str]
"""The number of files of other kinds, by suffix (lower case, with dot; "" for none)."""

CLUTTER = frozenset(
    {"@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "__MACOSX", "Thumbs.db", "desktop.ini", "failures.jsonl"}
)
"""Names of files that are not the user's: those that NAS boxes, Windows and macOS create beside photos, and our list of failures."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`; it replaces `path` when the block ends without an error.

    The temporary name is hidden, has the same suffix and does not exist yet; the block creates a file
    (or a folder) there, so its permissions follow the umask. The folder of `path` is created if needed.
    After an error nothing remains, and an earlier file at `path` is unharmed.

    Raises OSError when the folder cannot be created or the result cannot be moved into place.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno in _NO_ROOM and error.filename in (None, os.fspath(temporary)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise
    finally:
        _remove(temporary)


def on_disk(path: str | Path) -> None:
    """Waits until a file, or a folder's list of files, is on the disk and survives a power failure. Raises OSError.

    Drives and systems that cannot do this are left alone.
    """
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def copy_date(source: str | Path, target: str | Path) -> None:
    """Gives a file the date of another. Raises OSError."""
    status = Path(source).stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def check_output(path: str | Path, option: str, endings: Sequence[str] = (), inputs: Iterable[str | Path] = ()) -> None:
    """Makes sure that a result can be written to `path` before any work is done. Leaves nothing behind, not even a folder.

    Args:
        path: the file.
        option: how the user names it, for messages, such as "-o".
        endings: allowed endings, such as ".npz"; any if empty.
        inputs: what must not be overwritten.

    Raises:
        RecipeError: it is a folder or an input, or has another ending. OSError: its folder cannot be written to, or is full.
    """
    path = Path(path)
    example = (
        f"; try {option} {(path / 'result') if path.is_dir() else path.with_suffix('')}{endings[0]}" if endings else ""
    )
    if path.is_dir() or not path.name:
        raise RecipeError(f"{option} {path}: expected a file's name, got a folder{example}")
    if endings and path.suffix.lower() not in endings:
        raise RecipeError(f"{option} {path}: expected a name that ends in {' or '.join(endings)}{example}")
    if any(os.path.exists(source) and path.exists() and path.samefile(source) for source in inputs):  # noqa: PTH110
        raise RecipeError(f"{option} {path}: expected another file than the input, which is never overwritten")
    there = next(folder for folder in path.absolute().parents if folder.exists())  # the others will be created in it
    probe = _temporary(there / path.name)
    try:
        probe.write_bytes(bytes(1 << 12))
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        _remove(probe)


def _temporary(path: Path) -> Path:
    """A hidden name beside `path` that names the process. Short and without the stem, because names are limited to 255 bytes."""
    return path.with_name(f".hashigo-{_host()}-{os.getpid()}-{secrets.token_hex(6)}{path.suffix}")


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""The system's errors for a full or broken disk; often without a file name."""

_TEMPORARY = re.compile(r"\.hashigo-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}.*")
_OLD = 24 * 3600.0


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def clear_leftovers(folder: str | Path) -> int:
    """Removes temporary files in `folder` whose process was killed; returns how many.

    These are files of ended processes on this computer, and any that are a day old. Files that cannot be removed stay.
    """
    try:
        with os.scandir(folder) as entries:
            left = [Path(entry.path) for entry in entries if _is_leftover(entry)]
    except OSError:
        return 0
    for path in left:
        _remove(path)
    return len(left)


def _is_leftover(entry: os.DirEntry[str]) -> bool:
    match = _TEMPORARY.fullmatch(entry.name)
    if match is None:
        return False
    host, process = match.groups()
    if host == _host() and not _is_alive(int(process)):
        return True
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # only the age counts there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, busy: str) -> Iterator[None]:
    """Holds a lock on the file `path`, which is created if needed and stays. The lock is released when the process ends, however
    it ends.

    Raises BusyError with the text `busy` if another process holds it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            _lock(file)
        except OSError as error:
            raise BusyError(busy) from error
        try:
            yield
        finally:
            if os.listdir(path.parent) == [path.name]:  # noqa: PTH208 (nothing came of it: no trace is left)
                with suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks: better unlocked than not at all
            return


def walk(folder: str | Path, suffixes: Collection[str], others: Others | None = None) -> Iterator[Path]:
    """All files in `folder` and its sub-folders whose suffix is one of `suffixes` (lower case, with dot).

    They are sorted by path. Skipped are hidden files and folders (leading dot) and the thumbnail and trash folders of
    network drives and macOS (`CLUTTER`). A link to a folder is followed unless it points to a folder that contains it.
    Nothing is raised for unreadable entries: a folder that cannot be listed is yielded in place of its files, and so is
    a broken link or a pipe with such a suffix; opening them raises the reason.

    others: counts the files with other suffixes.
    """
    yield from _walk(Path(folder), suffixes, frozenset(), Counter() if others is None else others)


def _walk(folder: Path, suffixes: Collection[str], above: frozenset[str], others: Others) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        for name, is_folder in _in_order(folder):
            path = folder / name
            if is_folder:
                yield from _walk(path, suffixes, above | {real}, others)
            elif path.suffix.lower() in suffixes:
                yield path
            else:
                others[path.suffix.lower()] += 1
    except _Unlisted:
        yield folder


def walk_entries(
    folder: str | Path, suffixes: Collection[str] | None, others: Others
) -> Iterator[tuple[str, os.stat_result | None]]:
    """Like `walk`, for millions of files: names relative to `folder`, with "/", each with its status. suffixes: None takes all files.

    The status is None for a folder that cannot be listed and for a file whose status cannot be read.
    """
    yield from _walk_entries(os.fspath(folder), "", suffixes, frozenset(), others)


def _walk_entries(
    root: str, below: str, suffixes: Collection[str] | None, above: frozenset[str], others: Others
) -> Iterator[tuple[str, os.stat_result | None]]:
    folder = os.path.join(root, below)  # noqa: PTH118 (a Path for each file takes longer than all the rest)
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        for name, is_folder in _in_order(folder):
            if is_folder:
                yield from _walk_entries(root, f"{below}{name}/", suffixes, above | {real}, others)
                continue
            suffix = suffix_of(name)
            if suffixes is not None and suffix not in suffixes:
                others[suffix] += 1
                continue
            try:
                yield below + name, os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
            except OSError:
                yield below + name, None
    except _Unlisted:
        yield below.rstrip("/") or ".", None


class _Unlisted(Exception):
    """A folder cannot be listed."""


IN_MEMORY = 100_000
"""Names of a folder that are sorted in memory; those of larger folders in parts on disk."""


def _in_order(folder: str | Path) -> Iterator[tuple[str, bool]]:
    """The names in a folder by name, each with whether it is a folder; without hidden ones and clutter. Raises _Unlisted before the first."""
    part: list[tuple[str, bool]] = []
    with ExitStack() as stack:
        runs: list[Iterator[tuple[str, bool]]] = []
        try:
            with os.scandir(folder) as listing:
                for entry in listing:
                    if is_clutter(entry.name):
                        continue
                    part.append((entry.name, _is_folder(entry)))
                    if len(part) == IN_MEMORY:
                        runs.append(_on_disk(sorted(part), stack))
                        part = []
        except OSError as error:
            raise _Unlisted from error
        part.sort()
        yield from heapq.merge(*runs, part) if runs else part


def _on_disk(names: Sequence[tuple[str, bool]], stack: ExitStack) -> Iterator[tuple[str, bool]]:
    file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))  # noqa: SIM115 (the stack closes it)
    file.writelines(json.dumps(name) + "\n" for name in names)
    file.seek(0)
    return (tuple(json.loads(line)) for line in file)


def suffix_of(name: str) -> str:
    """A name's suffix in lower case with its dot, as pathlib sees it, without making a Path.

    >>> suffix_of("a/b.JPG"), suffix_of(".hidden"), suffix_of("a.b/c"), suffix_of("a.")
    ('.jpg', '', '', '')
    """
    name = name.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is not one of the user's photos: it is hidden, or systems put it there."""
    return name.startswith(".") or name in CLUTTER


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def open_file(path: str | Path) -> BinaryIO:
    """Opens a file for reading. Pipes are refused, because they could wait forever, and so are folders.

    Raises OSError, with a reason for people, when it cannot be opened or is not a regular file.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        with os.scandir(path):  # raises where it cannot be listed
            raise IsADirectoryError(errno.EISDIR, "this is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "this is a pipe or a device, not a regular file", str(path))
    return Path(path).open("rb")


def expand(
    inputs: Sequence[str | Path], suffixes: Collection[str], others: Others | None = None
) -> list[tuple[Path, Path]]:
    """All files of `inputs`, each with its path in a mirrored tree of outputs.

    An input is a file (with any suffix), a folder (walked, see `walk`) or a glob pattern with
    "*", "?", "[…]" or "**" (only if no such file exists literally; of its matches, folders are walked and
    files taken if their suffix is one of `suffixes`). The second path of each pair is relative: to the
    folder, or to the last folder of the pattern before its first wildcard; for a single file it is the name.
    A file that is found twice appears once, at its first position. others: see `walk`.

    Raises PictureError, naming the input, if there is no such file or no file matches the pattern.
    """
    files: dict[str, tuple[Path, Path]] = {}
    for given in inputs:
        for path, relative in _expand_one(given, suffixes, Counter() if others is None else others):
            files.setdefault(os.path.realpath(path), (path, relative))
    return list(files.values())


def _expand_one(given: str | Path, suffixes: Collection[str], others: Others) -> Iterator[tuple[Path, Path]]:
    path = Path(given)
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        for file in walk(path, suffixes, others):
            yield file, Path(path.name) if file == path else file.relative_to(path)
    elif os.path.lexists(path):
        yield path, Path(path.name)
    elif glob.has_magic(str(given)):
        yield from _expand_pattern(path, suffixes, others)
    else:
        raise PictureError(f"{given}: expected a file, a folder or a pattern like 'album/*.jpg', but nothing is there")


def _expand_pattern(pattern: Path, suffixes: Collection[str], others: Others) -> Iterator[tuple[Path, Path]]:
    parts = pattern.parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    parent = Path(*parts[:fixed])
    empty = True
    matches = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 (Path.glob matches hidden files)
    for match in sorted(map(Path, matches)):
        for file in _matching(match, suffixes, others):
            empty = False
            yield file, file.relative_to(parent)
    if empty:
        kinds = " ".join(sorted(suffixes))
        raise PictureError(f"{pattern}: expected a pattern that matches files of these kinds: {kinds}; it matches none")


def _matching(match: Path, suffixes: Collection[str], others: Others) -> Iterable[Path]:
    if os.path.isdir(match):  # noqa: PTH112 (see above)
        return walk(match, suffixes, others)
    if match.suffix.lower() in suffixes:
        return [match]
    others[match.suffix.lower()] += 1
    return []
