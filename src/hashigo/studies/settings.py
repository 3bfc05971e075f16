"""What the settings of all studies have in common. Nothing heavy is imported here: the help of a command passes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field
from typing import ClassVar, Protocol

Say = Callable[[str], None]
"""What a study calls with a line for each thing that is done."""


class Settings(Protocol):
    """A study's settings: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def preset(self) -> str:
        """Name of the preset that they started from."""
