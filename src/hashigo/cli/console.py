"""Terminal output: results on standard output; messages and progress on standard error, as a Rich bar or as plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hashigo.errors import printable
from hashigo.machine import process_rank

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Output:
    """How this command prints. first_only: whether it may run in several processes, of which only the first one prints."""

    first_only = False


OUTPUT = Output()


def say(text: str) -> None:
    """Prints a line to standard error, control characters escaped. Of several training processes, only the first one prints."""
    if not OUTPUT.first_only or process_rank() == 0:
        print(printable(text), file=sys.stderr, flush=True)


def show(text: str = "") -> None:
    """Prints a line of a result to standard output, control characters escaped."""
    print(printable(text))


class Bar(Protocol):
    """A progress bar."""

    def step(self, count: int = 1, note: str = "") -> None:
        """So many more are done."""

    def line(self, text: str) -> None:
        """A line above the bar."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Bar]:
    """A bar for `total` items called `what`: Rich on a terminal, a plain line every few seconds elsewhere."""
    if not sys.stderr.isatty():
        yield PlainBar(what, total)
        return
    with rich_bar(what, total) as bar:
        yield bar


@contextmanager
def rich_bar(what: str, total: int, done: int = 0) -> Iterator[RichBar]:
    """A bar on a terminal for `total` items called `what`, some of which are already done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=Console(stderr=True)) as bar:
        yield RichBar(bar, bar.add_task(what, total=total, completed=done, note=""))


class RichBar:
    """A Rich progress bar."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def step(self, count: int = 1, note: str = "") -> None:
        """So many more are done."""
        self._bar.update(self._task, advance=count, note=printable(note))

    def reach(self, done: int) -> None:
        """Sets how many are done."""
        self._bar.update(self._task, completed=done)

    def tell(self, what: str, note: str) -> None:
        """Sets the texts before and after the bar."""
        self._bar.update(self._task, description=what, note=printable(note))

    def line(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class PlainBar:
    """Plain lines for logs: at most one every five seconds."""

    EVERY = 5.0

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.count = what, total, 0
        self._last = time.monotonic()

    def step(self, count: int = 1, note: str = "") -> None:
        """So many more are done."""
        self.count += count
        if time.monotonic() - self._last >= self.EVERY:
            self._last = time.monotonic()
            say(f"{self.what} {self.count}/{self.total} {note}".rstrip())

    def line(self, text: str) -> None:
        """Prints a line."""
        say(text)
