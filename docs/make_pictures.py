"""Makes the README's pictures: grey, coloured by the bundled model, original; what hints do; and failures. `.venv/bin/python docs/make_pictures.py`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data
from sklearn.datasets import load_sample_images

from hashigo.apply import Model, load
from hashigo.demo import bundled_photos
from hashigo.image import Photo, photo_of, write
from hashigo.pages.plots import curves
from make_results import standalone

HEIGHT, GAP = 300, 6
TRAINING = (2.726, 2.547, 2.498, 2.467, 2.435, 2.407, 2.368, 2.340, 2.309, 2.299)
VALIDATION = (2.551, 2.503, 2.472, 2.460, 2.458, 2.459, 2.452, 2.452, 2.457, 2.459)
"""Losses of the `tokens` run that the bundled colorizer is made of, after each epoch."""
NAMES = ("astronaut", "coffee", "chelsea")
HINTS = (
    (110, 190, "#b02810"), (455, 190, "#b02810"), (300, 365, "#a02810"), (40, 370, "#c07838"), (570, 60, "#b07040"), (560, 320, "#905028"),
    (300, 95, "#d08030"),
)  # fmt: skip
"""Colours told for the cup: x, y and colour."""


def main() -> None:
    """Writes the pictures."""
    model, photos = load("colorizer"), bundled_photos()
    _kinds(model, photos)
    _hints(model, photos["coffee"])
    _failures(model)
    _curves()


def _kinds(model: Model, photos: dict[str, Photo]) -> None:
    """docs/pictures/photos.jpg: a row for each kind, a column for each photo."""
    _write(_rows(model, [photos[name] for name in NAMES], HEIGHT), "photos.jpg")


def _failures(model: Model) -> None:
    """docs/pictures/failures.jpg: photos of scikit-learn and scikit-image, likewise; the last two are grey themselves."""
    pictures = *load_sample_images().images, data.coins(), data.grass()
    _write(
        _rows(model, [Photo(np.asarray(Image.fromarray(picture).convert("RGB"))) for picture in pictures], 200),
        "failures.jpg",
    )


def _curves() -> None:
    """docs/pictures/curves.svg: the losses of the transformer's part in training."""
    lines = {
        name: [(epoch, loss) for epoch, loss in enumerate(losses, 1)]
        for name, losses in {"training photos": TRAINING, "photos set apart": VALIDATION}.items()
    }
    svg = standalone(curves(lines, x="epoch", y="cross-entropy", log=False))
    (Path(__file__).parent / "pictures" / "curves.svg").write_text(svg, encoding="utf-8")


def _rows(model: Model, originals: list[Photo], height: int) -> list[list[np.ndarray]]:
    """Grey, coloured and original photos."""
    greys = [_grey(original) for original in originals]
    coloured = [model.apply(grey) for grey in greys]
    return [[_at_height(photo, height) for photo in row] for row in (greys, coloured, originals)]


def _hints(model: Model, original: Photo) -> None:
    """docs/pictures/hints.jpg: a grey photo with the hints, coloured without them and with them."""
    grey = _grey(original)
    marked = Image.fromarray(grey.pixels).convert("RGB")
    for x, y, code in HINTS:
        ImageDraw.Draw(marked).ellipse((x - 12, y - 12, x + 12, y + 12), fill=code, outline="white", width=3)
    shown = replace(grey, pixels=np.asarray(marked)), model(grey), model(grey, HINTS)
    _write([[_at_height(one) for one in shown]], "hints.jpg")


def _grey(photo: Photo) -> Photo:
    return replace(photo, pixels=np.asarray(Image.fromarray(photo.pixels).convert("L")))


def _at_height(photo: Photo, height: int = HEIGHT) -> np.ndarray:
    return photo.resized(height, round(height * photo.width / photo.height)).clip(0, 1)


def _write(rows: list[list[np.ndarray]], name: str) -> None:
    """Rows of pictures (3, H, W), as wide as each other, with white between them."""
    gap = ((0, 0), (0, GAP), (0, GAP))
    lines = [np.concatenate([np.pad(one, gap, constant_values=1) for one in row], axis=2) for row in rows]
    picture = np.concatenate(lines, axis=1)[:, :-GAP, :-GAP]
    write(photo_of(picture), Path(__file__).parent / "pictures" / name, quality=88)


if __name__ == "__main__":
    main()
