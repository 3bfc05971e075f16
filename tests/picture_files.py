"""Picture files made by hand for the tests: PNG of any depth and small ICC profiles."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
"""The PNG colour type for a number of channels."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: np.ndarray, *chunks: bytes) -> bytes:
    """A PNG file of uint8 or uint16 `values`, (H, W) or (H, W, C); `chunks` come before the pixels."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, values.itemsize * 8, PNG_COLOUR[channels], 0, 0, 0)
    body = chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def icc_profile(space: bytes, tags: dict[bytes, bytes], *, connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """A version 2 ICC profile (ICC.1:2001-04) with the given tags and a D50 white point."""
    text = b"made for a test\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"cprt": b"text" + bytes(4) + text, b"wtpt": icc_xyz(0.9642, 1, 0.8249)} | tags
    offset, table, data = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = 132 + len(table) + len(data)
    head = struct.pack(">I4s4s4s4s4s", size, b"lcms", bytes((2, 0x40, 0, 0)), kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + icc_xyz(0.9642, 1, 0.8249)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def icc_xyz(*values: float) -> bytes:
    """One XYZ tag."""
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def icc_gamma(gamma: float) -> bytes:
    """One curve tag: a power."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def icc_srgb_curve() -> bytes:
    """One curve tag: sRGB's, in 1,024 points."""
    x = np.linspace(0, 1, 1024)
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + np.round(y * 65535).astype(">u2").tobytes()


# Columns of the matrices to XYZ under D50, red, green and blue.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def icc_rgb(primaries: Sequence[Sequence[float]]) -> bytes:
    """A profile with these primaries and sRGB's curve."""
    tags = {name + b"TRC": icc_srgb_curve() for name in (b"r", b"g", b"b")}
    tags |= {name + b"XYZ": icc_xyz(*xyz) for name, xyz in zip((b"r", b"g", b"b"), primaries, strict=True)}
    return icc_profile(b"RGB ", tags)


def icc_grey(gamma: float) -> bytes:
    """A grey profile with a power curve."""
    return icc_profile(b"GRAY", {b"kTRC": icc_gamma(gamma)})


def icc_cmyk() -> bytes:
    """A CMYK profile in which yellow ink is invisible and every other ink is black."""
    identity = bytes(range(256))
    table = b"".join(bytes((0 if c or m or k else 255, 128, 128)) for c, m, _, k in itertools.product((0, 1), repeat=4))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + table + identity * 3
    return icc_profile(b"CMYK", {b"A2B0": lut}, connection=b"Lab ", kind=b"prtr")


def tiff(
    values: np.ndarray, *, bits: int, order: str = "<", extra: dict[int, tuple[str, int, bytes]] | None = None
) -> bytes:
    """A TIFF of one strip, (H, W) or (H, W, C), made by hand."""
    height, width, *channels = values.shape
    count = channels[0] if channels else 1
    data = values.astype(f"{order}u2").tobytes()
    if bits == 12:  # packed, most significant first (TIFF 6.0, FillOrder 1)
        data = np.packbits(np.unpackbits(values.astype(">u2").view(np.uint8)).reshape(-1, 16)[:, 4:].ravel()).tobytes()
    entries: dict[int, tuple[str, int, bytes]] = {
        256: ("H", 1, struct.pack(f"{order}HH", width, 0)), 257: ("H", 1, struct.pack(f"{order}HH", height, 0)),
        258: ("H", count, b""), 259: ("H", 1, struct.pack(f"{order}HH", 1, 0)),
        262: ("H", 1, struct.pack(f"{order}HH", 2 if count >= 3 else 1, 0)), 273: ("I", 1, b""),
        277: ("H", 1, struct.pack(f"{order}HH", count, 0)), 278: ("H", 1, struct.pack(f"{order}HH", height, 0)),
        279: ("I", 1, struct.pack(f"{order}I", len(data))),
    }  # fmt: skip
    entries |= extra or {}
    place = 8 + 2 + 12 * len(entries) + 4
    depths = struct.pack(f"{order}{count}H", *[bits] * count)
    tail = b""
    if count > 2:
        entries[258] = ("H", count, struct.pack(f"{order}I", place))
        tail = depths
    else:
        entries[258] = ("H", count, depths.ljust(4, b"\0"))
    for tag, (kind, number, content) in sorted(entries.items()):
        if len(content) > 4:
            entries[tag] = (kind, number, struct.pack(f"{order}I", place + len(tail)))
            tail += content + b"\0" * (len(content) % 2)
    entries[273] = ("I", 1, struct.pack(f"{order}I", place + len(tail)))
    kinds = {"B": 1, "H": 3, "I": 4, "Q": 5}
    directory = struct.pack(f"{order}H", len(entries))
    for tag, (kind, number, content) in sorted(entries.items()):
        directory += struct.pack(f"{order}HHI", tag, kinds[kind], number) + content
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return head + directory + bytes(4) + tail + data
