"""From a few colour hints to all places that look alike: a Gaussian process (Rasmussen & Williams 2006) of an answer's errors.

What is wrong with an answer at a hint is known; how much of it also applies elsewhere depends on how alike two places are. Everything
here except `spread_hints` works with NumPy and torch, so that `benchmarks/hints.py` can fit the numbers with gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from hashigo.color import Array
from hashigo.tasks.hints import RADIUS

Floats = NDArray[np.float32]

LOOKED_AT = ("position", "luma", "chroma", "classes", "features")
"""By what two places are compared; see `described`."""


class Kernel(NamedTuple):
    """How strongly the errors at two places are related: a sum of Gaussians of the distances between their descriptions."""

    weights: tuple[float, ...]
    """Of each Gaussian."""
    widths: tuple[tuple[float, ...], ...]
    """Of each Gaussian, its standard deviation in the distance by each of `LOOKED_AT`."""


class Kernels(NamedTuple):
    """Small errors are often those of the whole picture, such as a warm tone; large ones belong to an object."""

    cast: Kernel
    """Of the part of each error up to a limit, see `limit`."""
    object: Kernel
    """Of what is beyond."""


WITH_FEATURES = Kernels(
    Kernel((2.27, 0.441), ((7.19, 0.574, 0.151, 20.4, 9.17), (8.93, 0.182, 0.0781, 0.694, 0.931))),
    Kernel((3.23, 0.124), ((0.5, 0.294, 0.154, 0.6, 0.6), (0.5, 0.0493, 0.343, 3.39, 0.6))),
)
"""For networks that tell features of places. Fitted by `benchmarks/hints.py colorizer --fit 60`, when it still fitted `NOISE`, too."""

WITHOUT_FEATURES = Kernels(
    Kernel((7.27, 0.138), ((20.4, 0.58, 0.333, 3.37, 3.0), (0.203, 0.312, 0.534, 0.252, 1.0))),
    Kernel((2.45, 0.163), ((0.3, 0.0958, 0.1, 9.0, 0.6), (0.0325, 0.0396, 0.1, 0.307, 0.6))),
)
"""For other networks. Fitted by `benchmarks/hints.py fast --fit 60`, in the same way."""

NOISE = 1e-3
"""How much a hint's colour may be missed: a variance, as a share of the sum of a kernel's weights. With much less, float32 is not exact enough."""

MOST_CAST = 0.05
"""The limit between the two parts, in chroma, for many hints."""

FEW = 2.0
"""With so many hints, the limit is half of that: a single colour says little about the whole picture."""

MOST_PLACES = 1024
"""With more places with hints than this, neighbouring ones are taken together."""

AT_ONCE = 1 << 16
"""Number of weights per step: small enough for the processor's cache."""


