"""The options of one call of a model, and what its network then returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashigo.tasks import Task
from hashigo.tasks.hints import Hint

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    """Options for one photo: the task with its vividness, the short side that the network sees, colour hints, and whether all of the photo
    is seen as one picture even if it looks like a page or a sheet of paper."""

    task: Task
    size: int
    hints: tuple[Hint, ...] = ()
    whole: bool = False


class Output(NamedTuple):
    """What a network makes of one input."""

    values: Floats
    """(C', h, w), which the task turns into its answer."""
    features: Floats | None = None
    """(F, h, w) at a resolution of their own, by which places can be compared; None if they were not asked for, or there are none."""
