"""Capabilities of some tasks. A task has a capability if it has its methods; callers never check its class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from hashigo.color import Array
from hashigo.errors import RecipeError
from hashigo.tasks.base import Task
from hashigo.tasks.hints import Hint

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class TakesHints(Protocol):
    """A task that accepts colour hints."""

    def check_hints(self, hints: Sequence[Hint], size: tuple[int, int]) -> None:
        """Whether the hints lie within a photo of `size` (H, W).

        Raises:
            RecipeError: one lies outside.
        """

    def with_hints(self, x: Array, hints: Sequence[Hint], size: tuple[int, int]) -> Array:
        """An input (in_channels, h, w) with colour hints for a photo of `size` (H, W).

        Raises:
            RecipeError: as `check_hints`.
        """

    def follow_hints(self, answer: Array, x: Array, output: Array, features: Array | None = None) -> Array:
        """An answer (out_channels, h, w) corrected to agree with the hints in the input x (in_channels, H, W); unchanged without any.

        output: the network's (C, h, w), of which the answer was made. features: what it tells of each place (F, h, w) besides, at a resolution of its own, or None."""


@runtime_checkable
class Imitates(Protocol):
    """A task whose answers are distributions, which a network can also learn from other networks."""

    @property
    def classes(self) -> Sequence[object]:
        """What the distributions are over."""

    def opinion(self, output: Array) -> Array:
        """The distributions that an output means: (N, C, h, w) → (N, C, h, w), which add up to 1 over C."""

    def imitation(self, output: Tensor, opinion: Tensor) -> Tensor:
        """The loss of an output (N, C, h, w) against distributions (N, C, h, w) that others gave: a scalar."""


@runtime_checkable
class Vivid(Protocol):
    """A task whose answers can be more or less saturated."""

    def with_vivid(self, vivid: float) -> Self:
        """The task with answers from 0, calm, to 1, vivid.

        Raises:
            RecipeError: `vivid` is not within 0..1.
        """


@runtime_checkable
class Fitted(Protocol):
    """A task with statistics of its training pictures."""

    def fitted(self, pictures: Iterable[Array]) -> Self:
        """The task with statistics of the training pictures, batches (N, 3, H, W), 0..1."""

    def fitted_as(self, other: Task) -> Self:
        """The task with the statistics of `other`, a task of the same kind.

        Raises:
            RecipeError: it already has different ones.
        """


def hint_taker(task: Task) -> TakesHints:
    """The task, as one that accepts hints.

    Raises:
        RecipeError: it does not accept hints.
    """
    if isinstance(task, TakesHints):
        return task
    raise RecipeError(
        f"the task {task.name!r} takes no colour hints; use the model 'colorizer', or one trained for colorize-bins"
    )


def vivid_task(task: Task, vivid: float) -> Task:
    """The task with answers from 0, calm, to 1, vivid.

    Raises:
        RecipeError: it has no such option, or `vivid` is not within 0..1.
    """
    made = task.with_vivid(vivid) if isinstance(task, Vivid) else None
    if isinstance(made, Task):
        return made
    raise RecipeError(
        f"the task {task.name!r} cannot be made more or less vivid; use the model 'colorizer', or one trained for colorize-bins"
    )


def fitted_task(task: Task, pictures: Iterable[Array], others: Sequence[Task] = ()) -> Task:
    """The task with its statistics: those of the tasks `others`, which must agree, or if there are none, of the training pictures.

    Raises:
        RecipeError: see `Fitted.fitted_as`.
    """
    if not isinstance(task, Fitted):
        return task
    known = task
    for other in others:
        known = known.fitted_as(other)
    made = known.fitted(pictures)
    return made if isinstance(made, Task) else task
