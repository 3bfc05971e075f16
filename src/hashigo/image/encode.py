"""The writing half of `hashigo.image`: a photo's parts to the bytes of a file."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from PIL import Image, PngImagePlugin

from hashigo.image.metadata import IPTC_TAG, XMP_TAG, Metadata, photoshop_block, with_resolution

_JPEG_SEGMENT = 65_533
"""Capacity of a JPEG segment: 65,535 bytes minus its length field."""

_JPEG_OVERHEAD = {"exif": 0, "xmp": 29, "iptc": len(photoshop_block(b"")) + 1, "comment": 0}
"""Bytes of the segment's identifier; EXIF already contains it."""

OPAQUE = ("JPEG", "BMP")
"""Formats that hold no alpha."""

DEEP = ("PNG", "TIFF")
"""Formats that hold 16 bits per channel."""

PAGED = ("PNG", "TIFF", "GIF", "WEBP", "AVIF")
"""Formats that hold several pages or frames."""

HOLDS = {
    "JPEG": ("exif", "iptc", "xmp", "dpi", "comment"),
    "PNG": ("exif", "xmp", "dpi", "comment", "text"),
    "WEBP": ("exif", "xmp", "dpi"),
    "TIFF": ("exif", "iptc", "xmp", "dpi"),
    "BMP": ("dpi",),
    "GIF": ("comment",),
    "AVIF": ("exif", "xmp", "dpi"),
}

_NAMES = {"exif": "EXIF", "iptc": "IPTC", "xmp": "XMP", "dpi": "resolution", "comment": "comment", "text": "text"}


def encode_image(
    image: Image.Image, kind: str, quality: int, metadata: Metadata, further: Sequence[Image.Image] = ()
) -> bytes:
    """The picture (L, LA, RGB or RGBA) as a file of format `kind`, with as much metadata as the format can hold.

    Formats in `OPAQUE` take no alpha. further: more pages or frames, for formats in `PAGED`. Pillow's own errors pass
    through.
    """
    pages = [page.convert("RGBA") if kind == "GIF" and page.mode == "LA" else page for page in (image, *further)]
    stream = io.BytesIO()  # Pillow drops the alpha of LA in a GIF
    several = {"save_all": True, "append_images": pages[1:], **_times(kind, metadata)} if further else {}
    pages[0].save(stream, kind, **settings(kind, quality), **carried(kind, metadata), **several)
    return stream.getvalue()


def _times(kind: str, metadata: Metadata) -> Metadata:
    """How long each frame is shown, in milliseconds, and how often all are."""
    names = () if kind == "TIFF" else ("duration",) if kind == "AVIF" else ("duration", "loop")
    return {name: metadata[name] for name in names if name in metadata}


def settings(kind: str, quality: int) -> Metadata:
    """Fast settings: for 12 megapixels, the next better setting takes twice as long and saves a few per cent."""
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
    """The metadata that a format can hold, as arguments for Pillow's `save`."""
    kept = {key: metadata[key] for key in HOLDS[kind] if key in metadata and _fits(kind, key, metadata[key])}
    if kind == "JPEG" and "iptc" in kept:
        block = photoshop_block(kept.pop("iptc"))
        kept["extra"] = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    if kind == "PNG":
        kept = {key: kept[key] for key in ("exif", "dpi") if key in kept} | {"pnginfo": _png_texts(kept)}
    if kind == "TIFF":
        kept = {"exif": tiff_tags(kept)} | {key: kept[key] for key in ("dpi",) if key in kept}
    if kind in ("WEBP", "AVIF") and "dpi" in kept:
        kept["exif"] = with_resolution(kept.get("exif", b""), kept.pop("dpi"))
    return kept


def lost(kind: str, metadata: Metadata) -> list[str]:
    """The metadata that a format cannot hold, for people, for instance ["IPTC", "XMP (over 64 kB)"]."""
    return [
        name + (" (over 64 kB)" if key in HOLDS[kind] else "")
        for key, name in _NAMES.items()
        if key in metadata and not (key in HOLDS[kind] and _fits(kind, key, metadata[key]))
    ]


def _fits(kind: str, key: str, value: object) -> bool:
    if kind != "JPEG" or not isinstance(value, bytes):
        return True
    return len(value) + _JPEG_OVERHEAD[key] <= _JPEG_SEGMENT


def _png_texts(metadata: Metadata) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for key, value in metadata.get("text", {}).items():
        texts.add_itxt(key, value)
    if "comment" in metadata:
        texts.add_itxt("Comment", metadata["comment"].decode("utf-8", "replace"))
    if "xmp" in metadata:
        texts.add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    return texts


def tiff_tags(metadata: Metadata) -> Image.Exif:
    """EXIF, XMP and IPTC as the tags that a TIFF file keeps them in."""
    exif = Image.Exif()
    exif.load(metadata.get("exif", b""))
    for key, tag in (("xmp", XMP_TAG), ("iptc", IPTC_TAG)):
        if key in metadata:
            exif[tag] = metadata[key]
    return exif
