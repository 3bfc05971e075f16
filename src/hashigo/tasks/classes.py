"""Chroma as classes: cells of a grid over the CbCr plane, their frequencies, and decoding answers to colours.

With squared error, a network answers with the mean of all possible colours, which is brownish grey. A network that predicts a
class for each pixel can say "red or blue, but not purple" (Zhang, Isola & Efros 2016, "Colorful Image
Colorization", there over Lab's ab plane). Everything runs on NumPy and torch arrays alike; chroma is as in `color`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from array_api_compat import array_namespace, device, to_device
from numpy.typing import NDArray

from hashigo import color
from hashigo.color import Array

STEPS = 16
"""Steps of the grid along each axis, for chroma from -0.5 to 0.5: each is about 16 of 255 levels; the steps of 10 in Lab by Zhang et al. are about 13."""

RARE = 2e-5
"""Cells with a smaller share of the training pixels are no classes."""

LEAST_CLASSES = 3
"""Smallest number of classes; with fewer, all possible ones are used: grey pictures alone teach no colours, and
answers with two classes could not be told from chroma."""

REBALANCE = 0.5
"""How much rare classes are weighted up, 0 to 1: 1 - λ of Zhang et al., with their value."""

LUMA = 0.55
"""Classes are compared as colours with this luma; each pixel's own luma was no better (`docs/decisions.md`)."""

SOFTNESS = 1.2
"""In units of CIEDE2000: a class whose error is larger by this much has 1/e of the weight in an answer. Lower values give patches."""


@dataclass(frozen=True)
class ChromaBins:
    """Classes of chroma and how common they are.

    cells: (Cb, Cr) of each class, in grid steps. frequencies: the share of the training pixels in each; they add
    up to 1. steps: those of the grid along each axis, an even number.
    """

    cells: tuple[tuple[int, int], ...]
    frequencies: tuple[float, ...]
    steps: int = STEPS

    def weights(self, rebalance: float = REBALANCE) -> NDArray[np.float32]:
        """The weight of pixels of each class, (K,): 1 / (r p + (1 - r) / K) with its frequency p, scaled to a mean
        of 1 over the training pixels (Zhang et al. 2016); all 1 for r = 0."""
        share = np.array(self.frequencies)
        weights = 1 / (rebalance * share + (1 - rebalance) / len(share))
        scaled: NDArray[np.float32] = (weights / (weights * share).sum()).astype(np.float32)
        return scaled

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def centres(self) -> NDArray[np.float32]:
        """Chroma of each class, (K, 2)."""
        return np.array(self.cells, np.float32) / np.float32(self.steps)

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """The class of each grid cell, or the nearest class: (steps + 1, steps + 1), Cb by Cr."""
        cells = np.array(self.cells, np.int64)
        places = np.arange(self.steps + 1) - self.steps // 2
        distance = (places[:, None, None] - cells[:, 0]) ** 2 + (places[None, :, None] - cells[:, 1]) ** 2
        nearest: NDArray[np.int64] = np.argmin(distance, axis=2)
        return nearest

    def shares(self, chroma: Array) -> tuple[list[Array], list[Array]]:
        """The four classes around each pixel and their shares: (..., 2, H, W) → two lists of four (..., H, W).

        The shares are bilinear: they add up to 1, and the mean of the classes' centres is the pixel's chroma if
        all four cells are classes.
        """
        xp = array_namespace(chroma)
        table = xp.asarray(self.table, device=device(chroma))
        place = xp.clip(chroma * self.steps + self.steps / 2, 0.0, 1.0 * self.steps)
        low = xp.clip(xp.floor(place), 0.0, self.steps - 1.0)
        rest = place - low
        cb, cr = (xp.astype(low[..., c, :, :], xp.int64) for c in (0, 1))
        classes, shares = [], []
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            classes.append(table[cb + down, cr + right])
            along, across = rest[..., 0, :, :], rest[..., 1, :, :]
            shares.append((along if down else 1 - along) * (across if right else 1 - across))
        return classes, shares

    @cached_property
    def shown(self) -> NDArray[np.float32]:
        """The chroma of each class in gamut at `LUMA`, the strongest up to a third weaker: (K, 2)."""
        chroma: NDArray[np.float32] = color.chroma(self._colours)[:, 0].T.astype(np.float32)
        return chroma

    @cached_property
    def errors(self) -> NDArray[np.float32]:
        """CIEDE2000 between any two classes at `LUMA`: (K, K)."""
        lab = color.lab(self._colours)[:, 0]
        between: NDArray[np.float32] = color.ciede2000(lab[:, :, None], lab[:, None, :]).astype(np.float32)
        return between

    @property
    def _colours(self) -> NDArray[np.float64]:
        """Each class at `LUMA`, in gamut: sRGB (3, 1, K)."""
        rgb: NDArray[np.float64] = color.merge(np.full((1, 1, len(self)), LUMA), self.centres.T[:, None])
        return rgb

    def unweighted(self, logits: Array, rebalance: float, share: float = 1.0) -> Array:
        """Logits (..., K, H, W) of a network trained with `weights(rebalance)`, corrected for a `share` of these weights."""
        xp = array_namespace(logits)
        added = xp.asarray(share * np.log(self.weights(rebalance)), device=device(logits), dtype=logits.dtype)
        return logits - added[:, None, None]

    def odds(self, logits: Array) -> Array:
        """The distributions that logits (..., K, H, W) mean, of the same shape."""
        return array_namespace(logits).reshape(_odds(logits), logits.shape)

    def mean(self, logits: Array, temperature: float = 1.0) -> Array:
        """The annealed mean of an answer (Zhang et al. 2016), for comparison with `decide`: logits (..., K, H, W) → (..., 2, H, W).

        At temperature 1 it is the expected chroma, muted where the network is in doubt; towards 0 the most likely class.
        """
        return _weighed(self.centres, _odds(logits / temperature), logits.shape)

    def decide(self, logits: Array, reward: float = 0.0) -> Array:
        """The colour with the best balance of probability, expected error and chroma: (..., K, H, W) → (..., 2, H, W).

        Each class has the weight p · exp((reward · chroma - error) / SOFTNESS), with its probability p and the expected CIEDE2000
        `error` of answering with it. reward: the value of chroma, in CIEDE2000 for a chroma of 1 (the distance from grey in the
        CbCr plane, 0..0.5). A certain class is the answer for any reward; of two similar classes, the stronger one gains.
        """
        xp = array_namespace(logits)
        errors, chroma = (
            xp.asarray(values, device=device(logits), dtype=logits.dtype)
            for values in (self.errors, np.hypot(*self.shown.T))
        )
        odds = _odds(logits)
        gain = (reward * chroma[:, None] - xp.matmul(errors, odds)) / SOFTNESS
        return _weighed(self.centres, odds * xp.exp(gain - xp.max(gain, axis=-2, keepdims=True)), logits.shape)


