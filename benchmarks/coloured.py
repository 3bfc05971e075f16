"""How well `is_coloured` tells colour photos from grey, sepia, toned and faded ones: python benchmarks/coloured.py OLD_PHOTOS COLOUR_PHOTOS

OLD_PHOTOS: a folder of black-and-white photos. COLOUR_PHOTOS: a folder or .tar of colour photos. Old photos are also tried as a scanner
in colour mode gives them: sepia, cyanotype, with chroma noise of 4 of 255 levels, and as JPEG of quality 60.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo.color import luma, merge
from hashigo.files import walk
from hashigo.image.photo import SUFFIXES, Photo, encode, photo_of, read
from hashigo.metrics import COLOURED, colour_spread

TONES = {"grey": (0.0, 0.0), "sepia": (-0.08, 0.05), "cyanotype": (0.12, -0.08)}


def scans(photo: Photo) -> Iterator[tuple[str, Photo]]:
    """An old photo as scanners in colour mode give it."""
    y = luma(photo.rgb())
    for name, tone in TONES.items():
        strength = np.concatenate([value * 4 * y * (1 - y) for value in tone])  # none in black and white
        toned = photo_of(merge(y, strength).astype(np.float32))
        yield name, toned
        noise = np.random.default_rng(0).normal(0, 4 / 255, toned.rgb().shape)
        noisy = photo_of(np.clip(toned.rgb() + noise, 0, 1).astype(np.float32))
        yield f"{name}, noise", noisy
        yield f"{name}, noise, JPEG 60", read(encode(noisy, "JPEG", 60))


def colour_photos(path: Path, most: int) -> Iterator[Photo]:
    """The first of a folder or a .tar."""
    if path.suffix != ".tar":
        yield from (read(file) for file, _ in zip(walk(path, SUFFIXES), range(most), strict=False))
        return
    with tarfile.open(path) as tar:
        members = (member for member in tar if member.isfile())
        for member, _ in zip(members, range(most), strict=False):
            file = tar.extractfile(member)
            assert file is not None
            yield photo_of(Image.open(io.BytesIO(file.read())))


def main() -> None:
    """Prints quantiles and how many of each kind count as coloured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("colour", type=Path)
    args = parser.parse_args()
    spreads: dict[str, list[float]] = {}
    for file in walk(args.old, SUFFIXES):
        for name, photo in scans(read(file)):
            spreads.setdefault(name, []).append(colour_spread(photo.sample()))
    spreads["colour photos"] = [colour_spread(photo.sample()) for photo in colour_photos(args.colour, 1000)]
    print(f"{'kind':<28}{'photos':>7}{'5 %':>8}{'median':>8}{'95 %':>8}{'counted as coloured':>21}")
    for name, values in spreads.items():
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        print(
            f"{name:<28}{len(values):>7}{low:>8.4f}{middle:>8.4f}{high:>8.4f}{np.mean(np.array(values) > COLOURED):>20.1%}"
        )


if __name__ == "__main__":
    main()
