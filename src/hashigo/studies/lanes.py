"""Jobs of a study in parallel: one per core, or one after another on a GPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

import torch
from threadpoolctl import threadpool_limits

from hashigo.machine import cores
from hashigo.studies.settings import Say

GoOn = Callable[[], bool]
"""Tells whether to continue."""

Job = Callable[[GoOn], None]
"""A job of a lane."""


def counted(jobs: Sequence[Job], say: Say) -> Iterator[Job]:
    """The jobs; after each, a line tells how many are done and about how much time is left."""
    start, lock, done = time.monotonic(), threading.Lock(), 0

    def run(job: Job, go_on: GoOn) -> None:
        nonlocal done
        job(go_on)
        with lock:
            done += 1
            left = (time.monotonic() - start) / done * (len(jobs) - done)
            if left:
                say(f"{done} of {len(jobs)} training runs done, about {_duration(left)} left")

    for job in jobs:
        yield partial(run, job)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


class Lanes:
    """Parallel threads: one per core, or a single one that uses a GPU."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._stop = threading.Event()

    def run(self, jobs: Iterable[Job]) -> None:
        """Runs all jobs; the first error, or Ctrl-C, stops the others at their next step and is raised."""
        with ThreadPoolExecutor(self.count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures: Sequence[Future[None]] = [pool.submit(job, self._go_on) for job in jobs]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _go_on(self) -> bool:
        return not self._stop.is_set()


@contextmanager
def lanes() -> Iterator[Lanes]:
    """Lanes for this machine. Small networks do not benefit from several cores, and with one core each, numbers do not depend on how
    many cores there are."""
    before = torch.get_num_threads()
    with threadpool_limits(1):
        try:
            yield Lanes(1 if torch.cuda.is_available() else cores())
        finally:
            torch.set_num_threads(before)
