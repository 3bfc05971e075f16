"""k-means of features that do not fit into memory: scikit-learn's MiniBatchKMeans over rows read in a shuffled order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from hashigo.clustering.result import Clustering, nearest
from hashigo.clustering.rows import blocks

BATCH = 4096
"""Rows per step, and at least ten per cluster."""
PASSES = 10
"""Most passes over the rows: thirty more lower the inertia by 0.2 % on MNIST, and every pass reads the whole file."""
RUN = 32
"""Consecutive rows read at once: a disk reads runs far faster than single rows."""


def minibatch(
    features: NDArray[np.generic], clusters: int, seeds: Sequence[int], *, tol: float, max_iter: int
) -> Clustering:
    """Mini-batch k-means (Sculley 2010), for all seeds on the same batches, so that the rows are read only once.

    The features are read once for their mean and variance, once per pass, and once for the labels; at most a few
    batches are in memory. The rows are shuffled again for each pass, in the same order for every seed, so that a seed
    gives the same result whatever other seeds run with it. A seed ends when the squared shifts of its centres over a
    pass sum to at most `tol` times the mean variance of a column, after `max_iter` passes, or after ten.

    Raises:
        DataError: a row with values that are not finite.
    """
    mean, variance = _moments(features)
    max_iter = min(max_iter, PASSES)
    models = [_model(clusters, seed) for seed in seeds]
    iterations = np.full(len(seeds), max_iter, np.int64)
    active = list(range(len(seeds)))
    size = max(BATCH, 10 * clusters)
    before: dict[int, NDArray[np.float32]] = {}
    for number in range(1, max_iter + 1):
        for batch in _batches(features, size, np.random.default_rng(number)):
            batch -= mean
            for seed in active:
                models[seed].partial_fit(batch)
        shifts = {seed: _shift(models[seed].cluster_centers_, before.get(seed)) for seed in active}
        ended = [seed for seed in active if shifts[seed] <= tol * variance]
        before = {seed: models[seed].cluster_centers_.copy() for seed in active}
        iterations[ended] = number
        active = [seed for seed in active if seed not in ended]
        if not active:
            break
    centres = np.stack([model.cluster_centers_ for model in models]).astype(np.float32) + mean
    labels, inertia = nearest(features, centres)
    return Clustering(labels, centres, inertia, iterations, "minibatch")


def _model(clusters: int, seed: int) -> MiniBatchKMeans:
    return MiniBatchKMeans(clusters, random_state=seed, n_init=1, compute_labels=False)


def _moments(features: NDArray[np.generic]) -> tuple[NDArray[np.float32], float]:
    """The mean of every column, (D,), and the mean of their variances."""
    total, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for _, block in blocks(features):
        total += block.sum(0, dtype=np.float64)
        squares += np.einsum("nd,nd->d", block, block, dtype=np.float64)
    mean = total / len(features)
    return mean.astype(np.float32), float((squares / len(features) - mean**2).clip(0).mean())


def _batches(features: NDArray[np.generic], size: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """All rows once, in batches of `size` (the last may be smaller, but not empty) of shuffled runs."""
    run = 1 if len(features) < 64 * size else RUN
    starts = rng.permutation(-(-len(features) // run)) * run
    for first in range(0, len(starts), step := max(1, size // run)):
        chosen = np.sort(starts[first : first + step])  # read in the order of the file
        numbers = (chosen[:, None] + np.arange(run)).ravel()
        yield np.array(features[numbers[numbers < len(features)]], dtype=np.float32, order="C")


def _shift(now: NDArray[np.float32], before: NDArray[np.float32] | None) -> float:
    return np.inf if before is None else float(np.square(now - before, dtype=np.float64).sum())
