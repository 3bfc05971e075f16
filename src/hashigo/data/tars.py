"""Pictures in uncompressed `.tar` files, one or a folder of shards; the members are decoded in threads."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

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
        with tarfile.open(shard, "r:") as archive:
            return [member for member in archive if _is_picture(member)]
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{shard}: expected an uncompressed tar file ({error}); unpack a compressed one first"
        ) from error


def _is_picture(member: tarfile.TarInfo) -> bool:
    path = PurePosixPath(member.name)
    hidden = any(part.startswith(".") and part != "." for part in path.parts)
    return member.isreg() and not member.issparse() and not hidden and path.suffix.lower() in SUFFIXES
