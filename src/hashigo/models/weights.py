"""How weights are stored: as float32, float16, or 8-bit integers with a scale for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Weights = Literal["float32", "float16", "int8"]

LEAST = 1 << 15
"""Matrices and convolutions of fewer values are stored as float16 instead of int8: they save little, and lose more."""

INT8, SCALE = ".int8", ".scale"
"""Added to the name of a weight that is stored as integers, and to that of its scales."""


def check_weights(kind: str) -> None:
    """Raises RecipeError, listing the right ones, unless `kind` says how weights can be stored."""
    if kind not in get_args(Weights):
        raise RecipeError(
            f"weights: expected a way to store them, got {kind!r}; {did_you_mean(str(kind), get_args(Weights))}"
        )


def packed(weights: Mapping[str, NDArray[Any]], kind: Weights) -> dict[str, NDArray[Any]]:
    """Weights as they are stored. With "int8" a large one called X becomes X.int8, and X.scale with one value per channel;
    the other floating-point ones become float16."""
    stored: dict[str, NDArray[Any]] = {}
    for name, values in weights.items():
        if kind == "float32" or values.dtype != np.float32:
            stored[name] = values
        elif kind == "int8" and values.ndim > 1 and values.size >= LEAST:
            stored[name + INT8], stored[name + SCALE] = _integers(values)
        else:
            stored[name] = values.astype(np.float16)
    return stored


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The opposite of `packed`, for torch; float16 stays as it is."""
    weights: dict[str, Tensor] = {}
    for name, values in stored.items():
        plain = name.removesuffix(INT8)
        if plain != name and plain + SCALE in stored:
            weights[plain] = values.float() * stored[plain + SCALE].float()
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) + INT8 in stored):
            weights[name] = values
    return weights


def _integers(values: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Values as integers -127..127 and their scales, which differ along the first axis that has several values."""
    axis = next((axis for axis, length in enumerate(values.shape) if length > 1), 0)
    others = tuple(other for other in range(values.ndim) if other != axis)
    largest = np.abs(values).max(axis=others, keepdims=True).astype(np.float32)
    scale = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
    return np.round(values / scale).astype(np.int8), scale
