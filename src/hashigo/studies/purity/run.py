"""The study `purity`: do k-means clusters of a U-Net's latents agree with the pictures' labels, with and without skips?

The article trained four small U-Nets on MNIST (with or without skip connections, with or without a 16-unit
bottleneck), clustered the outputs of their tanh layer with k-means, and averaged each cluster's share of its most common
label. Here each condition can be trained with several seeds, which gives intervals.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from hashigo.machine import cores
from hashigo.studies.folder import StudyFolder, alone
from hashigo.studies.purity.data import LabelledPictures, load_pictures
from hashigo.studies.purity.network import measure_baselines, train_and_measure
from hashigo.studies.purity.report import write_report
from hashigo.studies.purity.results import TrainingRun
from hashigo.studies.purity.settings import PuritySettings
from hashigo.studies.purity.summary import summarize
from hashigo.studies.settings import Say


@alone
def run_purity(settings: PuritySettings, folder: str | Path, say: Say = lambda _: None) -> Path:
    """Runs the study, or continues it where it stopped; returns the path of `report.html`.

    say: called with a line for each step.

    Raises:
        RecipeError: invalid settings, or the folder contains another study.
        DataError: the pictures are missing, differ in size, have no labels, or have changed since the study was
            started. TrainingError: a network's loss is not finite.
    """
    pictures = load_pictures(settings)
    if settings.epochs == 0:
        steps = max(1, len(pictures.train) // settings.batch_size)
        settings = replace(settings, epochs=min(100, max(10, math.ceil(1000 / steps))))
    may_grow = ("seeds", "controls", "data_root", "root")  # the last is the former name of data_root
    study = StudyFolder(folder, "purity", settings, may_grow, pictures.about, PuritySettings())
    if pictures.left_out:
        reasons = "unreadable, without a label, too small, or of a class missing from training"
        say(f"{pictures.left_out:,} pictures are left out: {reasons}")
    say(
        f"{len(pictures.train):,} training and {len(pictures.test):,} test pictures, {pictures.classes} labels; "
        f"{len(settings.conditions())} conditions × {settings.seeds} training runs × {settings.epochs} epochs"
    )
    with lanes() as together:
        jobs = list(_jobs(settings, pictures, study, say))
        together.run([*jobs[:1], *_counted(jobs[1:], say)])  # the first job measures the baselines, which is quick
    results = summarize(settings, pictures, study)
    facts = study.write_results(results)
    return write_report(settings, pictures, study, results, facts)


def _jobs(settings: PuritySettings, pictures: LabelledPictures, study: StudyFolder, say: Say) -> Iterator[Job]:
    yield partial(measure_baselines, settings, pictures, study, say)
    for name, condition in settings.conditions().items():
        seeds = range(settings.seed, settings.seed + settings.seeds)
        missing = [seed for seed in seeds if study.finished(f"{name}-{seed}", TrainingRun) is None]
        recipe = settings.recipe(condition, pictures.train)
        # a GPU trains all seeds of a condition as one batched network; on CPUs a seed per core is fastest
        groups = [missing] if torch.cuda.is_available() else [[seed] for seed in missing]
        for group in filter(None, groups):
            yield partial(train_and_measure, name, recipe, group, settings, pictures, study, say)


def _counted(jobs: Sequence[Job], say: Say) -> Iterator[Job]:
    """The jobs; after each, a line tells how many are done and about how much time is left."""
    start, lock, done = time.monotonic(), threading.Lock(), 0

    def counted(job: Job, go_on: Callable[[], bool]) -> None:
        nonlocal done
        job(go_on)
        with lock:
            done += 1
            left = (time.monotonic() - start) / done * (len(jobs) - done)
            if left:
                say(f"{done} of {len(jobs)} training runs done, about {_duration(left)} left")

    for job in jobs:
        yield partial(counted, job)


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


Job = Callable[[Callable[[], bool]], None]
"""A job of a lane; its argument is a function that tells whether to continue."""


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
