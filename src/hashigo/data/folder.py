"""Pictures in a folder (including sub-folders) or matched by a glob pattern."""

from __future__ import annotations

from pathlib import Path

from hashigo.data.build import Item
from hashigo.errors import DataError, PictureError
from hashigo.files import expand
from hashigo.image.photo import SUFFIXES


def folder_items(path: str | Path) -> list[Item]:
    """The pictures of a folder, glob pattern or single file, sorted and named by relative path.

    Raises DataError when there are none.
    """
    try:
        files = expand([path], SUFFIXES)
    except PictureError as error:
        raise DataError(str(error)) from error
    if not files:
        raise DataError(
            f"{path}: expected pictures ({', '.join(sorted(SUFFIXES))}), .tar shards or a known dataset, "
            "found none; give a folder that contains some"
        )
    return [Item(relative.as_posix(), file) for file, relative in files]
