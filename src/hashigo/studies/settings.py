"""Common parts of all studies' settings. Nothing heavy is imported here, because the command's help needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field
from typing import ClassVar, Protocol

Say = Callable[[str], None]
"""A function that a study calls with a line for each step."""


class Settings(Protocol):
    """A study's settings: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def preset(self) -> str:
        """Name of the preset that provided the defaults."""
