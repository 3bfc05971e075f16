"""Mixtures of normal distributions, of the features or of their UMAP embedding: clusters of any elongated shape (scikit-learn, umap-learn)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hashigo.clustering.result import Clustering
from hashigo.clustering.rows import in_memory, matrix
from hashigo.errors import DataError, MissingExtraError

DIMENSIONS, NEIGHBOURS = 10, 20
"""UMAP's dimensions and neighbours, as in N2D (McConville et al. 2019), with which autoencoders' features of digits give clusters that match the digits."""


class Embedding(Protocol):
    """A fitted embedding."""

    def transform(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (N, D) → (N, fewer)."""


class Fitted(Protocol):
    """A fitted mixture."""

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """The most probable component of each row."""


@dataclass(frozen=True)
class MixtureClustering(Clustering):
    """The result of "mixture" or "umap-mixture". `centres` are means of the rows of a cluster, `inertia` the squared distances to them."""

    mixtures: Sequence[Fitted] = ()
    """(S,): the fitted mixtures."""
    embeddings: Sequence[Embedding | None] = ()
    """(S,): the embeddings of which they are; None: of the features themselves."""

    def predict(self, features: ArrayLike) -> NDArray[np.int32]:
        """The most probable cluster of each row of features (N, D), for each seed, (S, N).

        Raises:
            DataError: a different number of columns from the features clustered, or values that are not finite.
        """
        rows = in_memory(matrix(features))
        if rows.shape[1] != self.centres.shape[2]:
            raise DataError(
                f"expected features with {self.centres.shape[2]} columns, like those clustered, got {rows.shape[1]}"
            )
        return np.stack(
            [
                mixture.predict(rows if embedding is None else embedding.transform(rows)).astype(np.int32)
                for mixture, embedding in zip(self.mixtures, self.embeddings, strict=True)
            ]
        )


def mixture(
    features: NDArray[np.generic], clusters: int, seeds: Sequence[int], *, embed: bool, tol: float, max_iter: int
) -> MixtureClustering:
    """Fits a mixture of `clusters` normal distributions with full covariances from each seed.

    features: (N, D), finite. embed: fit to UMAP's embedding of the features in `DIMENSIONS` dimensions, made anew for each seed.

    Raises:
        MissingExtraError: `embed` and umap-learn is not installed.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    rows = in_memory(features)
    labels, mixtures, embeddings, iterations = [], [], [], []
    for seed in seeds:
        embedding = _embedding(rows, seed) if embed else None
        seen = rows if embedding is None else embedding.embedding_
        fitted = GaussianMixture(clusters, tol=max(tol, 1e-6), max_iter=max_iter, reg_covar=1e-5, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # as of k-means, the iterations tell
            labels.append(fitted.fit_predict(seen.astype(np.float64)).astype(np.int32))
        mixtures.append(fitted)
        embeddings.append(embedding)
        iterations.append(fitted.n_iter_)
    centres = np.stack([_means(rows, of_seed, clusters) for of_seed in labels])
    inertia = np.array(
        [float(np.square(rows - centre[of_seed]).sum()) for of_seed, centre in zip(labels, centres, strict=True)]
    )
    return MixtureClustering(
        np.stack(labels),
        centres,
        inertia,
        np.array(iterations),
        "umap-mixture" if embed else "mixture",
        mixtures,
        embeddings,
    )


def _means(rows: NDArray[np.float32], labels: NDArray[np.int32], clusters: int) -> NDArray[np.float32]:
    """The mean row of each cluster, (K, D); of an empty one, the mean of all."""
    means = np.tile(rows.mean(axis=0), (clusters, 1))
    for cluster in np.unique(labels):
        means[cluster] = rows[labels == cluster].mean(axis=0)
    return means.astype(np.float32)


def _embedding(rows: NDArray[np.float32], seed: int) -> Any:
    """UMAP's embedding, fitted to the rows."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a variant of its own that needs TensorFlow
            from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("clustering with UMAP", "umap", error.name or "umap") from error
    reducer = UMAP(
        n_components=min(DIMENSIONS, rows.shape[1]),
        n_neighbors=min(NEIGHBOURS, len(rows) - 1),
        min_dist=0.0,
        random_state=seed,
        n_jobs=1,
    )
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its own defaults
            return reducer.fit(rows)
    finally:
        torch.set_num_threads(threads)  # numba sets the number of OpenMP's threads, which is torch's, too
