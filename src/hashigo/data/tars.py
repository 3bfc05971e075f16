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


def pictures_in(stream: BinaryIO, name: str, *, links: bool = False) -> Iterator[tarfile.TarInfo]:
    """The pictures of an uncompressed tar in a seekable stream, in order; memory does not grow with their number.

    links: also members that only refer to others or are sparse, which have no content of their own to read.
    Raises DataError, naming the file, where it is no such tar, or is damaged: pictures before that have been yielded.
    """
    count = 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
                if _is_picture(member, links):
                    count += 1
                    yield member
            _check_end(stream, archive.offset)
    except (tarfile.TarError, ValueError, OverflowError, OSError) as error:
        where = f"after {count:,} pictures " if count else ""
        raise DataError(
            f"{name}: expected a whole, uncompressed tar file, got one that cannot be read {where}({error}); unpack a compressed one first"
        ) from error


def _check_end(stream: BinaryIO, offset: int) -> None:
    """Raises TarError where a tar does not end with zeros: `tarfile` takes a damaged header for the end, and leaves out a second tar after the first."""
    stream.seek(offset)
    while block := stream.read(1 << 16):
        if block.strip(b"\0"):
            raise tarfile.ReadError("there is more after its end: a damaged member, or a second tar file")


def _is_picture(member: tarfile.TarInfo, links: bool) -> bool:
    path = PurePosixPath(member.name)
    hidden = any(part.startswith(".") and part != "." for part in path.parts)
    has_content = member.isreg() and not member.issparse()
    kind = has_content or (links and (member.islnk() or member.issym() or member.issparse()))
    return kind and not hidden and path.suffix.lower() in SUFFIXES
