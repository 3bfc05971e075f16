"""Dataclasses as lines of JSON, in which plans, reports and settings are stored and travel."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hashigo.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kind = TypeVar("Kind", bound=DataclassInstance)


def line_of(item: DataclassInstance, *, short: bool = False) -> str:
    """A dataclass as one line of JSON, without its end. short: without values that are the defaults, for those of which there are millions."""
    # not `asdict`, whose deep copies take longer than all the rest of a plan's line
    pairs = ((name, getattr(item, name), usual) for name, usual in _fields(type(item)))
    return json.dumps({name: value for name, value, usual in pairs if not short or value != usual})


@cache
def _fields(kind: type[DataclassInstance]) -> list[tuple[str, object]]:
    """Names and defaults."""
    return [(field.name, field.default) for field in fields(kind)]


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
