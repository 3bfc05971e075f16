"""Enlarging a network's answer to the size of the picture; for NumPy and torch."""

from __future__ import annotations

from array_api_compat import array_namespace, device

from hashigo.color import Array


def enlarged(answer: Array, height: int, width: int) -> Array:
    """Enlarges an answer (..., C, h, w) to (..., C, height, width), bilinearly between pixel centres; unchanged if it fits.

    `image.resizing.resize` does the same for single NumPy pictures, five times as fast and in strips.
    """
    for axis, length in ((-2, height), (-1, width)):
        answer = _enlarged_along(answer, axis, length)
    return answer


def _enlarged_along(answer: Array, axis: int, length: int) -> Array:
    given = answer.shape[axis]
    if given == length:
        return answer
    xp = array_namespace(answer)
    places = (xp.arange(length, dtype=answer.dtype, device=device(answer)) + 0.5) * (given / length) - 0.5
    places = xp.clip(places, 0.0, given - 1.0)
    before = xp.astype(xp.floor(places), xp.int64)
    after = xp.clip(before + 1, None, given - 1)
    share = places - xp.astype(before, answer.dtype)
    share = share[:, None] if axis == -2 else share
    position = answer.ndim + axis
    first, second = xp.take(answer, before, axis=position), xp.take(answer, after, axis=position)
    return first + share * (second - first)


def shrunk(pictures: Array, height: int, width: int) -> Array:
    """Reduces pictures (N, C, H, W) to (N, C, height, width): the mean of the pixels, or parts of pixels, that fall on each of the result's."""
    xp = array_namespace(pictures)
    for axis, length in ((-2, height), (-1, width)):
        given = pictures.shape[axis]
        edges = xp.arange(length + 1, dtype=pictures.dtype, device=device(pictures)) * (given / length)
        before = xp.arange(given, dtype=pictures.dtype, device=device(pictures))
        # how much of each given pixel lies in each of the result's: (length, given)
        shares = xp.clip(
            xp.minimum(edges[1:, None], before + 1) - xp.maximum(edges[:-1, None], before), 0.0, None
        ) * (length / given)  # fmt: skip
        pictures = xp.matmul(shares, pictures) if axis == -2 else xp.matmul(pictures, xp.permute_dims(shares, (1, 0)))
    return pictures