def spread_hints(chroma: Floats, x: Floats, odds: Floats | None = None, features: Floats | None = None) -> Floats:
    """An answer's chroma (2, h, w), corrected to agree with the hints that `set_hints` drew into the input x (4, H, W): (2, h, w).

    The answer's error at a hint is subtracted there, and elsewhere by as much as is expected of a place that looks like this: the
    mean of a Gaussian process, given the errors at the hints. The correction is nowhere stronger than the strongest at a hint. Without hints
    the answer is unchanged. One answer, NumPy only.

    Args:
        chroma: the answer.
        x: the input with hints.
        odds: the network's distributions over the classes, (K, h, w); None: not compared.
        features: the network's features of places, (F, h', w') at a resolution of their own, see `Contract.features`; None: not compared.
    """
    if not x[3].any():
        return chroma
    height, width = chroma.shape[1:]
    reduced = _reduced(x, height, width)
    everywhere = described(
        chroma, reduced[0], odds, None if features is None else directions(features, x.shape[1:], (height, width))
    )
    groups, share = _places(reduced[3])
    there = [_means(values, groups, share) for values in everywhere]
    known = _means(np.ascontiguousarray(reduced[1:].reshape(3, -1).T), groups, np.ones_like(share))
    painted = known[:, :2] / known[:, 2:]
    made = chroma.reshape(2, -1).T.astype(np.float32)
    errors = painted - _means(made, groups, share)
    hinted = x[3].sum() / math.prod(min(2 * RADIUS + 1, side) for side in x.shape[1:])
    kernels = WITHOUT_FEATURES if features is None else WITH_FEATURES
    weights = solved(kernels, errors, distances(there, there), known[:, 2], limit(float(hinted)))
    strongest = np.hypot(*errors.T).max()
    step = max(1, AT_ONCE // len(errors))
    for first in range(0, len(made), step):
        band = slice(first, first + step)
        change = corrections(kernels, weights, distances([values[band] for values in everywhere], there))
        strength = np.hypot(*change.T)
        made[band] += change * np.minimum(1, strongest / np.maximum(strength, 1e-12))[:, None]
    return np.ascontiguousarray(made.T).reshape(2, height, width)


def described(chroma: Floats, y: Floats, odds: Floats | None, features: Floats | None) -> list[Floats]:
    """What is compared of each place, an (h·w, values) for each of `LOOKED_AT`; values whose differences are 0 where something is not known.

    Position in units of the short side; luma y (h, w); chroma (2, h, w); square roots of the distributions over classes (K, h, w), at most √2
    apart (Hellinger 1909); and features of places (h·w, F), see `directions`.
    """
    height, width = y.shape
    rows, columns = np.indices((height, width), np.float32).reshape(2, -1) / min(height, width)
    nothing = np.zeros((height * width, 1), np.float32)
    found = [np.stack([rows, columns], axis=1), y.reshape(-1, 1), chroma.reshape(2, -1).T]
    found.append(nothing if odds is None else np.sqrt(odds.reshape(len(odds), -1).T))
    found.append(nothing if features is None else features)
    return [np.ascontiguousarray(values, np.float32) for values in found]


def distances(a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
    """Squared distances between the descriptions of A and B places by each of `LOOKED_AT`: (5, A, B)."""
    made = np.empty((len(a), len(a[0]), len(b[0])), np.float32)
    for between, one, other in zip(made, a, b, strict=True):
        np.matmul(one, -2 * other.T, out=between)
        between += _squares(one)[:, None]
        between += _squares(other)
    return np.maximum(made, 0, out=made)


def limit(hints: float) -> float:
    """Up to which chroma an error is taken for one of the whole picture, with so many hints."""
    return MOST_CAST * hints / (hints + FEW)


def related(kernel: Kernel, apart: Array) -> Array:
    """A kernel of squared distances (5, A, B): (A, B)."""
    xp = array_namespace(apart)
    weights, widths = (xp.asarray(values, dtype=apart.dtype) for values in kernel)
    terms = xp.exp(xp.tensordot(-0.5 / widths**2, apart, axes=1))
    return xp.tensordot(weights, terms, axes=1)


def solved(kernels: Kernels, errors: Array, apart: Array, share: Array, most: float) -> tuple[Array, Array]:
    """For each kernel, the weights (P, 2) of places with hints: of their errors (P, 2), squared distances (5, P, P), and the shares (P,)
    of each place that hints cover. most: see `limit`."""
    xp = array_namespace(errors)
    size = xp.sqrt(xp.sum(errors**2, axis=1, keepdims=True) + 1e-12)
    cast = errors * xp.clip(most / size, None, 1.0)
    found = []
    for kernel, part in ((kernels.cast, cast), (kernels.object, errors - cast)):
        covariance = xp.astype(related(kernel, apart), xp.float64)  # nearly singular if hints are close
        noise = NOISE * sum(kernel.weights) / xp.astype(share, xp.float64)
        diagonal = xp.eye(len(errors), dtype=xp.float64) * noise
        found.append(xp.astype(xp.linalg.solve(covariance + diagonal, xp.astype(part, xp.float64)), errors.dtype))
    return found[0], found[1]


def corrections(kernels: Kernels, weights: tuple[Array, Array], apart: Array) -> Array:
    """The expected errors of places: of the weights that `solved` found and squared distances (5, A, P), (A, 2)."""
    cast, objects = (related(kernel, apart) @ part for kernel, part in zip(kernels, weights, strict=True))
    return cast + objects


def _reduced(x: Floats, height: int, width: int) -> Floats:
    """Means of the squares of (C, H, W) for each position of an answer (height, width); the edge is repeated as in networks."""
    side = max(-(-x.shape[1] // height), -(-x.shape[2] // width))
    x = np.pad(x, ((0, 0), (0, height * side - x.shape[1]), (0, width * side - x.shape[2])), mode="edge")
    means: Floats = x.reshape(len(x), height, side, width, side).mean(axis=(2, 4))
    return means


def directions(features: Floats, seen: Sequence[int], size: tuple[int, int]) -> Floats:
    """Features (F, h', w') of an input of the height and width `seen`, at each place of its answer of the `size` (h, w), less their mean and
    scaled to a length of 1: (h·w, F). Without the mean, even different objects are similar.

    Each of the features is of a square of the input whose side is a power of 2; the last ones may reach beyond it.
    """
    (height, width), places = size, features.shape[1:]
    side = 2 ** math.ceil(math.log2(max(length / count for length, count in zip(seen, places, strict=True))))
    side /= max(-(-seen[0] // height), -(-seen[1] // width))

    def between(length: int, count: int) -> Floats:
        """Linear interpolation as a matrix (length, count)."""
        place = np.clip((np.arange(length) + 0.5) / side - 0.5, 0, count - 1)
        low = np.minimum(place.astype(int), max(count - 2, 0))
        made = np.zeros((length, count), np.float32)
        made[np.arange(length), low] = 1 - (place - low)
        made[np.arange(length), np.minimum(low + 1, count - 1)] += place - low
        return made

    rows, columns = between(height, places[0]), between(width, places[1])
    tokens = np.ascontiguousarray(features.transpose(1, 2, 0))
    # the mean over the answer's places, taken away while there are few values
    tokens -= np.tensordot(rows.mean(axis=0), np.tensordot(columns.mean(axis=0), tokens, (0, 1)), 1)
    across = np.matmul(columns, tokens).reshape(places[0], -1)
    made: Floats = (rows @ across).reshape(height * width, -1)
    made /= np.maximum(np.sqrt(_squares(made)), 1e-6)[:, None]
    return made


def _squares(rows: Floats) -> Floats:
    """The squared length of each row, without a copy of them all."""
    lengths: Floats = np.einsum("nf,nf->n", rows, rows)
    return lengths


def _places(share: Floats) -> tuple[list[NDArray[np.intp]], Floats]:
    """Positions with hints, in groups of neighbours if there are more than `MOST_PLACES`, and the flat shares that hints cover."""
    at, side = np.flatnonzero(share), 1
    rows, columns = np.divmod(at, share.shape[1])
    group = np.arange(len(at))
    while len(np.unique(group)) > MOST_PLACES:
        side *= 2
        group = rows // side * share.shape[1] + columns // side
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.split(at[order], starts[1:]), share.ravel()


def _means(values: Floats, groups: list[NDArray[np.intp]], share: Floats) -> Floats:
    """Means of values (h·w, F) over groups of positions, weighted by shares (h·w,): (groups, F)."""
    if all(len(group) == 1 for group in groups):
        return values[np.concatenate(groups)]
    means = [np.average(values[group], axis=0, weights=share[group]) for group in groups]
    return np.stack(means).astype(np.float32)
