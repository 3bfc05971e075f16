"""Packs: many pictures in one file that opens instantly and needs no memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo.data.build import Item, Progress, classes_of, collect, labels_of, pour, preparer
from hashigo.data.packfile import PackWriter
from hashigo.data.pictures import PictureSet
from hashigo.data.tars import tar_items
from hashigo.errors import DataError
from hashigo.files import atomic_path, check_output, expand
from hashigo.image.photo import SUFFIXES, Photo


def pack(
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    size: int | None = None,
    crop: int | None = None,
    square_only: bool = False,
    progress: Progress | None = None,
) -> PictureSet:
    """Writes a `.safetensors` pack of files, folders, glob patterns and `.tar` shards, and opens it.

    `size`: the short side is reduced to it (Lanczos), never enlarged. `crop`: then the centre square of
    that side is kept, so that all pictures have one size; smaller pictures are left out. `square_only`:
    only exactly square pictures. Omitted pictures are listed in the result's `skipped`. The
    pixels are written as they are read, so a pack may be larger than memory.
    Raises PictureError for a missing input, DataError if no picture can be used.
    """
    output = Path(output)
    check_output(output, "-o", [".safetensors"])
    for name, value in (("size", size), ("crop", crop)):
        if value is not None and value < 1:
            raise DataError(f"expected a {name} of at least 1 pixel, found {value}")
    items = input_items(inputs)
    classes = classes_of(items)
    source = ", ".join(str(given) for given in inputs)
    with atomic_path(output) as temporary, temporary.open("w+b") as file:
        writer = PackWriter(file, classes, source)
        result = pour(items, writer, preparer(size, crop, square_only), progress)
        names = [item.name for item in result.items]
        writer.finish(result.channels, result.sizes, labels_of(names, classes), names)
    packed = PictureSet.open(output)
    return PictureSet(packed.pixels, packed.sizes, packed.labels, packed.names, classes, source, result.skipped)


def pack_article(
    inputs: Sequence[str | Path], output: str | Path, size: int = 96, *, progress: Progress | None = None
) -> PictureSet:
    """The article's pack: only exactly square pictures, at `size` × `size` (Lanczos), in one `.npz`.

    The file contains `color` uint8 (N, size, size, 3) and `gray` uint8 (N, size, size), Pillow's "L" of it.
    Returns the colour pictures. Raises PictureError for a missing input, DataError if no
    picture is square.
    """
    output = Path(output)
    check_output(output, "-o", [".npz"])

    def prepare(photo: Photo) -> np.ndarray:
        pixels = Image.fromarray(np.ascontiguousarray(square(photo))).convert("RGB")
        return np.asarray(pixels.resize((size, size), Image.Resampling.LANCZOS))

    square = preparer(square_only=True)
    pictures = collect(input_items(inputs), ", ".join(map(str, inputs)), prepare, progress)
    color = pictures.array()
    gray = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in color])
    with atomic_path(output) as temporary:
        np.savez_compressed(temporary, color=color, gray=gray)
    return pictures


def input_items(inputs: Sequence[str | Path]) -> list[Item]:
    """The pictures of files, folders, glob patterns and `.tar` shards, in the inputs' order.

    Raises PictureError for a missing input, DataError if there is no picture.
    """
    files = expand(list(inputs), {*SUFFIXES, ".tar"})
    items: list[Item] = []
    for is_tar, group in groupby(files, key=lambda pair: pair[0].suffix.lower() == ".tar"):
        if is_tar:
            items += tar_items([path for path, _ in group])
        else:
            items += [Item(relative.as_posix(), path) for path, relative in group]
    if not items:
        raise DataError(f"expected pictures or .tar shards in {', '.join(map(str, inputs))}, found none")
    return items