def _weighed(centres: NDArray[np.float32], odds: Array, shape: tuple[int, ...]) -> Array:
    """The mean of classes (K, 2) with weights `odds` (..., K, H·W) of any sum: (..., 2, H, W)."""
    xp = array_namespace(odds)
    places = xp.asarray(centres.T, device=device(odds), dtype=odds.dtype)
    mean = xp.matmul(places, odds) / xp.sum(odds, axis=-2, keepdims=True)
    return xp.reshape(mean, (*shape[:-3], 2, *shape[-2:]))


def _odds(logits: Array) -> Array:
    """The softmax of logits (..., K, H, W) over their classes: (..., K, H·W)."""
    xp = array_namespace(logits)
    flat = xp.reshape(logits, (*logits.shape[:-2], logits.shape[-2] * logits.shape[-1]))
    odds = xp.exp(flat - xp.max(flat, axis=-2, keepdims=True))
    return odds / xp.sum(odds, axis=-2, keepdims=True)


@cache
def every_bin(steps: int = STEPS) -> ChromaBins:
    """All cells of a grid of `steps` steps that are in gamut for some luma, equally common: the classes without training pictures."""
    span = np.arange(steps + 1) - steps // 2
    cells = np.stack(np.meshgrid(span, span, indexing="ij"))
    away = color.offsets(cells / steps)  # (3, Cb, Cr)
    inside = away.max(axis=0) - away.min(axis=0) <= 1.0 + 1e-9
    chosen = cells[:, inside].T.tolist()
    return ChromaBins(tuple((cb, cr) for cb, cr in chosen), (1 / len(chosen),) * len(chosen), steps)


def fitted_bins(pictures: Iterable[Array], steps: int = STEPS) -> ChromaBins:
    """The classes in pictures and their frequencies, smoothed over neighbouring cells.

    pictures: batches (N, 3, H, W), sRGB 0..1. steps: of the grid along each axis.
    """
    every = every_bin(steps)
    counts = np.zeros(len(every))
    for rgb in pictures:
        classes, shares = every.shares(color.chroma(to_device(rgb, "cpu")))
        for indices, share in zip(classes, shares, strict=True):
            counts += np.bincount(
                np.asarray(indices).ravel(), weights=np.asarray(share, np.float64).ravel(), minlength=len(every)
            )
    if not counts.sum():
        return every
    share = counts / counts.sum()
    common = np.flatnonzero(share >= RARE)
    if len(common) < LEAST_CLASSES:
        return every
    cells = np.array(every.cells)[common]
    near = np.exp(-2 * ((cells[:, None] - cells[None]) ** 2).sum(axis=2))  # a Gaussian of half a cell
    smooth = (near / near.sum(axis=1, keepdims=True)).T @ share[common]
    smooth /= smooth.sum()
    return ChromaBins(
        tuple((int(cb), int(cr)) for cb, cr in cells), tuple(float(f"{frequency:.4g}") for frequency in smooth), steps
    )
