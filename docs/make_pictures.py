"""Makes the README's picture: grey, coloured by the bundled model, original. `.venv/bin/python docs/make_pictures.py`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo.apply import load
from hashigo.demo import bundled_photos
from hashigo.image import photo_of, write

HEIGHT, GAP = 300, 6
NAMES = ("astronaut", "coffee", "chelsea")


def main() -> None:
    """Writes docs/pictures/photos.jpg: a row for each kind, a column for each photo."""
    model, photos = load("colorizer"), bundled_photos()
    rows = []
    for kind in ("grey", "coloured", "original"):
        row = []
        for name in NAMES:
            original = photos[name]
            grey = replace(original, pixels=np.asarray(Image.fromarray(original.pixels).convert("L")))
            photo = {"grey": grey, "coloured": model.apply(grey), "original": original}[kind]
            width = round(HEIGHT * photo.width / photo.height)
            row += [photo.resized(HEIGHT, width).clip(0, 1), np.ones((3, HEIGHT, GAP), np.float32)]
        rows += [
            np.concatenate(row[:-1], axis=2),
            np.ones((3, GAP, sum(part.shape[2] for part in row[:-1])), np.float32),
        ]
    write(photo_of(np.concatenate(rows[:-1], axis=1)), Path(__file__).parent / "pictures" / "photos.jpg", quality=88)


if __name__ == "__main__":
    main()
