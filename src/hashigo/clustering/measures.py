"""How well clusters agree with labels: purity and similar measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from hashigo.errors import DataError


def contingency(labels: ArrayLike, clusters: ArrayLike) -> NDArray[np.int64]:
    """The number of rows of each class in each cluster, (classes, clusters), for those that occur, in ascending order.

    Args:
        labels: (N,), the class of each row, any integers but -1.
        clusters: (N,), the cluster of each row, any integers.

    Raises:
        DataError: other shapes, no rows, other than integers, or a label of -1, which stands for "unknown".
    """
    classes, groups = known(labels), _integers(clusters, "clusters")
    if len(classes) != len(groups) or not len(classes):
        raise DataError(
            f"expected a label and a cluster number for every row, and at least one row, got {len(classes)} labels and "
            f"{len(groups)} numbers; "
            f"give the cluster of every labelled row, for one seed"
        )
    table: NDArray[np.int64] = contingency_matrix(classes, groups).astype(np.int64)
    return table


def known(labels: ArrayLike) -> NDArray[np.integer]:
    """Labels as an array of integers (N,), none of them -1, which stands for "unknown".

    Raises:
        DataError: another shape, other than integers, or a label of -1.
    """
    classes = _integers(labels, "labels")
    unknown = np.flatnonzero(classes == -1)
    if len(unknown):
        raise DataError(
            f"expected a label for every row, got -1 (unknown) in {len(unknown)} of {len(classes)}, the first in row "
            f"{unknown[0]}; leave these rows out"
        )
    return classes


def _integers(values: ArrayLike, name: str) -> NDArray[np.integer]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"expected {name} of shape (rows,), integers, got {array.shape}, {array.dtype}; "
            f"number the classes, and give one row's number each"
        )
    return array


def purity(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Share of rows that belong to the commonest class of their cluster, 0..1.

    That is the mean of the clusters' purities weighted by their sizes (Zhao & Karypis 2001). It is never below the
    share of the commonest class, and grows with the number of clusters.

    Raises:
        DataError: see `contingency`.
    """
    return _purity(contingency(labels, clusters))


def accuracy(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Share of rows whose cluster is matched with their class, 0..1; each class gets at most one cluster.

    The clusters are matched to classes so that this share is largest (Kuhn 1955, "The Hungarian method").

    Raises:
        DataError: see `contingency`.
    """
    return _accuracy(contingency(labels, clusters))


def matched(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of a contingency table's columns in which clusters match classes, (clusters,).

    The cluster matched with the first class comes first, and so on; unmatched clusters come last, in their
    own order. So `table[:, matched(table)]` has the matches on its diagonal if there is a cluster for every class.
    """
    _, columns = linear_sum_assignment(table, maximize=True)
    rest = np.setdiff1d(np.arange(table.shape[1]), columns)
    return np.concatenate([columns, rest]).astype(np.int64)


def scores(labels: ArrayLike, clusters: ArrayLike) -> dict[str, float]:
    """All measures by their names: "purity", "accuracy", "nmi" and "ari"; 1 is perfect.

    "nmi" is mutual information divided by the mean of both entropies, 0..1; "ari" is the adjusted Rand index, about 0 for
    clusters unrelated to the classes.

    Raises:
        DataError: see `contingency`.
    """
    table = contingency(labels, clusters)
    classes, groups = np.asarray(labels), np.asarray(clusters)
    return {
        "purity": _purity(table),
        "accuracy": _accuracy(table),
        "nmi": float(normalized_mutual_info_score(classes, groups, average_method="arithmetic")),
        "ari": float(adjusted_rand_score(classes, groups)),
    }


def _purity(table: NDArray[np.int64]) -> float:
    return float(table.max(0).sum() / table.sum())


def _accuracy(table: NDArray[np.int64]) -> float:
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / table.sum())
