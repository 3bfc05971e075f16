"""Panels: many pictures in one, to see a network's results at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.files import atomic_path
from hashigo.image.pixels import to_uint8

GAP = 2
PAPER = 1.0


def grid(parts: Sequence[NDArray[np.generic]], columns: int = 0) -> NDArray[np.float32]:
    """Nearly square grids side by side, one for each part: parts (N, 3, h, w), 0..1 → one picture (3, H, W).

    Small pictures are enlarged (each pixel a square), so that a digit of 28 pixels can be seen.
    """
    zoom = max(1, 64 // max(parts[0].shape[-2:]))
    sheets = [_sheet(np.repeat(np.repeat(part, zoom, -2), zoom, -1), columns) for part in parts]
    between = np.full((3, sheets[0].shape[1], 8 * GAP), PAPER, dtype=np.float32)
    joined: list[NDArray[np.generic]] = []
    for sheet in sheets:
        joined += [sheet, between]
    return np.concatenate(joined[:-1], axis=2)


def _sheet(pictures: NDArray[np.generic], columns: int = 0) -> NDArray[np.float32]:
    count, _, height, width = pictures.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * columns, 3, height + GAP, width + GAP), PAPER, dtype=np.float32)
    sheet[:count, :, :height, :width] = pictures
    sheet = sheet.reshape(rows, columns, 3, height + GAP, width + GAP).transpose(2, 0, 3, 1, 4)
    return sheet.reshape(3, rows * (height + GAP), columns * (width + GAP))[:, :-GAP, :-GAP]


def save_png(picture: NDArray[np.floating], path: Path) -> None:
    """Writes a picture (3, H, W), 0..1, as PNG."""
    with atomic_path(path) as temporary:
        Image.fromarray(to_uint8(picture)).save(temporary, "PNG")


def save_animation(frames: Sequence[Path], path: Path, *, most: int = 60, seconds: float = 0.4) -> None:
    """Writes an animated WebP of picture files, `seconds` each, the last one longer; at most `most` frames, evenly spaced.

    All frames must have the size of the last one; others are left out.
    """
    sizes = [_size(frame) for frame in frames]
    alike = [frame for frame, size in zip(frames, sizes, strict=True) if size == sizes[-1]]
    chosen = [alike[round(i)] for i in np.linspace(0, len(alike) - 1, min(most, len(alike)))]
    pictures = []
    for frame in chosen:
        with Image.open(frame) as opened:
            pictures.append(opened.convert("RGB"))
    times = [int(1000 * seconds)] * (len(pictures) - 1) + [int(4000 * seconds)]
    with atomic_path(path) as temporary:
        pictures[0].save(
            temporary, "WEBP", save_all=True, append_images=pictures[1:], duration=times, loop=0, quality=80, method=2
        )


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as opened:
        return opened.size
