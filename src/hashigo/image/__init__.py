"""Picture files and their pixels: the only place that knows about files, uint8, rows of pixels, EXIF, colour profiles and alpha."""

from __future__ import annotations

from hashigo.image.photo import (
    MAX_PIXELS,
    SUFFIXES,
    Photo,
    photo_of,
    read,
    write,
)
from hashigo.image.pixels import from_uint8, to_uint8
from hashigo.image.resizing import resize

__all__ = ["MAX_PIXELS", "SUFFIXES", "Photo", "from_uint8", "photo_of", "read", "resize", "to_uint8", "write"]
