"""Which default a colorizer gets: its figures by size and vividness on the photos at even places, then on those at odd places.

    .venv/bin/python benchmarks/vividness.py colorizer ../shared/data/photos/val

Photos at their own size, as `hashigo evaluate` measures them; those at even places may choose (they chose the epoch too), those
at odd places only tell what came of it, also with ten random hints each and calmer.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from hashigo.apply import Model, load
from hashigo.data import PictureSet, open_dataset
from hashigo.evaluation import evaluate


def main() -> None:
    """Prints a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="photos of each half; 0: all")
    parser.add_argument("--sizes", type=int, nargs="*", default=[], help="short sides to try beside the model's own")
    parser.add_argument("--vivid", type=float, nargs="*", default=[0.0, 0.5, 0.8, 0.85, 0.9])
    parser.add_argument(
        "--apart", default="", help="also odd photos with and without this in their names, such as imagenet"
    )
    args = parser.parse_args()
    model, photos = load(args.model), open_dataset(args.photos)
    even, odd = (photos.subset(slice(first, None, 2)).limited(args.limit or None) for first in (0, 1))
    print("size  vivid  hints  photos     CIEDE2000  of grey's  colourfulness  nearer   PSNR")
    for size in args.sizes or [model.size]:
        for vivid in args.vivid:
            _row(model, even, "even", size, vivid)
    for vivid, hints in ((None, 0), (0.5, 0), (0.0, 0), (None, 10)):
        _row(model, odd, "odd", model.size, vivid, hints)
    for kind in (True, False) if args.apart else ():
        some = odd.subset(np.array([(args.apart in name) == kind for name in odd.names]))
        print(f"odd, {'' if kind else 'not '}of {args.apart}:")
        for vivid in (None, 0.5, 0.0):
            _row(model, some, "odd", model.size, vivid)


def _row(model: Model, photos: PictureSet, which: str, size: int, vivid: float | None, hints: int = 0) -> None:
    start = time.perf_counter()
    scores = evaluate(Model(model.folder, model.engine, size=size, vivid=vivid), [photos], hints=hints)
    result, grey = scores.mean("result"), scores.mean("input")
    print(
        f"{size:4}  {'own' if vivid is None else f'{vivid:g}':>5}  {hints:5}  {len(photos):4} {which:<5} {result['delta_e']:9.2f}  "
        f"{result['delta_e'] / grey['delta_e']:9.3f}  {scores.ratio():13.2f}  {scores.share_better():6.0%}  {result['psnr']:5.2f}  "
        f"({time.perf_counter() - start:.0f} s)",
        flush=True,
    )


if __name__ == "__main__":
    main()
