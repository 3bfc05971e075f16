"""Randomness that depends only on (seed, epoch, index), for NumPy and torch arrays alike.

Augmentation of a picture must not depend on its batch, the device or a resumed run. So each picture in a
batch has its own key, and the numbers are a hash of key and counter: no state to save and no loop over pictures.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace, device

Array = Any  # NumPy and torch arrays have no common type
_MASK = 0xFFFFFFFF


def _hash(x: Array) -> Array:
    """A 32-bit integer hash held in int64 or a Python integer (Chris Wellons' "lowbias32": every input bit changes every output bit)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def step_seed(seed: int, step: int) -> int:
    """A seed for what a network itself draws in a training step, such as latents or dropout, so that a resumed run draws the same."""
    return int(_hash(_hash((seed * 0x9E3779B1 + 0x3C6EF372) & _MASK) ^ (step & _MASK)))


class PictureRng:
    """A source of random numbers with one independent stream for each picture of a batch.

    indices: int64 (N,), the pictures' positions in their set. Two streams of the same (seed, epoch, index) are equal,
    whatever the rest of the batch is.
    """

    def __init__(self, seed: int, epoch: int, indices: Array) -> None:
        xp = array_namespace(indices)
        # Python integers up to here: NumPy warns about overflow of scalar products, but not of arrays
        start = _hash((seed * 0x9E3779B1 + 0x7F4A7C15) & _MASK)
        self._key = _hash(_hash(start ^ (epoch & _MASK)) ^ (indices & _MASK))
        self._count = 0
        self._xp = xp

    def __len__(self) -> int:
        return int(self._key.shape[0])

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Array:
        """float32 (N, *shape), uniform in [low, high)."""
        xp, size = self._xp, math.prod(shape)
        counter = xp.arange(self._count, self._count + size, dtype=xp.int64, device=device(self._key))
        self._count += size
        # two rounds, with the key mixed in twice, so that neighbouring keys do not give shifted copies of a stream
        bits = _hash((_hash((counter * 0x9E3779B1) & _MASK)[None, :] + self._key[:, None]) & _MASK)
        bits = _hash(bits ^ self._key[:, None])
        unit = xp.astype(bits >> 8, xp.float32) * (1 / (1 << 24))
        return low + (high - low) * xp.reshape(unit, (len(self), *shape))

    def integers(self, *shape: int, high: Array) -> Array:
        """int64 (N, *shape), uniform in 0..high-1; `high` an int or an int64 array that broadcasts."""
        xp = self._xp
        return xp.minimum(
            xp.astype(
                self.uniform(*shape) * xp.astype(xp.asarray(high, device=device(self._key)), xp.float32), xp.int64
            ),
            xp.asarray(high, device=device(self._key)) - 1,
        )

    def normal(self, *shape: int) -> Array:
        """float32 (N, *shape), standard normal (Box and Muller 1958)."""
        xp = self._xp
        radius = xp.sqrt(-2.0 * xp.log(1.0 - self.uniform(*shape)))
        return radius * xp.cos((2 * math.pi) * self.uniform(*shape))
