"""The driver: takes the shards of a plan that have no report, lets an engine do them, and keeps account."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from hashigo.bulk.lines import line_of, parsed
from hashigo.bulk.plan import STATE, Shard, alone, read_plan, read_shards
from hashigo.bulk.reports import ShardReport, read_photos, read_report
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.storage import Folder, Place, absolute, is_store, place_of
from hashigo.errors import DataError, HashigoError, ModelError, PictureError, StorageError, plural

if TYPE_CHECKING:
    from hashigo.bulk.engines.base import Engine, Lost

IN_A_ROW = 3
"""After so many lost shards without one that was done in between, the run stops."""

NOTED_EVERY = 2.0
"""Seconds after which progress is written for `status`; to a store, ten times that."""


@dataclass
class Totals:
    """What became of the photos so far.

    Args:
        photos: Of the plan.
        done: Photos with results.
        left: Photos left alone as asked.
        failed: Photos that failed.
        made: Results made by this run.
        shards: Shards with reports.
        lost: Why shards could not be done.
        seconds: Duration of this run.
        treated: Photos of the shards that this run has done.
    """

    photos: int
    done: int = 0
    left: int = 0
    failed: int = 0
    made: int = 0
    shards: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0
    treated: int = 0

    def add(self, report: ShardReport, *, now: bool) -> None:
        """Counts a shard. now: whether it was processed by this run."""
        self.done += report.done
        self.left += report.left
        self.failed += report.failed
        self.shards += 1
        if now:
            self.made += report.made
            self.treated += report.photos

    @property
    def remaining(self) -> int:
        """Photos whose shards have no report yet."""
        return max(0, self.photos - self.done - self.left - self.failed)

    @property
    def rate(self) -> float:
        """Photos per second of this run."""
        return self.treated / self.seconds if self.seconds else 0.0


Progress = Callable[[Totals], object]


def run_bulk(
    output: str, settings: BulkSettings, engine: Engine, *, again: bool = False, progress: Progress = lambda _: None
) -> Totals:
    """Does all shards of the plan in `output` that have not been done with this model and these options.

    again: also those with failures, whose failed photos are tried again. progress: called after each shard.

    Raises:
        DataError: there is no plan. ModelError, RecipeError: the model or an option cannot be used. BusyError: another run works on
            `output`. StorageError: the disk is full, or a store does not answer; what has been done stays.
    """
    from hashigo.bulk.shards import options_key, shard_key

    output = absolute(output)
    out = place_of(output)
    plan = read_plan(output)
    options = options_key(settings)
    with alone(out):
        out.write(f"{STATE}/run.json", line_of(settings).encode())
        totals, start = Totals(plan.photos), time.perf_counter()
        noted = 0.0

        counting = threading.Lock()  # engines take shards in threads

        def todo() -> Iterator[Shard]:
            for shard in _in_some_order(out):
                report = read_report(out, shard.id)
                if report is None or report.key != shard_key(shard, options) or (again and report.failed):
                    yield shard
                else:
                    with counting:
                        totals.add(report, now=False)

        results = engine.run(output, settings, todo())
        in_a_row = 0
        try:
            for result in results:
                totals.seconds = time.perf_counter() - start
                if isinstance(result, ShardReport):
                    in_a_row = 0
                    with counting:
                        totals.add(result, now=True)
                else:
                    in_a_row += 1
                    totals.lost.append(result.reason)
                    _check(result, in_a_row)
                progress(totals)
                if totals.seconds - noted > NOTED_EVERY * (10 if is_store(output) else 1):
                    noted = totals.seconds
                    _note(out, totals)
        finally:  # also when the run is interrupted
            getattr(results, "close", lambda: None)()
            totals.seconds = time.perf_counter() - start
            _note(out, totals)
            _list_failures(out)
    return totals


def _check(lost: Lost, in_a_row: int) -> None:
    if lost.fatal:
        raise ModelError(lost.reason)
    if in_a_row >= IN_A_ROW:
        raise StorageError(f"{lost.reason}. The run cannot continue: fix this and run again; finished work is kept")


def _note(out: Place, totals: Totals) -> None:
    values = {key: value for key, value in asdict(totals).items() if key != "lost"}
    try:
        out.write(f"{STATE}/progress.json", json.dumps(values | {"now": time.time(), "process": os.getpid()}).encode())
    except HashigoError:
        return  # of no consequence


def _in_some_order(out: Place) -> Iterator[Shard]:
    """The shards; in a store, where runs may share them, in another order for each run."""
    if isinstance(out, Folder):
        return read_shards(out)
    shards = list(read_shards(out))
    random.shuffle(shards)
    return iter(shards)


def _list_failures(out: Place) -> None:
    """Writes failures.jsonl in `out` from all reports, or removes it where nothing failed."""
    try:
        lines = []
        for shard in read_shards(out):
            report = read_report(out, shard.id)
            for photo in read_photos(out, shard.id) if report is not None and report.failed else ():
                if photo.state == "failed":
                    lines.append(json.dumps({"input": photo.source, "error": photo.error}) + "\n")
        if lines:
            out.write("failures.jsonl", "".join(lines).encode())
        else:
            out.remove("failures.jsonl")
    except HashigoError:
        return  # the reports have them


def read_settings(output: str) -> BulkSettings:
    """The settings of the last run.

    Raises:
        DataError: there was none.
    """
    try:
        content = place_of(absolute(output)).read(f"{STATE}/run.json")
    except PictureError as error:
        raise DataError(
            f"{output}: expected an earlier bulk run, got none; use 'hashigo bulk run -o {output}'"
        ) from error
    return parsed(BulkSettings, content, f"use 'hashigo bulk run -o {output}'")


@dataclass(frozen=True)
class Status:
    """Where a bulk run stands. rate: photos per second lately; 0 if unknown. running: whether a run has written its progress lately."""

    totals: Totals
    rate: float
    running: bool

    @property
    def seconds_left(self) -> float | None:
        """Time until all is done at this rate; None if unknown."""
        return self.totals.remaining / self.rate if self.rate else None


def read_status(output: str) -> Status:
    """Counts what has been done.

    Raises:
        DataError: there is no plan. StorageError.
    """
    out, plan = place_of(absolute(output)), read_plan(output)
    totals = Totals(plan.photos)
    for shard in read_shards(out):
        report = read_report(out, shard.id)
        if report is not None and report.key.partition("-")[0] == shard.digest:
            totals.add(report, now=False)
    try:
        values = json.loads(out.read(f"{STATE}/progress.json"))
        rate = values["treated"] / values["seconds"] if values["seconds"] else 0.0
        running = time.time() - values["now"] < 60 and totals.remaining > 0
    except (PictureError, ValueError, KeyError, TypeError):
        rate, running = 0.0, False
    return Status(totals, rate, running)


def summary(totals: Totals) -> str:
    """For instance "1,990 done, 10 failed in 62.1 s (32.1 photos/s)"."""
    parts = [f"{totals.done:,} done"]
    if totals.done - totals.made and totals.made:
        parts[0] += f" ({totals.done - totals.made:,} of them before)"
    parts += [f"{totals.left:,} left alone, because they are in colour already"] if totals.left else []
    parts += [f"{totals.failed:,} failed"] if totals.failed else []
    parts += [f"{totals.remaining:,} remaining"] if totals.remaining else []
    rate = f" ({totals.rate:.1f} photos/s)" if totals.treated > 1 else ""
    lost = f"; {plural(len(totals.lost), 'shard')} could not be done: {totals.lost[-1]}" if totals.lost else ""
    return f"{', '.join(parts)} in {totals.seconds:.1f} s{rate}{lost}"
