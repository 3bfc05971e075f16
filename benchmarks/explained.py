"""The share of the chroma of photos that a colorizer knows, and that the mean of several colorizers knows.

    .venv/bin/python benchmarks/explained.py ../shared/data/photos/val colorizer
    .venv/bin/python benchmarks/explained.py ../shared/data/photos/val colorizer runs/other --mirror

Each photo is squeezed to a square. The expected chroma (the mean over the classes, without any vividness) and the photo's own are
averaged over a grid of 16×16 places; the share is 1 - the sum of squared errors / the sum of squared chroma. Grey has 0. Unlike
colourfulness and CIEDE2000, it measures only what a network knows, not how its answer is made vivid.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from hashigo import color
from hashigo.apply import Model, load
from hashigo.data import open_dataset
from hashigo.tasks.colorizing import ColorizeBins

GRID = 16


def main() -> None:
    """Prints a line for each model and one for their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--size", type=int, default=0, help="side of the squares that a network sees; 0: its own")
    parser.add_argument("--limit", type=int, default=0, help="use this many photos, evenly spaced; 0: all")
    parser.add_argument(
        "--undone",
        type=float,
        default=1.0,
        help="how much of training's weights to take back; the product takes back all",
    )
    parser.add_argument("--mirror", action="store_true", help="average each answer with that to the mirrored photo")
    args = parser.parse_args()
    photos = open_dataset(args.photos, limit=args.limit or None)
    originals = [Image.fromarray(photos.picture(place)) for place in range(len(photos))]
    truth = np.stack([cells(color.chroma(square(photo, 224))) for photo in originals])
    known = []
    for name in args.models:
        model = load(name)
        known.append(
            np.stack([expected(model, photo, args.size or model.size, args.mirror, args.undone) for photo in originals])
        )
        print(f"{name}: {explained(known[-1], truth):.4f} of {len(photos)} photos", flush=True)
    if len(known) > 1:
        print(f"mean of {len(known)}: {explained(np.mean(known, axis=0), truth):.4f}")


def explained(chroma: np.ndarray, truth: np.ndarray) -> float:
    return float(1 - np.square(chroma - truth).sum() / np.square(truth).sum())


def square(photo: Image.Image, side: int) -> np.ndarray:
    """A photo squeezed to a square: (3, side, side), 0..1."""
    resized = np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS), np.float32)
    return resized.transpose(2, 0, 1) / 255


def expected(model: Model, photo: Image.Image, side: int, mirror: bool = False, undone: float = 1.0) -> np.ndarray:
    """The expected chroma on the grid, (2, 16, 16)."""
    task = model.task
    if not isinstance(task, ColorizeBins):
        raise SystemExit(f"expected a model of colorize-bins, got {task.name}")
    x = np.asarray(task.encode(square(photo, side)))[None]
    inputs = [x, x[..., ::-1]] if mirror else [x]
    outputs = [model.engine(np.ascontiguousarray(x)) for x in inputs]
    answers = [task.bins.mean(task.bins.unweighted(y, task.rebalance, undone))[0] for y in outputs]
    grids = [cells(answer) for answer in answers]
    return np.mean([grids[0], grids[1][..., ::-1]], axis=0) if mirror else grids[0]


def cells(chroma: np.ndarray) -> np.ndarray:
    """Means over the grid: (2, H, W) → (2, 16, 16); H and W are multiples of 16."""
    height, width = (side // GRID for side in chroma.shape[-2:])
    return chroma.reshape(2, GRID, height, GRID, width).mean(axis=(2, 4))


if __name__ == "__main__":
    main()
