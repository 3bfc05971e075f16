"""JPEG, PNG and TIFF files written in strips: for 16-bit colour, which Pillow cannot write, and for photos so large that Pillow's
own copy of all pixels, four bytes each, would take too much memory."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin, TiffTags

from hashigo.image.encode import HOLDS, encode_image, tiff_tags
from hashigo.image.metadata import Metadata
from hashigo.image.profiles import STRIP, Values


class Layers(NamedTuple):
    """Pixels, uint8 or uint16 (H, W) or (H, W, 3), and the alpha beside them, uint8 (H, W)."""

    pixels: Values
    alpha: NDArray[np.uint8] | None

    @property
    def channels(self) -> int:
        """1 to 4, including alpha."""
        return (1 if self.pixels.ndim == 2 else 3) + (self.alpha is not None)

    @property
    def bits(self) -> int:
        """8 or 16 bits per channel."""
        return 8 * self.pixels.dtype.itemsize

    def strips(self, rows: int = STRIP) -> Iterator[Values]:
        """(rows, W, channels) from top to bottom, alpha last."""
        for top in range(0, len(self.pixels), rows):
            strip = self.pixels[top : top + rows]
            strip = strip[..., None] if strip.ndim == 2 else strip
            if self.alpha is not None:
                alpha = self.alpha[top : top + rows, :, None].astype(strip.dtype)
                strip = np.concatenate([strip, alpha * 257 if self.bits == 16 else alpha], 2)
            yield strip


def write_by_strips(layers: Layers, kind: str, quality: int, metadata: Metadata, stream: BinaryIO) -> None:
    """Writes a file of format `kind` of `BY_STRIPS`; grey with alpha, which few programs read, as RGBA.

    A JPEG takes 8 bits and no alpha. Raises ValueError for a photo that the format cannot hold.
    """
    if layers.alpha is not None and layers.pixels.ndim == 2:
        layers = Layers(np.repeat(layers.pixels[..., None], 3, axis=2), layers.alpha)  # type: ignore[arg-type]
    if kind == "JPEG":
        _write_jpeg(layers.pixels, quality, metadata, stream)
    elif kind == "PNG":
        _write_png(layers, metadata, stream)
    else:
        _write_tiff(layers, metadata, stream)


BY_STRIPS = ("JPEG", "PNG", "TIFF")
"""Formats that can be written this way."""


# --- PNG ----------------------------------------------------------------------------------------------


def _write_png(layers: Layers, metadata: Metadata, stream: BinaryIO) -> None:
    """The chunks that Pillow writes for a single grey pixel, with our header and pixels (PNG, third edition, 11.2)."""
    around = encode_image(Image.new("L", (1, 1)), "PNG", 100, metadata)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[layers.channels]
    height, width = layers.pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, layers.bits, colour_type, 0, 0, 0)
    stream.write(around[:8])
    for name, data in _chunks(around):
        if name == b"IDAT":
            for part in _compressed(layers):
                PngImagePlugin.putchunk(stream, b"IDAT", part)
        else:
            PngImagePlugin.putchunk(stream, name, header if name == b"IHDR" else data)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _compressed(layers: Layers) -> Iterator[bytes]:
    """Deflated rows, each as differences from the pixels to the left (PNG's filter 1)."""
    packer = zlib.compressobj(1)
    for strip in layers.strips():
        values = strip.astype(strip.dtype.newbyteorder(">")).reshape(len(strip), -1).view(np.uint8)
        step = layers.channels * layers.bits // 8
        rows = np.empty((len(strip), 1 + values.shape[1]), np.uint8)
        rows[:, 0] = 1
        rows[:, 1 : 1 + step] = values[:, :step]
        np.subtract(values[:, step:], values[:, :-step], out=rows[:, 1 + step :])
        if part := packer.compress(rows.data):
            yield part
    yield packer.flush()


# --- TIFF ---------------------------------------------------------------------------------------------


def _write_tiff(layers: Layers, metadata: Metadata, stream: BinaryIO) -> None:
    """An uncompressed little-endian TIFF of one strip (TIFF 6.0), its directory written by Pillow."""
    height, width = layers.pixels.shape[:2]
    channels, bits = layers.channels, layers.bits
    size = height * width * channels * bits // 8
    if size >= 1 << 32:
        raise ValueError("a TIFF file has at most 4 GB")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = tiff_tags({key: value for key, value in metadata.items() if key in HOLDS["TIFF"]})
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TiffTags.TAGS_V2_GROUPS else exif[tag]
    for tag, value in _resolution(metadata).items():
        tags[tag] = value
    own = {
        256: width, 257: height, 258: (bits,) * channels, 259: 1, 262: 1 if layers.pixels.ndim == 2 else 2,
        273: (0,), 277: channels, 278: height, 279: (size,), 284: 1,
    }  # fmt: skip
    for tag, number in own.items():
        tags[tag] = number
    if layers.alpha is not None:
        tags[338] = 2
    directory = io.BytesIO(b"II*\0" + struct.pack("<I", 8))
    directory.seek(8)
    tags.save(directory)
    stream.write(directory.getvalue())
    for strip in layers.strips():
        stream.write(np.ascontiguousarray(strip, strip.dtype.newbyteorder("<")).data)


def _resolution(metadata: Metadata) -> dict[int, object]:
    if "dpi" not in metadata:
        return {}
    across, down = (TiffImagePlugin.IFDRational(round(value * 100), 100) for value in metadata["dpi"])
    return {282: across, 283: down, 296: 2}


# --- JPEG ---------------------------------------------------------------------------------------------

_MOST_BLOCKS = 65_535
"""Blocks of pixels between two restart markers."""

_BLOCK = 16
"""Most rows per independently encoded strip."""


def _write_jpeg(pixels: Values, quality: int, metadata: Metadata, stream: BinaryIO) -> None:
    """Strips encoded separately by Pillow and joined by restart markers, which reset a JPEG decoder (ITU-T T.81, B.2.1, E.1.4)."""
    height, width = pixels.shape[:2]
    if max(height, width) > 65_535:
        raise ValueError("a JPEG has at most 65,535 rows and columns")
    blocks = -(-width // 8)  # of 8 columns: of 16 there are half as many
    rows = _BLOCK * max(1, min(STRIP // _BLOCK, _MOST_BLOCKS // (2 * blocks)))
    for number, top in enumerate(range(0, height, rows)):
        strip = Image.fromarray(pixels[top : top + rows])
        head, side, scan = _parts(encode_image(strip, "JPEG", quality, metadata if top == 0 else {}))
        if top == 0:
            interval = -(-width // side) * (rows // side)
            stream.write(_with_height(head, height, interval))
        else:
            stream.write(bytes([0xFF, 0xD0 + (number - 1) % 8]))
        stream.write(scan)
    stream.write(b"\xff\xd9")


def _parts(jpeg: bytes) -> tuple[bytes, int, memoryview]:
    """The part before the scan's data, the side of its blocks in pixels, and the scan's data without the end marker."""
    place = 2
    side = 8
    while True:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if marker == 0xC0 and jpeg[place + 9] == 3:
            side = 8 * (jpeg[place + 11] & 15)  # the luma's vertical sampling, here the same as the horizontal one
        place += 2 + length
        if marker == 0xDA:
            return jpeg[:place], side, memoryview(jpeg)[place:-2]


def _with_height(head: bytes, height: int, interval: int) -> bytes:
    """A strip's header as the header of the whole file, with its height and the number of blocks between restarts."""
    place = 2
    while head[place + 1] != 0xC0:
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    restarts = struct.pack(">BBHH", 0xFF, 0xDD, 4, interval)
    return head[:place] + restarts + head[place : place + 5] + struct.pack(">H", height) + head[place + 7 :]
