"""How good generated pictures are: distances between sets of features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating]


def frechet_distance(first: Rows, second: Rows) -> float:
    """The Fréchet distance between normal distributions with the means and covariances of two sets of features, (N, D) and (M, D).

    Heusel et al. 2017 use it with the features of Inception; here they can be anyone's, so values of different classifiers cannot be compared.
    """
    means, covariances = zip(
        *((rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in (first, second)), strict=True
    )
    # the trace of the root of A·B is the sum of the roots of its eigenvalues, which are those of the symmetric √A·B·√A
    values, vectors = np.linalg.eigh(np.atleast_2d(covariances[0]))
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    both = np.sqrt(np.clip(np.linalg.eigvalsh(root @ np.atleast_2d(covariances[1]) @ root), 0, None)).sum()
    traces = sum(float(np.trace(np.atleast_2d(covariance))) for covariance in covariances)
    return float(np.square(means[0] - means[1]).sum() + traces - 2 * both)


def precision_recall(real: Rows, made: Rows, neighbours: int = 3) -> tuple[float, float]:
    """Precision and recall of generated features (M, D) against real ones (N, D) (Kynkäänniemi et al. 2019).

    Each set covers a ball around each of its points, as large as the distance to its `neighbours`-th nearest of its own. Precision is the share of
    generated points in the real set's balls, recall the share of real points in the generated set's.
    """
    reach = [np.sort(distances(rows, rows), axis=1)[:, neighbours] for rows in (real, made)]
    between = distances(made, real)
    return float((between <= reach[0]).any(axis=1).mean()), float((reach[1] >= between.T).any(axis=1).mean())


def distances(first: Rows, second: Rows) -> NDArray[np.float32]:
    """Euclidean distances between rows, (N, D) and (M, D): (N, M)."""
    squares = [np.square(rows, dtype=np.float32).sum(axis=1) for rows in (first, second)]
    between = squares[0][:, None] + squares[1] - 2 * (first.astype(np.float32) @ second.astype(np.float32).T)
    result: NDArray[np.float32] = np.sqrt(np.clip(between, 0, None))
    return result


def nearest(rows: Rows, to: Rows, at_once: int = 500) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The distance of each row (N, D) to the nearest of `to` (M, D), and its index."""
    lengths, places = [], []
    for start in range(0, len(rows), at_once):
        between = distances(rows[start : start + at_once], to)
        places.append(between.argmin(axis=1))
        lengths.append(between.min(axis=1))
    return np.concatenate(lengths), np.concatenate(places)


def entropy(probabilities: Rows) -> float:
    """The entropy of the mean of distributions (N, K), in nats."""
    mean = probabilities.mean(axis=0)
    return float(-(mean * np.log(np.clip(mean, 1e-12, None))).sum())
