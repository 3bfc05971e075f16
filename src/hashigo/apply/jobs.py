"""Many files through a model: what is written where is settled first, then decode, network and encode overlap."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashigo.apply.batches import Line
from hashigo.apply.call import Call
from hashigo.apply.model import Model
from hashigo.errors import PictureError, RecipeError
from hashigo.files import Others, atomic_path, expand
from hashigo.image.formats import FORMATS, SUFFIXES, WRITE_SUFFIXES, suffix_for_output
from hashigo.image.photo import MAX_PIXELS, Photo, read, write
from hashigo.tasks.capabilities import hint_taker
from hashigo.tasks.hints import Hint

Existing = Literal["skip", "overwrite", "error"]


@dataclass(frozen=True)
class Job:
    """One file: read from `source`, write to `target`. `note`: what people should know about the name of `target`."""

    source: Path
    target: Path
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `state` "done", "skipped" (the target was there) or "failed" with its `error`."""

    job: Job
    state: Literal["done", "skipped", "failed"]
    error: str = ""
    warnings: tuple[str, ...] = ()


def plan(
    inputs: Sequence[str | Path], output: str | Path | None, suffix: str, others: Others | None = None, *, format: str = "",
) -> list[Job]:  # fmt: skip
    """Which file becomes which: `stem.suffix.ext` beside its input, or in `output` with the tree mirrored.

    `output` names the file itself where there is one input file and `output` ends in a picture's suffix. What an
    earlier run left (`stem.suffix.ext`, or anything within `output`) is not taken as input when a folder is walked.
    Where two inputs would become one file, or an output would overwrite an input, the name of the later one keeps its
    original ending (`x.png` becomes `x.png.suffix.png`), and its `note` says so. others: counts the files of other kinds.

    Raises:
        PictureError: an input does not exist, or there is no picture in them.
        RecipeError: `output` is one file for several inputs, is itself an input, or ends in a suffix that is not a picture's.
    """
    target = None if output is None else Path(output)
    explicit = {os.path.realpath(path) for path in inputs if os.path.isfile(path)}  # noqa: PTH113 (Path's raises for too long names)
    sources = [
        (path, relative)
        for path, relative in expand(inputs, SUFFIXES, others)
        if os.path.realpath(path) in explicit or not _from_earlier_run(path, inputs, target, suffix)
    ]
    if not sources:
        raise PictureError(
            f"expected pictures ({' '.join(sorted(SUFFIXES))}), found none in {' '.join(map(str, inputs))}{left_out(others)}"
        )
    if output is None or target is None or not _names_file(output):
        return _without_collisions(
            [(path, _target(path, relative, target, suffix, format)) for path, relative in sources]
        )
    if len(sources) > 1:
        raise RecipeError(f"{len(sources)} inputs cannot all become {target}; give a folder with -o")
    if os.path.realpath(target) == os.path.realpath(sources[0][0]):
        raise RecipeError(f"{target} would overwrite an input; give another -o")
    return [Job(sources[0][0], target)]


def left_out(others: Others | None) -> str:
    """For instance "; left out: 2 .heic, 1 .txt", "" where nothing was."""
    if not others:
        return ""
    counts = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return "; left out: " + ", ".join(f"{count} {suffix or 'without an ending'}" for suffix, count in counts)


_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")


def _names_file(output: str | Path) -> bool:
    """Whether -o means a file and not a folder.

    Raises:
        RecipeError: it looks like a file's name, of a kind that cannot be written.
    """
    path = Path(output)
    if path.is_dir() or os.fspath(output).endswith(("/", os.sep)):
        return False
    if path.suffix.lower() in WRITE_SUFFIXES:
        return True
    if _ENDING.fullmatch(path.suffix):
        raise RecipeError(
            f"expected a file ending in one of {' '.join(sorted(WRITE_SUFFIXES))}, or a folder, got {path}; "
            f"for a new folder of that name write {path}/"
        )
    return False


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
    return output is not None and _lies_in(path, output) and not any(_lies_in(given, output) for given in inputs)


