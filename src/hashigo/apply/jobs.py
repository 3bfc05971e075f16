"""Runs a model on many files. Results that are up to date are skipped, and no failure stops the rest."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hashigo.apply.batches import Line
from hashigo.apply.call import Call
from hashigo.apply.model import Model
from hashigo.apply.planning import Job
from hashigo.apply.record import Records, Source, State, options_of, source_of
from hashigo.apply.views import GUESS
from hashigo.errors import PictureError, RecipeError, plural
from hashigo.files import atomic_path, clear_leftovers, copy_date
from hashigo.image.metadata import has_unread_pages
from hashigo.image.photo import MAX_PIXELS, Pages, Photo, losses, pixels_in, read, write
from hashigo.tasks.capabilities import hint_taker
from hashigo.tasks.hints import Hint, hint_text, parse_hint

Existing = Literal["newer", "skip", "overwrite", "error"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job. error: why it failed, as a message that names the file. reason: why it was skipped.
    was_coloured: whether the photo already had colours."""

    job: Job
    state: Literal["done", "skipped", "failed"]
    error: str = ""
    warnings: tuple[str, ...] = ()
    reason: str = ""
    was_coloured: bool = False


@dataclass(frozen=True)
class Options:
    """How files are read and written.

    existing: what to do where a result is there already: "newer" makes it again where the photo or the options have changed, "skip" never,
    "overwrite" always, "error" refuses to begin. quality: of JPEG, WebP and AVIF. pages: whether further pages and frames are treated as
    well. keep_date: whether a result gets its photo's date. only_grey: leaves photos alone that are in colour.
    """

    existing: Existing = "newer"
    quality: int = 92
    max_pixels: int = MAX_PIXELS
    pages: Pages = "first"
    keep_date: bool = True
    only_grey: bool = False


def run(
    model: Model, jobs: Sequence[Job], options: Options | None = None, *, hints: Sequence[Hint] = (),
    records: Records | None = None, batch_size: int = 4,
) -> Iterator[Outcome]:  # fmt: skip
    """Runs the jobs and yields each outcome, in order.

    Files are decoded ahead and encoded behind in worker threads while the network works; neighbours whose network
    input has one shape go through it as one batch. A failing file never stops the others. hints: known colours, which make sense
    for one photo only; a result that was made with hints keeps them when it is made again among others.

    Raises:
        RecipeError: a target exists and `existing` is "error", or there are hints and several photos, or hints outside the
            photo, or the model takes none; found before anything is written.
    """
    options = options or Options()
    if options.existing == "error":
        there = [job.target for job in jobs if os.path.exists(job.target)]  # noqa: PTH110 (Path's raises for too long names)
        if there:
            raise RecipeError(
                f"{there[0]} already exists ({len(there)} in all); use --existing newer, skip or overwrite"
            )
    for folder in {job.target.parent for job in jobs}:
        clear_leftovers(folder)
    opened = _hinted(model, jobs, hints, options) if hints else {}
    work = _FileWork(model, options, model.call(hints), opened, records or Records(), alone=len(jobs) == 1)
    yield from Line(model, work, batch_size=batch_size).run(jobs)


def _hinted(model: Model, jobs: Sequence[Job], hints: Sequence[Hint], options: Options) -> dict[Path, Photo]:
    """The one photo that has hints, by its path, as they can only be checked against it; none where it cannot be read.

    Raises:
        RecipeError: there are several photos, the model takes no hints, or one lies outside the photo.
    """
    if len(jobs) > 1:
        raise RecipeError(
            f"--hint: expected one photo, because a hint is a place in one photo, got {len(jobs)}; colorize them one at a time"
        )
    task = hint_taker(model.task)
    try:
        photo = read(jobs[0].source, max_pixels=options.max_pixels, pages=options.pages)
    except PictureError:
        return {}  # its job will say so
    task.check_hints(hints, photo.size)
    return {jobs[0].source: photo}


@dataclass
class _Plan:
    """What is known about a job before its photo is read."""

    state: State = "new"
    source: Source | None = None
    call: Call | None = None
    skipped: str = ""
    was_coloured: bool = False
    notes: list[str] = field(default_factory=list)


