"""What colour hints bring, by their number: the network alone, and with its answer made to agree with them (`hashigo.tasks.hints.spread_hints`).

    .venv/bin/python benchmarks/hints.py colorizer ../shared/data/photos/val [--choose 50]

With `--choose`, first how hints should spread, on so many photos at even places with 10 and 2 random hints each; then, on
those at odd places, what comes of it. Photos at their own size, as `hashigo evaluate` measures them.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from pathlib import Path
from statistics import median

import numpy as np

from hashigo.apply import Model, load
from hashigo.data import PictureSet, open_dataset
from hashigo.evaluation import evaluate, hints_from_original
from hashigo.image import photo_of
from hashigo.randomness import PictureRng
from hashigo.tasks import hints

REACHES = ((0.3,), (0.3, 0.1), (0.2, 0.1, 0.03), (0.3, 0.1, 0.03), (0.5, 0.1, 0.03))
LUMA, CHROMA, DAMPING = (0.05, 0.1, 0.2), (0.02, 0.03, 0.05), (0.03, 0.1, 0.3)


def main() -> None:
    """Prints a row for each setting and each number of hints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--choose", type=int, default=0, help="photos at even places for the choice; 0: none")
    parser.add_argument("--limit", type=int, default=0, help="photos at odd places; 0: all")
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 3, 10], help="numbers of hints")
    args = parser.parse_args()
    model, photos = load(args.model), open_dataset(args.photos)
    if args.choose:
        _choose(model, photos.subset(slice(0, None, 2)).limited(args.choose))
    odd = photos.subset(slice(1, None, 2)).limited(args.limit or None)
    plain, nearer, ratio = _measured(model, odd, 0)
    print(
        f"no hints: CIEDE2000 {plain:.2f}, nearer than grey {nearer:.0%}, colourfulness {ratio:.2f}, {len(odd)} photos",
        flush=True,
    )
    usual = hints.DAMPING
    for count, alone in itertools.product(args.counts, (True, False)):
        hints.DAMPING = math.inf if alone else usual  # infinite: nothing is spread
        error, nearer, ratio = _measured(model, odd, count)
        print(
            f"{count} hints, {'the network alone' if alone else 'spread'}: CIEDE2000 {error:.2f} ({error / plain - 1:+.0%}), "
            f"nearer than grey {nearer:.0%}, colourfulness {ratio:.2f}", flush=True,
        )  # fmt: skip
    hints.DAMPING = usual
    for count in args.counts:
        print(f"{count} hints: spreading takes {_milliseconds(model, odd, count):.1f} ms", flush=True)


def _milliseconds(model: Model, photos: PictureSet, count: int) -> float:
    """Of `spread_hints` alone, for the first photo: the median of 30."""
    photo = photo_of(photos.picture(0))
    known = hints_from_original(
        photo.rgb(), count, model.network_size(photo.size), PictureRng(0, 0, np.zeros(1, np.int64))
    )
    x = model.prepare(photo, model.call(known)).x
    answer = model.task.answer(model.engine(x[None])[0])
    taken = []
    for _ in range(30):
        start = time.perf_counter()
        hints.spread_hints(answer, x)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def _choose(model: Model, even: PictureSet) -> None:
    """Prints the shipped setting and those that differ from it in one thing; last the best."""
    usual = hints.REACHES, hints.LIKE_LUMA, hints.LIKE_CHROMA, hints.DAMPING
    tried = enumerate((REACHES, LUMA, CHROMA, DAMPING))
    others = [(*usual[:place], value, *usual[place + 1 :]) for place, values in tried for value in values]
    found = []
    for setting in dict.fromkeys([usual, *others]):
        hints.REACHES, hints.LIKE_LUMA, hints.LIKE_CHROMA, hints.DAMPING = setting
        errors = [_measured(model, even, count)[0] for count in (2, 10)]
        told = "reaches {}, luma {:g}, chroma {:g}, damping {:g}".format(*setting)
        found.append((sum(errors), f"{told}: {errors[0]:.3f} with 2 hints, {errors[1]:.3f} with 10"))
        print(found[-1][1] + (" (as it is)" if setting == usual else ""), flush=True)
    hints.REACHES, hints.LIKE_LUMA, hints.LIKE_CHROMA, hints.DAMPING = usual
    print(f"best: {min(found)[1]}")


def _measured(model: Model, photos: PictureSet, count: int) -> tuple[float, float, float]:
    """CIEDE2000, share nearer than grey, and colourfulness as a share of the originals', with so many random hints each."""
    scores = evaluate(model, [photos], hints=count)
    return scores.mean("result")["delta_e"], scores.share_better(), scores.ratio()


if __name__ == "__main__":
    main()
