"""Many files through a model: what is written where is settled first, then decode, network and encode overlap."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashigo.apply.batches import Line
from hashigo.apply.call import Call
from hashigo.apply.model import Model
from hashigo.errors import PictureError, RecipeError
from hashigo.files import atomic_path, expand
from hashigo.image.photo import MAX_PIXELS, SUFFIXES, Photo, read, write
from hashigo.tasks.hints import Hint

Existing = Literal["skip", "overwrite", "error"]


@dataclass(frozen=True)
class Job:
    """One file: read from `source`, write to `target`."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `state` "done", "skipped" (the target was there) or "failed" with its `error`."""

    job: Job
    state: Literal["done", "skipped", "failed"]
    error: str = ""
    warnings: tuple[str, ...] = ()


def plan(inputs: Sequence[str | Path], output: str | Path | None, suffix: str) -> list[Job]:
    """Which file becomes which: `stem.suffix.ext` beside its input, or in `output` with the tree mirrored.

    `output` names the file itself where there is one input file and `output` ends in a picture's suffix. What an
    earlier run left (`stem.suffix.ext`, or anything within `output`) is not taken as input when a folder is walked.

    Raises:
        PictureError: an input does not exist, or there is no picture in them.
        RecipeError: two inputs would become one file, or an output is itself an input.
    """
    target = None if output is None else Path(output)
    explicit = {os.path.realpath(path) for path in inputs if Path(path).is_file()}
    sources = [
        (path, relative)
        for path, relative in expand(inputs, SUFFIXES)
        if os.path.realpath(path) in explicit or not _from_earlier_run(path, inputs, target, suffix)
    ]
    if not sources:
        raise PictureError(
            f"expected pictures ({' '.join(sorted(SUFFIXES))}), found none in {' '.join(map(str, inputs))}"
        )
    if target is not None and _names_file(target):
        if len(sources) > 1:
            raise RecipeError(f"{len(sources)} inputs cannot all become {target}; give a folder with -o")
        jobs = [Job(sources[0][0], target)]
    else:
        jobs = [Job(path, _target(path, relative, target, suffix)) for path, relative in sources]
    _check_collisions(jobs)
    return jobs


def _names_file(output: Path) -> bool:
    """Whether -o means a file and not a folder."""
    return output.suffix.lower() in SUFFIXES and not output.is_dir()


def failures_path(inputs: Sequence[str | Path], jobs: Sequence[Job], output: str | Path | None) -> Path:
    """Where failures.jsonl of a run goes: the output folder, else the first input's folder."""
    if output is not None:
        folder = Path(output).parent if _names_file(Path(output)) else Path(output)
    else:
        folder = Path(inputs[0]) if Path(inputs[0]).is_dir() else jobs[0].source.parent
    return folder / "failures.jsonl"


def _from_earlier_run(path: Path, inputs: Sequence[str | Path], output: Path | None, suffix: str) -> bool:
    """Whether a file found in a folder looks like a result: by its name, or because it lies in the output folder."""
    if path.stem.endswith(f".{suffix}"):
        return True
    inside = output is not None and path.resolve().is_relative_to(output.resolve())
    return inside and not any(Path(given).resolve().is_relative_to(output.resolve()) for given in inputs)  # type: ignore[union-attr]


def _target(path: Path, relative: Path, output: Path | None, suffix: str) -> Path:
    # 256 colours are too few for a coloured photo, and an unknown suffix names no format
    keeps = path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".gif"
    name = f"{path.stem}.{suffix}{path.suffix if keeps else '.png'}"
    return path.with_name(name) if output is None else output / relative.with_name(name)


def _check_collisions(jobs: Sequence[Job]) -> None:
    sources = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        place = os.path.realpath(job.target)
        if place in taken:
            raise RecipeError(
                f"{taken[place]} and {job.source} would both become {job.target}; give them different names or -o"
            )
        if place in sources:
            raise RecipeError(f"{job.target} would overwrite an input; give another -o")
        taken[place] = job.source


def run(
    model: Model, jobs: Sequence[Job], *, existing: Existing = "skip", batch_size: int = 4, quality: int = 92,
    max_pixels: int = MAX_PIXELS, hints: Sequence[Hint] = (),
) -> Iterator[Outcome]:  # fmt: skip
    """Does the jobs and tells of each as it ends, in order.

    Files are decoded ahead and encoded behind in worker threads while the network works; neighbours whose network
    input has one shape go through it as one batch. A failing file never stops the others. `existing`: what to do where
    a target is there already. hints: known colours, which make sense for one photo only.

    Raises:
        RecipeError: a target exists and `existing` is "error"; found before anything is written.
    """
    if existing == "error":
        there = [job.target for job in jobs if job.target.exists()]
        if there:
            raise RecipeError(f"{there[0]} exists already ({len(there)} such); use --existing skip or overwrite")
    work = _FileWork(existing, quality, max_pixels, model.call(hints))
    yield from Line(model, work, batch_size=batch_size).run(jobs)


@dataclass(frozen=True)
class _FileWork:
    """A file on the line: read, then written."""

    existing: Existing
    quality: int
    max_pixels: int
    treated: Call

    def load(self, job: Job) -> Photo | None:
        """The photo, None where its result is there already."""
        if self.existing == "skip" and job.target.exists():
            return None
        return read(job.source, max_pixels=self.max_pixels)

    def call(self, _job: Job) -> Call:
        """How it is treated: all alike."""
        return self.treated

    def finish(self, job: Job, photo: Photo, result: Photo) -> Outcome:
        """Writes the result."""
        write(result, job.target, quality=self.quality)
        return Outcome(job, "done", warnings=photo.warnings)

    def skip(self, job: Job) -> Outcome:
        """Tells that the result was there."""
        return Outcome(job, "skipped")

    def fail(self, job: Job, error: Exception) -> Outcome:
        """Tells what failed."""
        return _failure(job, error)


def _failure(job: Job, error: BaseException) -> Outcome:
    return Outcome(job, "failed", str(error) or f"{job.source}: {type(error).__name__}")


def write_failures(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Lists what failed, a JSON object per line: `{"input", "output", "error"}`.

    Entries of earlier runs stay unless their input was in this run; a list that becomes empty goes away. Returns whether
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
    """The entries of a list of failures; none where there is no list or it is not one of ours."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [line for line in lines if isinstance(line, dict)]


@dataclass
class Tally:
    """Counts outcomes as they come, for a summary."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    start: float = 0.0

    def __post_init__(self) -> None:
        self.start = time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        """Counts one."""
        setattr(self, outcome.state, getattr(self, outcome.state) + 1)

    def summary(self) -> str:
        """For instance "198 done, 1 skipped, 1 failed in 12.3 s (16.1 photos/s)"."""
        seconds = time.perf_counter() - self.start
        parts = [f"{self.done} done"]
        parts += [f"{count} {name}" for count, name in ((self.skipped, "skipped"), (self.failed, "failed")) if count]
        rate = f" ({self.done / seconds:.1f} photos/s)" if self.done > 1 else ""
        hint = "; what is there already is kept, --existing overwrite makes it anew" if self.skipped else ""
        return f"{', '.join(parts)} in {seconds:.1f} s{rate}{hint}"
