"""How a colorizer's classes become a colour: temperatures of the annealed mean, and how far rare classes are favoured.

    .venv/bin/python benchmarks/decoding.py colorizer ../shared/data/photos/val --limit 200

At the size that the network sees: colourfulness as a share of the originals', and CIEDE2000 as a share of grey's. "as
trained" takes the network's classes as they come, with the weights of its training.
"""

from __future__ import annotations

import argparse

import numpy as np

from hashigo import color
from hashigo.apply import load
from hashigo.data import open_dataset
from hashigo.errors import RecipeError
from hashigo.evaluation import originals
from hashigo.image import resize
from hashigo.metrics import colourfulness, delta_e
from hashigo.tasks import ColorizeBins

FAVOURS = (None, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TEMPERATURES = (1.0, 0.5, 0.38, 0.25)


def main() -> None:
    """Prints a row for each pair, by colourfulness."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos")
    parser.add_argument("--limit", type=int, default=200)
    args = parser.parse_args()
    model = load(args.model)
    task = model.task
    if not isinstance(task, ColorizeBins):
        raise RecipeError(f"expected a model of colorize-bins, got one of {task.name}")
    trained = np.log(task.bins.weights(task.rebalance))
    found: dict[tuple[float | None, float], list[tuple[float, float]]] = {}
    grey, colourful = [], []
    for _, photo in originals([open_dataset(args.photos, limit=args.limit)]):
        size = model.network_size(photo.size)
        rgb = photo.resized(*size).clip(0, 1)
        luma = color.luma(rgb)
        logits = model.engine(model.prepare(photo)[None])[0]
        grey.append(float(delta_e(rgb, np.repeat(luma, 3, axis=0))))
        colourful.append(float(colourfulness(rgb, rgb)))
        for favour in FAVOURS:
            added = 0 * trained if favour is None else favour * np.log(task.bins.weights()) - trained
            for temperature in TEMPERATURES:
                chroma = task.bins.mean(logits + added[:, None, None], temperature).astype(np.float32)
                result = color.merge(luma, resize(chroma, *size))
                scores = float(colourfulness(rgb, result)), float(delta_e(rgb, result))
                found.setdefault((favour, temperature), []).append(scores)
    print("colourfulness  CIEDE2000  favour      temperature")
    for (favour, temperature), scores in found.items():
        share, away = np.mean(scores, axis=0) / (np.mean(colourful), np.mean(grey))
        print(f"{share:13.2f}  {away:9.3f}  {'as trained' if favour is None else favour!s:<10}  {temperature}")


if __name__ == "__main__":
    main()
