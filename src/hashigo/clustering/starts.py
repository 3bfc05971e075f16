"""Initial centres: scikit-learn's k-means++, for many seeds at once, so that all seeds share each read of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import euclidean_distances
from sklearn.utils import gen_batches

MOST_NUMBERS = 1 << 26
"""Distances held at a time: 256 MiB."""


def starts(rows: NDArray[np.float32], clusters: int, seeds: Sequence[int]) -> NDArray[np.float32]:
    """The initial centres of every seed, (S, K, D), as `sklearn.cluster.kmeans_plusplus(rows, clusters, random_state=seed)` chooses them.

    Greedy k-means++ (Arthur & Vassilvitskii 2007): the first centre is any row; each next one is the best of a few
    candidates, drawn with probabilities proportional to the squared distance to the nearest centre so far. scikit-learn spends
    nearly all its time converting all rows to float64 for each seed and centre; here all seeds share this work. The
    order of sums and draws is scikit-learn's, so that the choices are the same (the tests compare them).

    Args:
        rows: (N, D), of mean zero.
        clusters: K.
        seeds: S numbers.
    """
    trials = 2 + int(np.log(clusters))
    together = max(1, MOST_NUMBERS // (trials * len(rows)))
    parts = [_in_step(rows, clusters, seeds[part], trials) for part in gen_batches(len(seeds), together)]
    return rows[np.concatenate(parts)]


def _in_step(rows: NDArray[np.float32], clusters: int, seeds: Sequence[int], trials: int) -> NDArray[np.int64]:
    """The numbers of the rows that become centres, (S, K)."""
    randoms = [np.random.RandomState(seed) for seed in seeds]
    ones = np.ones(len(rows), np.float32)
    chosen = np.empty((len(seeds), clusters), np.int64)
    chosen[:, 0] = [random.choice(len(rows), p=ones / ones.sum()) for random in randoms]
    nearest = euclidean_distances(rows[chosen[:, 0]], rows, squared=True)
    potentials = [row[None] @ ones for row in nearest]
    for k in range(1, clusters):
        candidates = np.stack(
            [
                np.searchsorted(np.cumsum(row), random.uniform(size=trials) * potential)
                for row, random, potential in zip(nearest, randoms, potentials, strict=True)
            ]
        ).clip(max=len(rows) - 1)  # rounding of the sum can lead past the end
        distances = euclidean_distances(rows[candidates.ravel()], rows, squared=True)
        for s, now in enumerate(distances.reshape(len(seeds), trials, -1)):
            np.minimum(nearest[s], now, out=now)
            sums = now @ ones[:, None]
            best = sums.argmin()
            potentials[s], nearest[s], chosen[s, k] = sums[best], now[best], candidates[s, best]
    return chosen
