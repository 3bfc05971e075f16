"""The result of a clustering: labels, centres and inertia for every seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hashigo.clustering.rows import blocks, matrix
from hashigo.errors import DataError


@dataclass(frozen=True)
class Clustering:
    """The result of clustering with K clusters for N rows of D numbers, from S seeds."""

    labels: NDArray[np.int32]
    """(S, N): the cluster of each row, 0..K-1."""
    centres: NDArray[np.float32]
    """(S, K, D)."""
    inertia: NDArray[np.float64]
    """(S,): the sum of the rows' squared distances to their centres."""
    iterations: NDArray[np.int64]
    """(S,): Lloyd's iterations; of "minibatch", passes over all rows."""
    method: str
    """"lloyd", "minibatch", "mixture" or "umap-mixture"."""

    def predict(self, features: ArrayLike) -> NDArray[np.int32]:
        """The nearest centre of each row of features (N, D), for each seed, (S, N).

        Raises:
            DataError: a different number of columns from the centres, or values that are not finite.
        """
        rows = matrix(features)
        if rows.shape[1] != self.centres.shape[2]:
            raise DataError(
                f"expected features with {self.centres.shape[2]} columns, like those clustered, got {rows.shape[1]}"
            )
        return nearest(rows, self.centres)[0]


def nearest(
    features: NDArray[np.generic], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest of the centres (S, K, D) to each row (N, D), read in blocks: labels (S, N), and inertia (S,).

    Raises:
        DataError: values that are not finite.
    """
    labels = np.empty((len(centres), len(features)), np.int32)
    inertia = np.zeros(len(centres))
    # distances are more precise when rows and centres are around zero
    middle = centres.mean((0, 1))
    moved = torch.from_numpy(centres - middle)
    squares = moved.square().sum(2)
    with torch.inference_mode():
        for where, block in blocks(features, max(1, (1 << 22) // max(squares.numel(), centres.shape[2]))):
            rows = torch.from_numpy(np.subtract(block, middle, out=block))
            products = torch.addmm(squares.view(-1, 1), moved.flatten(0, 1), rows.T, alpha=-2)
            own = products.view(*squares.shape, -1).argmin(1)
            labels[:, where] = own.numpy()
            for seed, chosen in enumerate(own):
                inertia[seed] += float((rows - moved[seed][chosen]).square_().sum(dtype=torch.float64))
    return labels, inertia