def _lies_in(path: str | Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(folder)
    )  # Path.resolve raises for a link to itself


def _target(path: Path, relative: Path, output: Path | None, suffix: str, format: str) -> Path:
    name = f"{path.stem}.{suffix}{FORMATS[format][0] if format else suffix_for_output(path.suffix)}"
    return path.with_name(name) if output is None else output / relative.with_name(name)


def _without_collisions(pairs: Sequence[tuple[Path, Path]]) -> list[Job]:
    inputs = {os.path.realpath(source) for source, _ in pairs}
    taken: dict[str, Path] = {}
    jobs = []
    for source, target in pairs:
        free = _free(source, target, inputs | set(taken))
        note = ""
        if free != target:
            other = taken.get(os.path.realpath(target))
            reason = f"{target} is an input too" if other is None else f"{other} becomes {target} too"
            note = f"{reason}, so this one becomes {free.name}"
        taken[os.path.realpath(free)] = source
        jobs.append(Job(source, free, note))
    return jobs


def _free(source: Path, target: Path, taken: Collection[str]) -> Path:
    """The target, or where that is taken the name with the source's whole name in it: x.color.png, x.gif.color.png, …"""
    ending = target.name.removeprefix(source.stem)
    names = itertools.chain(
        [target.name, f"{source.name}{ending}"], (f"{source.name}-{n}{ending}" for n in itertools.count(2))
    )
    return next(path for path in map(target.with_name, names) if os.path.realpath(path) not in taken)


def run(
    model: Model, jobs: Sequence[Job], *, existing: Existing = "skip", batch_size: int = 4, quality: int = 92,
    max_pixels: int = MAX_PIXELS, hints: Sequence[Hint] = (),
) -> Iterator[Outcome]:  # fmt: skip
    """Does the jobs and tells of each as it ends, in order.

    Files are decoded ahead and encoded behind in worker threads while the network works; neighbours whose network
    input has one shape go through it as one batch. A failing file never stops the others. `existing`: what to do where
    a target is there already. hints: known colours, which make sense for one photo only.

    Raises:
        RecipeError: a target exists and `existing` is "error", or there are hints and several photos, or hints outside the
            photo, or the model takes none; found before anything is written.
    """
    if existing == "error":
        there = [job.target for job in jobs if os.path.exists(job.target)]  # noqa: PTH110 (Path's raises for too long names)
        if there:
            raise RecipeError(f"{there[0]} exists already ({len(there)} such); use --existing skip or overwrite")
    opened = _hinted(model, jobs, hints, max_pixels) if hints else {}
    work = _FileWork(existing, quality, max_pixels, model.call(hints), opened)
    yield from Line(model, work, batch_size=batch_size).run(jobs)


def _hinted(model: Model, jobs: Sequence[Job], hints: Sequence[Hint], max_pixels: int) -> dict[Path, Photo]:
    """The one photo that has hints, by its path, as they can only be checked against it; none where it cannot be read.

    Raises:
        RecipeError: there are several photos, the model takes no hints, or one lies outside the photo.
    """
    if len(jobs) > 1:
        raise RecipeError(f"--hint: expected one photo, whose places it names, got {len(jobs)}; colour them one by one")
    task = hint_taker(model.task)
    try:
        photo = read(jobs[0].source, max_pixels=max_pixels)
    except PictureError:
        return {}  # its job will say so
    task.check_hints(hints, photo.size)
    return {jobs[0].source: photo}


@dataclass(frozen=True)
class _FileWork:
    """A file on the line: read, then written. opened: photos that have been read already."""

    existing: Existing
    quality: int
    max_pixels: int
    treated: Call
    opened: Mapping[Path, Photo]

    def load(self, job: Job) -> Photo | None:
        """The photo, None where its result is there already."""
        if self.existing == "skip" and job.target.exists():
            return None
        return self.opened[job.source] if job.source in self.opened else read(job.source, max_pixels=self.max_pixels)

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
