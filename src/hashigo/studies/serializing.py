"""Results as JSON: dataclasses to plain values and back."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

from hashigo.errors import DataError
from hashigo.pages.words import Words
from hashigo.studies.claims import Claim

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A JSON value."""

T = TypeVar("T")


def _converter() -> Converter:
    converter = make_converter(omit_if_default=True)
    # JSON has neither NaN nor infinity: both become null, and null in place of a number becomes NaN
    converter.register_unstructure_hook(float, lambda value: float(value) if math.isfinite(value) else None)
    converter.register_structure_hook(float, lambda value, _: math.nan if value is None else float(value))
    converter.register_unstructure_hook(np.ndarray, lambda array: converter.unstructure(array.tolist()))
    converter.register_unstructure_hook(np.generic, lambda number: converter.unstructure(number.item()))
    converter.register_unstructure_hook(tuple, lambda values: [converter.unstructure(value) for value in values])
    converter.register_unstructure_hook(Words, lambda words: words._asdict())
    converter.register_structure_hook(Words, lambda value, _: Words(**value))
    renamed = override(rename="claim")
    converter.register_unstructure_hook(Claim, make_dict_unstructure_fn(Claim, converter, text=renamed))
    converter.register_structure_hook(Claim, make_dict_structure_fn(Claim, converter, text=renamed))
    return converter


_CONVERTER = _converter()


def to_json(value: object) -> Json:
    """The value for JSON: dataclasses as objects, NumPy's numbers and arrays as Python's, NaN as null.

    Fields with their default are left out, so that files of older versions equal new ones.
    """
    plain: Json = _CONVERTER.unstructure(value)
    return plain


def from_json(kind: type[T], value: object) -> T:
    """The dataclass from the output of `to_json`. Keys that `kind` does not have are ignored.

    Raises:
        DataError: a value is missing or has the wrong type.
    """
    try:
        return _CONVERTER.structure(value, kind)
    except BaseValidationError as error:
        raise DataError(f"expected {kind.__name__}, got JSON with {'; '.join(transform_error(error))}") from error


def json_object(value: object) -> dict[str, Json]:
    """`to_json` for a dataclass or a mapping: an object with a key for each field.

    Raises:
        TypeError: the value is neither.
    """
    plain = to_json(value)
    if not isinstance(plain, dict):
        raise TypeError(f"expected a dataclass or a mapping, got {type(value).__name__}")
    return plain
