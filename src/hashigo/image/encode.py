"""From a photo's parts to the bytes of a file; the half of `hashigo.image` that writes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin, TiffTags

from hashigo.image.metadata import IPTC_TAG, XMP_TAG, Metadata, photoshop_block, with_resolution
from hashigo.image.profiles import STRIP

_JPEG_SEGMENT = 65_533
"""What a segment of a JPEG file holds: 65,535 bytes with its length."""

_JPEG_OVERHEAD = {"exif": 0, "xmp": 29, "iptc": len(photoshop_block(b"")) + 1, "comment": 0}
"""What else is in the segment; EXIF comes with its name."""

OPAQUE = ("JPEG", "BMP")
"""Formats that hold no alpha."""

DEEP = ("PNG", "TIFF")
"""Formats that hold 16 bits per channel."""

PAGED = ("PNG", "TIFF", "GIF", "WEBP", "AVIF")
"""Formats that hold several pages or frames."""

_HOLDS = {
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
    """The picture (L, LA, RGB or RGBA) as a file of format `kind`, with as much metadata as it can hold.

    A format of `OPAQUE` takes no alpha. further: more pages or frames, for a format of `PAGED`. Pillow's own errors pass
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
    kept = {key: metadata[key] for key in _HOLDS[kind] if key in metadata and _fits(kind, key, metadata[key])}
    if kind == "JPEG" and "iptc" in kept:
        block = photoshop_block(kept.pop("iptc"))
        kept["extra"] = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    if kind == "PNG":
        kept = {key: kept[key] for key in ("exif", "dpi") if key in kept} | {"pnginfo": _png_texts(kept)}
    if kind == "TIFF":
        kept = {"exif": _tiff_tags(kept)} | {key: kept[key] for key in ("dpi",) if key in kept}
    if kind in ("WEBP", "AVIF") and "dpi" in kept:
        kept["exif"] = with_resolution(kept.get("exif", b""), kept.pop("dpi"))
    return kept


def lost(kind: str, metadata: Metadata) -> list[str]:
    """What a format cannot hold of a photo's metadata, for people: for instance ["IPTC", "XMP (over 64 kB)"]."""
    return [
        name + (" (over 64 kB)" if key in _HOLDS[kind] else "")
        for key, name in _NAMES.items()
        if key in metadata and not (key in _HOLDS[kind] and _fits(kind, key, metadata[key]))
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


def _tiff_tags(metadata: Metadata) -> Image.Exif:
    exif = Image.Exif()
    exif.load(metadata.get("exif", b""))
    for key, tag in (("xmp", XMP_TAG), ("iptc", IPTC_TAG)):
        if key in metadata:
            exif[tag] = metadata[key]
    return exif


# --- 16 bits, which Pillow writes for grey pictures only --------------------------------------------------


def encode_deep(pixels: NDArray[np.uint16], alpha: NDArray[np.uint8] | None, kind: str, metadata: Metadata) -> bytes:
    """Values (H, W) or (H, W, 3) of 16 bits as a file of a format of `DEEP`; grey with alpha, which few programs read, as RGBA."""
    if alpha is not None and pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return {"PNG": _deep_png, "TIFF": _deep_tiff}[kind](pixels, alpha, metadata)


def _rows(pixels: NDArray[np.uint16], alpha: NDArray[np.uint8] | None, top: int) -> NDArray[np.uint16]:
    """A strip of (rows, W, channels), the alpha last."""
    strip = pixels[top : top + STRIP]
    strip = strip[..., None] if strip.ndim == 2 else strip
    if alpha is None:
        return strip
    return np.concatenate([strip, alpha[top : top + STRIP, :, None].astype(np.uint16) * 257], 2)


def _deep_png(pixels: NDArray[np.uint16], alpha: NDArray[np.uint8] | None, metadata: Metadata) -> bytes:
    """The chunks that Pillow writes around one grey pixel, with our header and our pixels (PNG, third edition, 11.2)."""
    around = encode_image(Image.new("L", (1, 1)), "PNG", 100, metadata)
    channels = (1 if pixels.ndim == 2 else 3) + (alpha is not None)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, 0)
    stream = io.BytesIO()
    stream.write(around[:8])
    for name, data in _chunks(around):
        if name == b"IDAT":
            for part in _compressed(pixels, alpha):
                PngImagePlugin.putchunk(stream, b"IDAT", part)
        else:
            PngImagePlugin.putchunk(stream, name, header if name == b"IHDR" else data)
    return stream.getvalue()


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    place, chunks = 8, []
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _compressed(pixels: NDArray[np.uint16], alpha: NDArray[np.uint8] | None) -> list[bytes]:
    """Deflated rows, each as differences from its left neighbours (PNG's filter 1)."""
    packer, parts = zlib.compressobj(1), []
    for top in range(0, len(pixels), STRIP):
        strip = _rows(pixels, alpha, top).astype(">u2")
        values = strip.reshape(len(strip), -1).view(np.uint8)
        step = 2 * strip.shape[2]
        rows = np.empty((len(strip), 1 + values.shape[1]), np.uint8)
        rows[:, 0] = 1
        rows[:, 1 : 1 + step] = values[:, :step]
        np.subtract(values[:, step:], values[:, :-step], out=rows[:, 1 + step :])
        if part := packer.compress(rows.tobytes()):
            parts.append(part)
    return [*parts, packer.flush()]


def _deep_tiff(pixels: NDArray[np.uint16], alpha: NDArray[np.uint8] | None, metadata: Metadata) -> bytes:
    """An uncompressed little-endian TIFF of one strip (TIFF 6.0), its directory written by Pillow."""
    colours = 1 if pixels.ndim == 2 else 3
    channels = colours + (alpha is not None)
    size = pixels.shape[0] * pixels.shape[1] * channels * 2
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = _tiff_tags({key: value for key, value in metadata.items() if key in _HOLDS["TIFF"]})
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TiffTags.TAGS_V2_GROUPS else exif[tag]
    for tag, value in _resolution(metadata).items():
        tags[tag] = value
    own = {
        256: pixels.shape[1], 257: pixels.shape[0], 258: (16,) * channels, 259: 1, 262: 1 if colours == 1 else 2,
        273: (0,), 277: channels, 278: pixels.shape[0], 279: (size,), 284: 1,
    }  # fmt: skip
    for tag, number in own.items():
        tags[tag] = number
    if alpha is not None:
        tags[338] = 2
    stream = io.BytesIO()
    stream.write(b"II*\0" + struct.pack("<I", 8))
    tags.save(stream)
    for top in range(0, len(pixels), STRIP):
        stream.write(_rows(pixels, alpha, top).astype("<u2").tobytes())
    return stream.getvalue()


def _resolution(metadata: Metadata) -> dict[int, object]:
    if "dpi" not in metadata:
        return {}
    across, down = (TiffImagePlugin.IFDRational(round(value * 100), 100) for value in metadata["dpi"])
    return {282: across, 283: down, 296: 2}
