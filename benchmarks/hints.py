"""What colour hints bring, by their number: the network alone, and with its answer made to agree with them (`hashigo.hints.spread_hints`).

    .venv/bin/python benchmarks/hints.py colorizer ../shared/data/photos/val

First how far a hint should reach, on the photos at even places, with 10 and 2 random hints each; then, on those at odd places, what came of it.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

from hashigo import hints
from hashigo.apply import Model, load
from hashigo.data import PictureSet, open_dataset
from hashigo.evaluation import evaluate

REACH, LUMA, CHROMA = (0.2, 0.3, 0.5), (0.05, 0.1, 0.2), (0.02, 0.03, 0.05)


def main() -> None:
    """Prints a row for each setting and each number of hints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--choose", type=int, default=0, help="photos at even places for the choice; 0: none, skip it")
    parser.add_argument("--limit", type=int, default=0, help="photos at odd places; 0: all")
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 2, 5, 10, 30], help="numbers of hints")
    args = parser.parse_args()
    model, photos = load(args.model), open_dataset(args.photos)
    chosen, faint = hints.ALIKE, hints.FAINT
    if args.choose:
        even = photos.subset(slice(0, None, 2)).limited(args.choose)
        for alike, share in itertools.product(itertools.product(REACH, LUMA, CHROMA), (0.03, 0.1, 0.3)):
            hints.ALIKE, hints.FAINT = alike, share
            found = "  ".join(f"{count} hints {_measured(model, even, count)[0]:.3f}" for count in (2, 10))
            print(f"reach {alike[0]:g}, luma {alike[1]:g}, chroma {alike[2]:g}, faint {share:g}: {found}", flush=True)
    odd = photos.subset(slice(1, None, 2)).limited(args.limit or None)
    hints.ALIKE, hints.FAINT = chosen, faint
    plain = _measured(model, odd, 0)
    print(f"no hints: CIEDE2000 {plain[0]:.2f}, nearer than grey {plain[1]:.0%}, {len(odd)} photos")
    for count in args.counts:
        rows = []
        for kind, hints.FAINT in (("the network alone", math.inf), ("spread", faint)):
            error, nearer, ratio = _measured(model, odd, count)
            rows.append(
                f"{kind} {error:.2f} ({error / plain[0] - 1:+.0%}), nearer {nearer:.0%}, colourfulness {ratio:.2f}"
            )
        print(f"{count} hints: {'; '.join(rows)}", flush=True)


def _measured(model: Model, photos: PictureSet, count: int) -> tuple[float, float, float]:
    scores = evaluate(model, [photos], hints=count)
    return scores.mean("result")["delta_e"], scores.share_better(), scores.ratio()


if __name__ == "__main__":
    main()
