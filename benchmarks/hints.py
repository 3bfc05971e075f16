"""What colour hints bring, by their number: the network alone, and with its answer made to agree with them (`hashigo.tasks.spread`).

    .venv/bin/python benchmarks/hints.py colorizer ../shared/data/photos/val [--fit 60]

Photos at their own size, those at odd positions, as `hashigo evaluate` measures them. With `--fit`, only the numbers of `hashigo.tasks.spread` are
fitted: to so many photos at even positions, each with 1, 3 and 10 random hints.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashigo import color
from hashigo.apply import Model, load
from hashigo.data import PictureSet, open_dataset
from hashigo.evaluation import evaluate, hints_from_original
from hashigo.image import Photo, photo_of
from hashigo.randomness import PictureRng
from hashigo.tasks import colorizing, spread
from hashigo.tasks.colorizing import ColorizeBins
from hashigo.tasks.hints import Hint
from hashigo.training.step import reduced

COUNTS = (1, 3, 10)
"""Numbers of hints for which the numbers are fitted."""

PLACES = 200
"""Positions of each answer that are looked at."""

WIDEST = {True: (0.5, 9.0, 9.0, 9.0, 0.6), False: (0.3, 0.12, 0.1, 9.0, 9.0)}
"""With and without features, limits of the widths for objects. Without limits, the error would be smaller still (docs/decisions.md): most random
hints say something about the whole picture. But a person who makes a dress blue wants no lilac faces."""

Floats = NDArray[np.float32]


def main() -> None:
    """Prints a row for each setting and each number of hints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--fit", type=int, default=0, help="photos at even positions for the fit; 0: none")
    parser.add_argument("--limit", type=int, default=0, help="photos at odd positions; 0: all")
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 3, 10], help="numbers of hints")
    args = parser.parse_args()
    model, photos = load(args.model), open_dataset(args.photos)
    if args.fit:
        _fit(model, photos.subset(slice(0, None, 2)).limited(args.fit))
        return
    odd = photos.subset(slice(1, None, 2)).limited(args.limit or None)
    plain, nearer, ratio = _measured(model, odd, 0)
    print(
        f"no hints: CIEDE2000 {plain:.2f}, nearer than grey {nearer:.0%}, colourfulness {ratio:.2f}, {len(odd)} photos",
        flush=True,
    )
    for count, alone in itertools.product(args.counts, (True, False)):
        colorizing.spread_hints = _unchanged if alone else spread.spread_hints
        error, nearer, ratio = _measured(model, odd, count)
        print(
            f"{count} hints, {'the network alone' if alone else 'spread'}: CIEDE2000 {error:.2f} ({error / plain - 1:+.0%}), "
            f"nearer than grey {nearer:.0%}, colourfulness {ratio:.2f}", flush=True,
        )  # fmt: skip
    for count in args.counts:
        print(f"{count} hints: spreading takes {_milliseconds(model, odd, count):.1f} ms", flush=True)


def _unchanged(chroma: Floats, x: Floats, odds: Floats | None = None, features: Floats | None = None) -> Floats:
    return chroma


def _milliseconds(model: Model, photos: PictureSet, count: int) -> float:
    """Of `follow_hints` alone, for the first photo: the median of 30."""
    photo = photo_of(photos.picture(0))
    known = hints_from_original(
        photo.rgb(), count, model.network_size(photo.size), PictureRng(0, 0, np.zeros(1, np.int64))
    )
    task, call = _task(model), model.call(known, whole=True)
    (x,) = model.prepare(photo, call).inputs
    output = model.outputs(x[None], [call])[0]
    answer = task.answer(output.values)
    taken = []
    for _ in range(30):
        start = time.perf_counter()
        task.follow_hints(answer, x, output.values, output.features)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def _task(model: Model) -> ColorizeBins:
    if not isinstance(model.task, ColorizeBins):
        raise SystemExit(f"expected a model of the task colorize-bins, got {model.task.name}")
    return model.task


@dataclass
class _Case:
    """An answer with hints: squared distances between places with hints and from others to them, errors, and shares that hints cover."""

    there: Tensor
    others: Tensor
    errors: Tensor
    share: Tensor
    missed: Tensor
    """The errors at the other places, (PLACES, 2)."""
    limit: float


