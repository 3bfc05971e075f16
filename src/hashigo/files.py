"""Files and folders: finding inputs, and writing outputs that appear whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hashigo.errors import PictureError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends without an error.

    The temporary name is hidden, has the same suffix and does not exist yet; the block creates a file
    (or a folder) there, so its permissions follow the umask. The folder of `path` is created if needed.
    After an error nothing is left and a file that was at `path` before is unharmed.

    Raises OSError when the folder cannot be created or the result cannot be moved into place.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Short and without the stem: a name of 255 bytes must not become too long.
    temporary = path.with_name(f".hashigo-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def walk(folder: str | Path, suffixes: Collection[str]) -> Iterator[Path]:
    """All files in `folder` and its sub-folders whose suffix is one of `suffixes` (lower case, with dot).

    They come sorted by path. Hidden files and folders (leading dot) are left out; a link to a folder is
    followed unless it leads back to a folder that it lies in.

    Raises OSError when a folder cannot be listed.
    """
    yield from _walk(Path(folder), suffixes, frozenset())


def _walk(folder: Path, suffixes: Collection[str], above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, suffixes, above | {real})
        elif path.suffix.lower() in suffixes and entry.is_file():
            yield path


def expand(inputs: Sequence[str | Path], suffixes: Collection[str]) -> list[tuple[Path, Path]]:
    """Every file that `inputs` mean, each with its path in a mirrored tree of outputs.

    An input is a file (taken whatever its suffix is), a folder (walked, see `walk`) or a glob pattern with
    "*", "?", "[…]" or "**" (only when no such file exists literally; of its matches, folders are walked and
    files taken if their suffix is one of `suffixes`). The second path of each pair is relative: to the
    folder, or to the last folder of the pattern before its first wildcard; of a single file it is the name.
    A file that is reached twice appears once, at its first place.

    Raises PictureError, naming the input, when there is no such file or no file matches the pattern.
    """
    files: dict[str, tuple[Path, Path]] = {}
    for given in inputs:
        for path, relative in _expand_one(given, suffixes):
            files.setdefault(os.path.realpath(path), (path, relative))
    return list(files.values())


def _expand_one(given: str | Path, suffixes: Collection[str]) -> Iterator[tuple[Path, Path]]:
    path = Path(given)
    if path.is_dir():
        yield from ((file, file.relative_to(path)) for file in walk(path, suffixes))
    elif path.exists():
        yield path, Path(path.name)
    elif glob.has_magic(str(given)):
        yield from _expand_pattern(path, suffixes)
    else:
        raise PictureError(f"{given}: expected a file, a folder or a pattern like 'album/*.jpg', found nothing there")


def _expand_pattern(pattern: Path, suffixes: Collection[str]) -> Iterator[tuple[Path, Path]]:
    parts = pattern.parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    parent = Path(*parts[:fixed])
    empty = True
    matches = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 (Path.glob matches hidden files)
    for match in sorted(map(Path, matches)):
        files = walk(match, suffixes) if match.is_dir() else [match] if match.suffix.lower() in suffixes else []
        for file in files:
            empty = False
            yield file, file.relative_to(parent)
    if empty:
        kinds = " ".join(sorted(suffixes))
        raise PictureError(f"{pattern}: expected a pattern that matches files of these kinds: {kinds}; it matches none")
