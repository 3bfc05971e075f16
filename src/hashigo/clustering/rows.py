"""Features in the form that k-means needs: finite float32 rows, read in blocks if they do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashigo.errors import DataError

BLOCK_BYTES = 1 << 24
"""Of float32 rows read at a time."""


def matrix(features: ArrayLike) -> NDArray[np.generic]:
    """The features as an array (N, D) of numbers, not copied, so that a memory-mapped one stays on disk.

    Raises:
        DataError: a different number of dimensions, no rows or columns, or not numbers.
    """
    array = np.asarray(features)
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(
            f"expected features of shape (rows, columns), neither of them 0, got {array.shape}; "
            f"flatten each row to one vector: features.reshape(len(features), -1)"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"expected features that are real numbers, got {array.dtype}; convert them to float32")
    return array


def blocks(features: NDArray[np.generic], size: int = 0) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Blocks of `size` rows (0: 16 MiB) in order: their slice and a float32 copy.

    Raises:
        DataError: a row with a value that is not finite, or whose square is not in float32.
    """
    size = size or max(1, BLOCK_BYTES // (4 * features.shape[1]))
    for start in range(0, len(features), size):
        with np.errstate(over="ignore"):
            block = np.array(features[start : start + size], dtype=np.float32, order="C")
            finite = np.isfinite(np.einsum("nd,nd->n", block, block))
        if not finite.all():
            row = int(finite.argmin())
            values = block[row][~np.isfinite(block[row])]
            example = f"{values[0]}" if len(values) else f"values up to {np.abs(block[row]).max():.3g}"
            raise DataError(
                f"expected finite features, got {example} in row {start + row} (rows count from 0); "
                f"leave such rows out, or look for what went wrong when the features were made"
            )
        yield slice(start, start + len(block)), block


def in_memory(features: NDArray[np.generic]) -> NDArray[np.float32]:
    """A copy of all rows as float32, checked like `blocks`."""
    rows = np.empty(features.shape, np.float32)
    for where, block in blocks(features):
        rows[where] = block
    return rows