def _cases(model: Model, photos: PictureSet, seed: int = 0) -> list[_Case]:
    task, rng, found = _task(model), np.random.default_rng(seed), []
    for number in range(len(photos)):
        photo = photo_of(photos.picture(number))
        seen = model.network_size(photo.size)
        hints = hints_from_original(photo.rgb(), max(COUNTS), seen, PictureRng(0, 0, np.array([number])))
        found += [_case(model, task, photo, hints[:count], rng) for count in COUNTS]
    return found


def _case(model: Model, task: ColorizeBins, photo: Photo, hints: list[Hint], rng: np.random.Generator) -> _Case:
    """What `spread.spread_hints` works with, as tensors."""
    call = model.call(hints, whole=True)
    (x,) = model.prepare(photo, call).inputs
    output = model.outputs(x[None], [call])[0]
    answer = task.answer(output.values)
    height, width = answer.shape[1:]
    side = max(1, round(x.shape[1] / height))
    y, *painted, share = reduced(torch.from_numpy(x)[None], side)[0, :, :height, :width].numpy()
    features = (
        output.features if output.features is None else spread.directions(output.features, x.shape[1:], (height, width))
    )
    everywhere = spread.described(answer, y, task.opinion(output.values), features)
    at = np.flatnonzero(share)
    some = rng.choice(y.size, min(PLACES, y.size), replace=False)
    original = color.chroma(photo.resized(height, width)).reshape(2, -1).T
    flat = answer.reshape(2, -1).T
    shares = share.ravel()[at]
    errors = np.stack(painted).reshape(2, -1).T[at] / shares[:, None] - flat[at]
    there = [values[at] for values in everywhere]
    values = (
        spread.distances(there, there), spread.distances([values[some] for values in everywhere], there), errors,
        shares, (original - flat)[some],
    )  # fmt: skip
    return _Case(
        *(torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in values), spread.limit(len(hints))
    )


def _fit(model: Model, photos: PictureSet, steps: int = 100, rate: float = 0.06) -> None:
    """Prints kernels with the smallest mean distance from the original's chroma, found by gradient descent from rough ones."""
    cases = _cases(model, photos)
    torch.set_num_threads(1)  # the tensors are small
    with_features = bool(model.folder.contract.features)
    widest = torch.log(torch.tensor(WIDEST[with_features]))
    first = {
        "cast": ((1.0, 1.0), ((20.0, 0.3, 0.15, 9.0, 3.0), (1.0, 0.2, 0.15, 4.0, 1.0))),
        "object": ((1.0, 0.4), ((0.5, 0.12, 0.1, 2.0, 0.6), (0.1, 0.1, 0.1, 2.0, 0.6))),
    }
    logs = {name: [torch.log(torch.tensor(values)).requires_grad_() for values in pair] for name, pair in first.items()}
    flat = [value for values in logs.values() for value in values]
    optimizer = torch.optim.Adam(flat, lr=rate)

    def kernels() -> spread.Kernels:
        return spread.Kernels(*(spread.Kernel(*(value.exp() for value in logs[name])) for name in ("cast", "object")))

    for step in range(steps + 1):
        losses = [_missed(kernels(), case) for case in cases]
        if step % 20 == 0:
            means = ", ".join(
                f"{float(torch.stack(losses[place :: len(COUNTS)]).mean()):.5f}" for place in range(len(COUNTS))
            )
            print(f"step {step}: missed by {means} with {', '.join(map(str, COUNTS))} hints", flush=True)
        if step == steps:
            break
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            logs["object"][1].copy_(torch.minimum(logs["object"][1], widest))
    for name, kernel in kernels()._asdict().items():
        print(name, *([[float(f"{v:.3g}") for v in row] for row in np.atleast_2d(value.detach())] for value in kernel))


def _missed(kernels: spread.Kernels, case: _Case) -> Tensor:
    """The mean distance from the original's chroma after the correction."""
    weights = spread.solved(kernels, case.errors, case.there, case.share, case.limit)
    left: Tensor = spread.corrections(kernels, weights, case.others) - case.missed
    return (left.square().sum(dim=1) + 1e-5).sqrt().mean()


def _measured(model: Model, photos: PictureSet, count: int) -> tuple[float, float, float]:
    """CIEDE2000, share nearer than grey, and colourfulness as a share of the originals', with so many random hints each."""
    scores = evaluate(model, [photos], hints=count)
    return scores.mean("result")["delta_e"], scores.share_better(), scores.ratio()


if __name__ == "__main__":
    main()
