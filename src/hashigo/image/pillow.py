"""Pillow pictures that keep a photo's metadata: by default, Pillow's own `save` writes little of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from PIL import Image

from hashigo.image.encode import carried, settings
from hashigo.image.formats import FORMATS
from hashigo.image.photo import Photo

QUALITY = 92
"""Default quality of JPEG, WebP and AVIF files."""


class Picture(Image.Image):
    """A Pillow picture whose `save` writes the EXIF, XMP, DPI, comment and colour profile in its `info`."""

    def save(
        self,
        fp: str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes],
        format: str | None = None,
        **params: object,
    ) -> None:
        """Like Pillow's, with the photo's metadata if the format can hold it; explicit `params` take precedence."""
        kind = format or _format_of(fp)
        if kind in FORMATS:
            profile = {"icc_profile": self.info["icc_profile"]} if "icc_profile" in self.info else {}
            own = {
                **settings(kind, QUALITY),
                **profile,
                **carried(kind, {str(key): value for key, value in self.info.items()}),
            }
            params = {**own, **params}
        super().save(fp, format, **params)


def _format_of(target: object) -> str:
    """Pillow's name of the format for a path's suffix; "" if unknown."""
    if not isinstance(target, str | bytes | os.PathLike):
        return ""
    suffix = Path(os.fsdecode(target)).suffix.lower()
    return next((kind for kind, suffixes in FORMATS.items() if suffix in suffixes), "")


def to_pillow(photo: Photo) -> Picture:
    """The photo as a picture of mode L, LA, RGB or RGBA; `info` has its exif, xmp, dpi, comment and, if the file had a
    colour profile, that of sRGB, to which the pixels were converted."""
    image = photo.to_pil()
    picture = Picture()
    picture.im = image.im
    picture._mode, picture._size = image.mode, image.size
    picture.info.update(photo.metadata)
    return picture
