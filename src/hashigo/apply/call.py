"""The options of one call of a model."""

from __future__ import annotations

from dataclasses import dataclass

from hashigo.tasks import Task
from hashigo.tasks.hints import Hint


@dataclass(frozen=True)
class Call:
    """Options for one photo: the task with its vividness, the short side that the network sees, colour hints, and whether all of the photo
    is seen as one picture even if it looks like a page or a sheet of paper."""

    task: Task
    size: int
    hints: tuple[Hint, ...] = ()
    whole: bool = False
