"""Pictures in uncompressed `.tar` files, one or a folder of shards; the members are decoded in threads."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from hashigo.data.build import Item
from hashigo.errors import DataError
from hashigo.image.photo import SUFFIXES


def shards_in(folder: Path) -> list[Path]:
    """The `.tar` files directly in a folder, sorted by name."""
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith(".") and path.is_file())


def tar_items(shards: Sequence[Path]) -> list[Item]:
    """The pictures of all shards, in the shards' order; other members are left out.

    An item has its member's name, preceded by the shard's name if two members share a name.
    Raises DataError for a file that is not an uncompressed tar.
    """
    members = [(shard, member) for shard in shards for member in _members(shard)]
    names = [member.name.removeprefix("./") for _, member in members]
    if len(set(names)) < len(names):
        names = [f"{shard.stem}/{name}" for (shard, _), name in zip(members, names, strict=True)]
    return [
        Item(name, shard, member.offset_data, member.size) for name, (shard, member) in zip(names, members, strict=True)
    ]


def _members(shard: Path) -> list[tarfile.TarInfo]:
    try:
        with shard.open("rb") as file:
            return list(pictures_in(file, str(shard)))
    except OSError as error:
        raise DataError(f"{shard}: expected a tar file that can be read: {error.strerror or error}") from error


def pictures_in(stream: BinaryIO, name: str) -> Iterator[tarfile.TarInfo]:
    """The pictures of an uncompressed tar in a seekable stream, in order; memory does not grow with their number.

    Raises DataError, naming the file, where it is no such tar.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
                if _is_picture(member):
                    yield member
    except tarfile.TarError as error:
        raise DataError(
            f"{name}: expected an uncompressed tar file ({error}); unpack a compressed one first"
        ) from error


def _is_picture(member: tarfile.TarInfo) -> bool:
    path = PurePosixPath(member.name)
    hidden = any(part.startswith(".") and part != "." for part in path.parts)
    return member.isreg() and not member.issparse() and not hidden and path.suffix.lower() in SUFFIXES
