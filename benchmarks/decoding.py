"""How a colorizer's classes become a colour: the annealed mean of Zhang et al. 2016 against `ChromaBins.decide`.

    .venv/bin/python benchmarks/decoding.py colorizer ../shared/data/photos/val --limit 200

At the size that the network sees: colourfulness as a share of the originals', CIEDE2000 as a share of grey's, and the share
of photos nearer to the original than grey. "favour" is how far rare classes are favoured before the annealed mean is taken
(1: as Zhang et al. do in training), "reward" is what chroma is worth (`ChromaBins.decide`), `--vivid` times `MOST_REWARD`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from hashigo import color
from hashigo.apply import load
from hashigo.color import Array
from hashigo.data import open_dataset
from hashigo.errors import RecipeError
from hashigo.evaluation import originals
from hashigo.image import resize
from hashigo.metrics import colourfulness, delta_e
from hashigo.tasks import ColorizeBins
from hashigo.tasks.classes import ChromaBins

FAVOURS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TEMPERATURES = (1.0, 0.38, 0.25)
REWARDS = (0.0, 15.0, 30.0, 37.0, 41.0, 46.0)


def main() -> None:
    """Prints a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos")
    parser.add_argument("--limit", type=int, default=200)
    args = parser.parse_args()
    model = load(args.model)
    task = model.task
    if not isinstance(task, ColorizeBins):
        raise RecipeError(f"expected a model of colorize-bins, got one of {task.name}")
    found: dict[str, list[tuple[float, float, bool]]] = {}
    grey, colourful = [], []
    for _, photo in originals([open_dataset(args.photos, limit=args.limit)]):
        size = model.network_size(photo.size)
        rgb = photo.resized(*size).clip(0, 1)
        luma = color.luma(rgb)
        grey.append(float(delta_e(rgb, np.repeat(luma, 3, axis=0))))
        colourful.append(float(colourfulness(rgb, rgb)))
        logits = task.logits(model.engine(task.encode(rgb)[None])[0])
        for name, chroma in _answers(task.bins, logits):
            result = color.merge(luma, resize(chroma.astype(np.float32), *size))
            away = float(delta_e(rgb, result))
            found.setdefault(name, []).append((float(colourfulness(rgb, result)), away, away < grey[-1]))
    print("colourfulness  CIEDE2000  nearer  by")
    for name, scores in found.items():
        share, away, nearer = np.mean(scores, axis=0) / (np.mean(colourful), np.mean(grey), 1)
        print(f"{share:13.2f}  {away:9.3f}  {nearer:6.2f}  {name}")


def _answers(bins: ChromaBins, logits: Array) -> Iterator[tuple[str, Array]]:
    """Each way's name and chroma."""
    for reward in REWARDS:
        yield f"decided, reward {reward:g}", bins.decide(logits, reward)
    for temperature in TEMPERATURES:
        for favour in FAVOURS:
            added = favour * np.log(bins.weights())[:, None, None]
            yield (
                f"annealed mean, favour {favour:g}, temperature {temperature:g}",
                bins.mean(logits + added, temperature),
            )


if __name__ == "__main__":
    main()
