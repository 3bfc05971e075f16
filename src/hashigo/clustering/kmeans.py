"""Clusters from many seeds over one set of features, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike

from hashigo.clustering.lloyd import lloyd
from hashigo.clustering.minibatch import minibatch
from hashigo.clustering.mixture import mixture
from hashigo.clustering.result import Clustering
from hashigo.clustering.rows import in_memory, matrix
from hashigo.clustering.starts import starts
from hashigo.errors import RecipeError, did_you_mean
from hashigo.machine import quarter_of_memory

Method = Literal["auto", "lloyd", "minibatch", "mixture", "umap-mixture"]


def cluster(
    features: ArrayLike,
    clusters: int,
    *,
    seeds: int | Sequence[int] = 10,
    method: Method = "auto",
    device: str = "cpu",
    tol: float = 1e-4,
    max_iter: int = 300,
    most_memory: int = 0,
) -> Clustering:
    """`clusters` clusters of features, once from each seed: by k-means, or by a mixture of normal distributions.

    "lloyd" returns what scikit-learn's `KMeans(clusters, n_init=1, random_state=seed)` returns for float32 features: the
    same initial centres (k-means++) and the same rules, and so nearly always the same labels. If sums are rounded differently,
    a row halfway between two centres may change sides. It is several times faster, because all seeds share the work.
    "minibatch" is scikit-learn's MiniBatchKMeans, for features larger than memory.
    "mixture" is scikit-learn's GaussianMixture with full covariances, for clusters that are long or of different sizes. "umap-mixture" first embeds the features in
    10 dimensions with UMAP, once per seed, which takes far longer; it needs the extra "umap".

    k-means is thread-safe; it neither uses nor changes the state of random generators.

    Args:
        features: (N, D), finite numbers, converted to float32; may be memory-mapped (`np.memmap`).
        clusters: K, 1..N.
        seeds: a count, for the seeds 0, 1, 2 and so on, or the seeds themselves, 0..2³²-1.
        method: "lloyd", "minibatch", "mixture", "umap-mixture", or "auto": lloyd, or minibatch where the features, as float32, exceed `most_memory`.
        device: where torch computes, such as "cuda"; for "lloyd" only.
        tol: a seed ends when the squared shifts of its centres sum to at most this share of a column's mean variance.
        max_iter: most iterations; of "minibatch", passes over the features, never more than ten.
        most_memory: bytes; 0 takes a quarter of the machine's memory.

    Raises:
        RecipeError: an invalid setting.
        DataError: features of another shape or not finite; the message names the first bad row. MissingExtraError: a package is missing.
    """
    array = matrix(features)
    numbers = _seeds(seeds)
    _check(len(array), clusters, method, device, tol, max_iter, most_memory)
    if method == "auto":
        method = "minibatch" if 4 * array.size > (most_memory or quarter_of_memory()) else "lloyd"
    if method in ("mixture", "umap-mixture"):
        return mixture(array, clusters, numbers, embed=method == "umap-mixture", tol=tol, max_iter=max_iter)
    if method == "minibatch":
        return minibatch(array, clusters, numbers, tol=tol, max_iter=max_iter)
    rows = in_memory(array)
    mean = rows.mean(0)
    rows -= mean
    result = lloyd(rows, starts(rows, clusters, numbers), tol=tol, max_iter=max_iter, device=device)
    return replace(result, centres=result.centres + mean)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    numbers = list(range(seeds)) if isinstance(seeds, int | np.integer) else [int(seed) for seed in seeds]
    if not numbers:
        raise RecipeError(f"expected at least one seed, got {seeds!r}; give their number, such as 10, or a list")
    if not all(0 <= seed < 2**32 for seed in numbers):
        raise RecipeError(f"expected seeds in 0..4294967295, got {seeds!r}")
    return numbers


def _check(rows: int, clusters: int, method: str, device: str, tol: float, max_iter: int, most_memory: int) -> None:
    if not 1 <= clusters <= rows:
        raise RecipeError(f"expected 1 to {rows} clusters, as there are {rows} rows of features, got {clusters}")
    if method not in get_args(Method):
        raise RecipeError(f"unknown method '{method}': {did_you_mean(method, get_args(Method))}")
    if not tol >= 0 or max_iter < 1 or most_memory < 0:
        raise RecipeError(
            f"expected tol ≥ 0, max_iter ≥ 1 and most_memory ≥ 0, got {tol}, {max_iter} and {most_memory}"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises AssertionError where it was built without CUDA
        reason = str(error).splitlines()[0]
        raise RecipeError(f"expected a device that torch can use here, got '{device}' ({reason}); try 'cpu'") from None
