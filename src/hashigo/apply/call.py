"""The options of one call of a model."""

from __future__ import annotations

from dataclasses import dataclass

from hashigo.tasks import Task
from hashigo.tasks.hints import Hint


@dataclass(frozen=True)
class Call:
    """How one photo is treated: the task with its vividness, the short side that the network sees, and colours that are known."""

    task: Task
    size: int
    hints: tuple[Hint, ...] = ()