_REASONS = {
    "current": "up to date",
    "edited": "changed by hand since they were made",
    "unknown": "no record of how they were made",
}
AGAIN = {
    "photo": "made again: the photo has changed",
    "options": "made again: the options have changed",
    "unknown": "made again: the photo is newer",
}
"""Why a result is made again, by its state."""


def reason_to_stay(job: Job, state: State) -> str:
    """Why a result in this state is not made again with `--existing newer`; "" if it is. Raises OSError."""
    if state == "unknown" and job.source.stat().st_mtime_ns > job.target.stat().st_mtime_ns:
        return ""
    return _REASONS.get(state, "")


def recorded(
    records: Records, job: Job, source: Source, described: str, hints: tuple[str, ...], options: Options
) -> str:
    """Gives a result its photo's date, and records how it was made; returns what people should know if that is not possible."""
    try:
        if options.keep_date:
            copy_date(job.source, job.target)
        records.add(job.source, source, job.target, described, hints)
    except OSError as error:
        return f"its date or record could not be written ({error.strerror}); a later run makes it again"
    return ""


@dataclass
class _FileWork:
    """A file on the assembly line. opened: photos that have already been read. alone: whether it is the only one."""

    model: Model
    options: Options
    treated: Call
    opened: Mapping[Path, Photo]
    records: Records
    alone: bool
    plans: dict[Path, _Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        without_hints = replace(self.treated, hints=())
        first = None if self.model.first is None else self.model.first.folder
        self.described = options_of(
            self.model.folder, without_hints, self.options.quality, self.options.pages, first=first
        )

    def pixels(self, job: Job) -> int:
        """How many pixels the photo's result has according to its header; 0 if unknown."""
        return 0 if job.source in self.opened else pixels_in(job.source) * self.model.task.result_scale**2

    def load(self, job: Job) -> Photo | None:
        """The photo, or None if its result is kept or the photo is left alone."""
        plan = self.plans[job.target] = _Plan()
        if self.options.existing == "skip" and job.target.exists():
            plan.skipped = "there already"
        elif self.options.existing == "newer":
            self._compare(job, plan)
        if plan.skipped:
            return None
        photo = self.opened.get(job.source) or read(
            job.source, max_pixels=self.options.max_pixels, pages=self.options.pages
        )
        plan.source = source_of(job.source)
        plan.was_coloured = self.model.recolours(photo)
        if plan.was_coloured and self.options.only_grey:
            plan.skipped = "in colour already"
            return None
        if plan.call is not None:
            self._check_hints(plan, photo)
        return photo

    def _check_hints(self, plan: _Plan, photo: Photo) -> None:
        """Drops earlier hints that are outside a photo that has since changed."""
        try:
            if plan.call is not None:
                hint_taker(plan.call.task).check_hints(plan.call.hints, photo.size)
        except RecipeError as error:
            plan.call = None
            plan.notes.append(f"its earlier hints were dropped: {error}")

    def _compare(self, job: Job, plan: _Plan) -> None:
        """Whether the existing result can stay, and the hints for making it again."""
        plan.state = self.records.state(job.source, job.target, self.described)
        hints = self.records.hints(job.target) if plan.state in ("current", "options", "photo") else ()
        own = tuple(map(hint_text, self.treated.hints))
        if plan.state == "current" and hints != own and (self.alone or own):
            plan.state = "options"  # a single photo gets the hints that it is given now, or none
        elif plan.state in ("options", "photo") and hints and not (self.alone or own):
            plan.call = replace(self.treated, hints=tuple(map(parse_hint, hints)))
            plan.notes.append(f"keeps its hints: {' '.join(hints)}")
        plan.skipped = reason_to_stay(job, plan.state)
        if not plan.skipped and plan.state in AGAIN:
            plan.notes.insert(0, AGAIN[plan.state])

    def call(self, job: Job) -> Call:
        """The options: the same for all, except for hints given in earlier runs."""
        plan = self.plans.get(job.target)
        return (plan and plan.call) or self.treated

    def finish(self, job: Job, photo: Photo, result: Photo) -> Outcome:
        """Writes the result with its further pages and records how it was made."""
        plan = self.plans.pop(job.target)
        call = plan.call or self.treated
        result = with_further(self.model, photo, result, call)
        write(result, job.target, quality=self.options.quality)
        notes = [*plan.notes, *map(advised, result.warnings)]
        if lost := losses(result, job.target.suffix):
            notes.append(lost)
        if plan.source is not None:
            hints = tuple(map(hint_text, call.hints))
            notes.append(recorded(self.records, job, plan.source, self.described, hints, self.options))
        return Outcome(job, "done", warnings=tuple(note for note in notes if note), was_coloured=plan.was_coloured)

    def skip(self, job: Job) -> Outcome:
        """The outcome of a skipped file."""
        plan = self.plans.pop(job.target)
        return Outcome(job, "skipped", reason=plan.skipped, was_coloured=plan.was_coloured)

    def fail(self, job: Job, error: Exception) -> Outcome:
        """The outcome of a failed file."""
        self.plans.pop(job.target, None)
        return Outcome(job, "failed", str(error) or f"{job.source}: {type(error).__name__}")


def write_failures(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Lists the failures, one JSON object per line: `{"input", "output", "error"}`.

    Entries of earlier runs stay unless their input was in this run; an empty list is deleted. Returns whether
    anything failed now.
    """
    sources = {str(outcome.job.source) for outcome in outcomes}
    lines = [line for line in _listed(path) if line.get("input") not in sources]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    lines += [
        {"input": str(outcome.job.source), "output": str(outcome.job.target), "error": outcome.error}
        for outcome in failed
    ]
    if not lines:
        path.unlink(missing_ok=True)
    elif failed or path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return bool(failed)


def _listed(path: Path) -> list[dict[str, str]]:
    """The entries of a list of failures; none if there is no list or it is not one of ours."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [line for line in lines if isinstance(line, dict)]


def with_pages(model: Model, photo: Photo, call: Call) -> Photo:
    """The photo and its further pages through a model; hints are for the first page."""
    return with_further(model, photo, model.apply_call(photo, call), call)


def with_further(model: Model, photo: Photo, result: Photo, call: Call) -> Photo:
    """The result of a photo's first page with those of the others, and what is to be said about any of them."""
    if not photo.further:
        return result
    pages = tuple(model.apply_call(page, replace(call, hints=())) for page in photo.further)
    guesses = [
        f"page {number}: {warning}"
        for number, page in enumerate(pages, 2)
        for warning in page.warnings
        if GUESS in warning
    ]
    return replace(result, further=pages, warnings=(*result.warnings, *guesses))


def advised(warning: str) -> str:
    """A warning with the option that helps."""
    if GUESS in warning:
        return f"{warning}; if that is wrong, use --whole"
    return f"{warning}; --pages all takes all" if has_unread_pages(warning) else warning


@dataclass
class Tally:
    """Counts outcomes as they come, for a summary."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    recoloured: list[Path] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    start: float = field(default_factory=time.perf_counter)

    def add(self, outcome: Outcome) -> None:
        """Counts one."""
        setattr(self, outcome.state, getattr(self, outcome.state) + 1)
        if outcome.state == "skipped":
            self.reasons[outcome.reason] += 1
        elif outcome.was_coloured:
            self.recoloured.append(outcome.job.source)

    def summary(self) -> str:
        """For instance "198 done, 1 skipped (up to date), 1 failed in 12.3 s (16.1 photos/s)"."""
        seconds = time.perf_counter() - self.start
        parts = [f"{self.done} done"]
        if self.skipped:
            parts.append(f"{self.skipped} skipped ({self._why_skipped()})")
        parts += [f"{self.failed} failed"] if self.failed else []
        rate = f" ({self.done / seconds:.1f} photos/s)" if self.done > 1 else ""
        return f"{', '.join(parts)} in {seconds:.1f} s{rate}{self._remedy()}{self._coloured()}"

    def _why_skipped(self) -> str:
        if len(self.reasons) == 1:
            return next(iter(self.reasons))
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())

    def _remedy(self) -> str:
        if self.reasons.keys() <= {"in colour already"}:
            return ""
        return "; --existing overwrite makes them again"

    def _coloured(self) -> str:
        if not self.recoloured:
            return ""
        names = ", ".join(path.name for path in self.recoloured[:3]) + (", …" if len(self.recoloured) > 3 else "")
        were = "was" if len(self.recoloured) == 1 else "were"
        return f"; {plural(len(self.recoloured), 'photo')} {were} already in colour and got new colours ({names}); --only-grey leaves such photos alone"
