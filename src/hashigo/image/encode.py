"""From a Pillow picture to the bytes of a file; the half of `hashigo.image` that writes."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

from hashigo.errors import PictureError, did_you_mean
from hashigo.image.decode import FORMATS, Metadata

_JPEG_SEGMENT = 65_000
"""EXIF, XMP and comment must each fit one marker segment of a JPEG file (65,533 bytes, some of them names)."""

_XMP_TAG = 700

OPAQUE = ("JPEG", "BMP")
"""Formats that hold no alpha."""


def format_of(name: str) -> str:
    """Pillow's name of a format, given that name or a suffix with or without dot, in any case.

    Raises PictureError, listing what can be written.

    >>> format_of(".jpg"), format_of("png")
    ('JPEG', 'PNG')
    """
    wanted = name.strip().lower().removeprefix(".")
    for kind, suffixes in FORMATS.items():
        if wanted == kind.lower() or f".{wanted}" in suffixes:
            return kind
    known = [suffix for suffixes in FORMATS.values() for suffix in suffixes]
    given = f"'{name}'" if name else "no suffix"
    raise PictureError(f"expected the suffix of a picture format, found {given}; {did_you_mean('.' + wanted, known)}")


def encode_image(image: Image.Image, kind: str, quality: int, metadata: Metadata) -> bytes:
    """The picture (L, LA, RGB or RGBA) as a file of format `kind`, with as much metadata as it can hold.

    A format of `OPAQUE` takes no alpha. Pillow's own errors pass through.
    """
    if kind == "GIF" and image.mode == "LA":  # Pillow drops its alpha
        image = image.convert("RGBA")
    stream = io.BytesIO()
    image.save(stream, kind, **settings(kind, quality), **carried(kind, metadata))
    return stream.getvalue()


def settings(kind: str, quality: int) -> Metadata:
    """Fast ones: measured on 12 megapixels, the next better setting costs twice the time for a few percent."""
    if kind == "JPEG":  # 4:2:0 as cameras write; full chroma for those who ask for quality, 1.6 times the size
        return {"quality": quality, "subsampling": "4:4:4" if quality >= 95 else "4:2:0"}
    if kind == "WEBP":
        return {"quality": quality, "method": 2}
    if kind == "AVIF":
        return {"quality": quality, "speed": 8}
    if kind == "PNG":
        return {"compress_level": 1}
    return {}  # TIFF stays raw: LZW makes real photos larger, and Pillow's libtiff cannot write EXIF


def carried(kind: str, metadata: Metadata) -> Metadata:
    """The metadata that a format can hold, as arguments of Pillow's `save`."""
    holds = {
        "JPEG": ("exif", "xmp", "dpi", "comment"),
        "PNG": ("exif", "dpi"),
        "WEBP": ("exif", "xmp"),
        "TIFF": ("exif", "dpi"),
        "BMP": ("dpi",),
        "GIF": ("comment",),
        "AVIF": ("exif", "xmp"),
    }
    carried = {key: metadata[key] for key in holds[kind] if key in metadata}
    if kind == "JPEG":
        carried = {key: value for key, value in carried.items() if len(value) < _JPEG_SEGMENT}
    if kind == "PNG":
        carried["pnginfo"] = _png_texts(metadata)
    if kind == "TIFF" and "xmp" in metadata:
        exif = Image.Exif()
        exif.load(metadata.get("exif", b""))
        exif[_XMP_TAG] = metadata["xmp"]
        carried["exif"] = exif
    return carried


def _png_texts(metadata: Metadata) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for key, value in metadata.get("text", {}).items():
        texts.add_itxt(key, value)
    if "xmp" in metadata:
        texts.add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    return texts
