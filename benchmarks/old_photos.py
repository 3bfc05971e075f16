"""Do colours hold on photos that look old? Colorizers' answers to clean luma and to luma that is made old at random.

    .venv/bin/python benchmarks/old_photos.py ../shared/data/photos/val colorizer [MODEL…] --limit 200

At the size that the network sees. The damage (`hashigo.tasks.damage.old_photo`, all photos) reaches the network only: its colours
are put on the clean luma, so that the figures tell of colours alone. CIEDE2000 as a share of grey's, colourfulness as a share
of the originals'.
"""

from __future__ import annotations

import argparse

import numpy as np

from hashigo import color
from hashigo.apply import Model, load
from hashigo.data import open_dataset
from hashigo.errors import RecipeError
from hashigo.evaluation import originals
from hashigo.image import Photo, resize
from hashigo.metrics import colourfulness, delta_e
from hashigo.randomness import PictureRng
from hashigo.tasks import Colorize
from hashigo.tasks.damage import old_photo


def main() -> None:
    """Prints a row for each model, clean and old."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=int, default=200)
    args = parser.parse_args()
    photos = [photo for _, photo in originals([open_dataset(args.photos, limit=args.limit)])]
    print("CIEDE2000  colourfulness  input  model")
    for name in args.models:
        model = load(name)
        if not isinstance(model.task, Colorize):
            raise RecipeError(
                f"expected a model that gives chroma (colorize, colorize-bins), got one of {model.task.name}"
            )
        found = np.array([_scores(model, photo, number) for number, photo in enumerate(photos)])
        grey, colourful = found[:, 0].mean(), found[:, 1].mean()
        for kind, away, strong in (("clean", 2, 3), ("old", 4, 5)):
            print(
                f"{found[:, away].mean() / grey:9.3f}  {found[:, strong].mean() / colourful:13.2f}  {kind:<5}  {name}"
            )


def _scores(model: Model, photo: Photo, number: int) -> list[float]:
    """CIEDE2000 of grey and colourfulness of the original, then both of the result, clean and old."""
    size = model.network_size(photo.size)
    rgb = photo.resized(*size).clip(0, 1)
    luma = color.luma(rgb)
    scores = [float(delta_e(rgb, np.repeat(luma, 3, axis=0))), float(colourfulness(rgb, rgb))]
    x = model.task.encode(rgb)
    old = old_photo(rgb[None], PictureRng(0, 0, np.array([number])))[0]
    for seen in (luma, old):
        answer = model.task.answer(model.engine(np.concatenate([seen, x[1:]])[None].astype(np.float32))[0])
        result = color.merge(luma, resize(np.asarray(answer, np.float32), *size))
        scores += [float(delta_e(rgb, result)), float(colourfulness(rgb, result))]
    return scores


if __name__ == "__main__":
    main()
