"""Dataclasses as lines of JSON, in which plans, reports and settings are stored and travel."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from hashigo.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kind = TypeVar("Kind", bound=DataclassInstance)


def line_of(item: DataclassInstance, *, short: bool = False) -> str:
    """A dataclass as one line of JSON, without its end. short: without values that are the defaults, for those of which there are millions."""
    values = asdict(item)
    if short:
        usual = {field.name: field.default for field in fields(item)}
        values = {name: value for name, value in values.items() if value != usual[name]}
    return json.dumps(values)


def parsed(kind: type[Kind], line: str | bytes, remedy: str) -> Kind:
    """A dataclass from a line of JSON; lists become tuples.

    Raises:
        DataError: the line is none of this kind; the message ends with the remedy.
    """
    try:
        return made(kind, json.loads(line))
    except (TypeError, ValueError) as error:
        raise DataError(f"expected a line with {kind.__name__}, got {line[:100]!r}; {remedy}") from error


def made(kind: type[Kind], values: dict[str, Any]) -> Kind:
    """A dataclass from plain values; lists become tuples. Raises TypeError for wrong names."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
