"""The pack: many pictures in one file of the safetensors format, read back memory-mapped.

Layout: eight bytes header length, a JSON header, then the tensors without gaps
(https://github.com/huggingface/safetensors#format). The tensors of a pack, in this order:

- `pixels` uint8 (P, C): first, so that they can be written while the pictures are still being read;
- `names` uint8: all names as UTF-8, one after another, padded to a multiple of eight bytes;
- `labels` int64 (N,), if there are any;
- `sizes` int32 (N, 2) of (H, W), and `name_lengths` int32 (N,) in bytes.

The classes (a JSON list) and the source are in the header's metadata. Every safetensors reader opens it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import DataError

FORMAT = "hashigo-pictures-1"
MAX_HEADER = 100_000_000  # bytes; the safetensors library's own limit
_DTYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64}
_CODES = {"uint8": "U8", "int32": "I32", "int64": "I64"}
_NUMBER_ROOM = 400  # bytes: ten numbers of up to 20 digits, more than a header can grow by
_CHUNK = 1 << 24


class _Entry(TypedDict):
    """A tensor's entry in the header."""

    dtype: str
    shape: list[int]
    data_offsets: list[int]


class PackWriter:
    """Writes a pack's pixels as they come and everything else at the end.

    `file` is open for reading and writing, and empty. `classes` and `source` go into the header,
    for which space is reserved at the start.
    """

    def __init__(self, file: BinaryIO, classes: Sequence[str], source: str) -> None:
        self.file = file
        self.metadata = {"format": FORMAT, "classes": json.dumps(list(classes)), "source": source}
        room = len(json.dumps({"__metadata__": self.metadata})) + 5 * 80 + _NUMBER_ROOM
        self.header_length = -(-room // 8) * 8
        self.pixel_bytes = 0
        file.seek(8 + self.header_length)

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Appends pixels of any shape in memory order."""
        self.file.write(np.ascontiguousarray(pixels).reshape(-1).data)
        self.pixel_bytes += pixels.nbytes

    def widen(self) -> None:
        """Turns the grey pixels written so far into three equal channels, in place, from the end."""
        start = 8 + self.header_length
        for first in range((self.pixel_bytes - 1) // _CHUNK * _CHUNK, -1, -_CHUNK):
            self.file.seek(start + first)
            grey = np.frombuffer(self.file.read(min(_CHUNK, self.pixel_bytes - first)), np.uint8)
            self.file.seek(start + 3 * first)
            self.file.write(np.repeat(grey, 3).data)
        self.pixel_bytes *= 3
        self.file.seek(start + self.pixel_bytes)

    def finish(
        self,
        channels: int,
        sizes: NDArray[np.int32],
        labels: NDArray[np.int64] | None,
        names: Sequence[str],
    ) -> None:
        """Writes the small tensors behind the pixels, then the header."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        blob = b"".join(encoded)
        blob += b"\0" * (-(self.pixel_bytes + len(blob)) % 8)  # keeps what follows aligned
        small: dict[str, NDArray[np.generic]] = {"names": np.frombuffer(blob, np.uint8)}
        if labels is not None:
            small["labels"] = np.ascontiguousarray(labels, "<i8")
        small["sizes"] = np.ascontiguousarray(sizes, "<i4")
        small["name_lengths"] = np.array([len(name) for name in encoded], "<i4")
        end = self.pixel_bytes
        header: dict[str, _Entry] = {
            "pixels": {"dtype": "U8", "shape": [end // channels, channels], "data_offsets": [0, end]}
        }
        for name, array in small.items():
            offsets = [end, end + array.nbytes]
            header[name] = {
                "dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets
            }  # fmt: skip
            self.file.write(array.tobytes())
            end = offsets[1]
        text = json.dumps({"__metadata__": self.metadata, **header}).encode()
        self.file.seek(0)
        self.file.write(struct.pack("<Q", self.header_length) + text.ljust(self.header_length))


def looks_like_pack(path: Path) -> bool:
    """Whether a file begins as a safetensors file does."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return False
    return len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= MAX_HEADER


def read_pack(path: Path) -> tuple[dict[str, NDArray[Any]], Mapping[str, str]]:  # each tensor has its own type
    """The tensors and the metadata of a pack; `pixels` is memory-mapped, the rest is in memory.

    The mapping is copy-on-write: the arrays count as writable (torch warns about others), but the file
    never changes; that of a pack larger than memory is read-only. Raises DataError if the file is not a complete pack.
    """
    header, metadata, start = _header(path)
    if metadata.get("format") != FORMAT or not {"pixels", "sizes", "names", "name_lengths"} <= set(header):
        raise DataError(
            f"{path}: expected a pack of pictures ('{FORMAT}'), found another safetensors file with "
            f"{', '.join(sorted(header)) or 'no tensors'}; write packs with 'hashigo data pack'"
        )
    try:
        tensors = {name: _tensor(path, start, entry, name == "pixels") for name, entry in header.items()}
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise DataError(f"{path}: the pack is cut short or damaged ({error}); write it again") from error
    return tensors, metadata


def _header(path: Path) -> tuple[dict[str, _Entry], Mapping[str, str], int]:
    """The header's tensor entries and metadata, and the position of the first tensor's first byte."""
    if not looks_like_pack(path):
        raise DataError(f"{path}: expected a pack (a .safetensors file), found something else")
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: the pack's header cannot be read ({error}); write it again") from error
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise DataError(f"{path}: the pack's header cannot be read (it is not a JSON object); write it again")
    return header, metadata, 8 + length


def _tensor(path: Path, start: int, entry: _Entry, mapped: bool) -> NDArray[np.generic]:
    dtype = np.dtype(_DTYPES[entry["dtype"]]).newbyteorder("<")
    first, last = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(number) is int and number >= 0 for number in (*shape, first, last)):
        raise ValueError(f"expected whole numbers of at least 0, found {shape} and {entry['data_offsets']}")
    count = math.prod(shape)
    if count * dtype.itemsize != last - first or start + last > path.stat().st_size:
        raise ValueError(f"expected {start + last} bytes, found {path.stat().st_size}")
    if mapped and count:
        try:
            return np.memmap(path, dtype, "c", start + first, shape)
        except OSError:  # Linux allows no private mapping larger than memory
            return np.memmap(path, dtype, "r", start + first, shape)
    return np.fromfile(path, dtype, count, offset=start + first).reshape(shape)
