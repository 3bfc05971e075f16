"""Films and folders of frames as jobs: names of results, what is up to date, and outcomes that the command reports as it does those of photos."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashigo.apply.call import Output
from hashigo.apply.jobs import Options, Outcome, advised
from hashigo.apply.model import Model
from hashigo.apply.planning import Job
from hashigo.apply.record import Records, options_of, source_of
from hashigo.apply.views import Seen
from hashigo.errors import HashigoError, RecipeError
from hashigo.image.photo import Photo, losses, read, write
from hashigo.image.resizing import block_means
from hashigo.machine import cores
from hashigo.tasks.hints import TimedHint, hint_text
from hashigo.video.colorize import BATCH, CHUNK, colorize_film, result_suffix
from hashigo.video.film import SUFFIXES
from hashigo.video.steady import AHEAD, Look, Motion, Scenes, State, steadied

Progress = Callable[[int], object]

WARM_UP = 16
"""Frames before the first one to be made that are looked at again, so that its colours follow from theirs."""


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a film, by its name."""
    return Path(path).suffix.lower() in SUFFIXES and os.path.isfile(path)  # noqa: PTH113 (Path's raises for too long names)


def plan_films(films: Sequence[Path], output: str | None, suffix: str) -> list[Job]:
    """The jobs for films: results are `film.suffix.mp4` beside them, or in the folder `output`, or `output` itself for one film.

    Raises:
        RecipeError: one file for several films, a film itself, or a file of a kind that cannot be written.
    """
    if output is not None and Path(output).suffix.lower() in SUFFIXES and not Path(output).is_dir():
        target = Path(output)
        if len(films) > 1:
            raise RecipeError(f"{len(films)} films cannot all become {target}; give a folder with -o")
        if target.exists() and target.samefile(films[0]):
            raise RecipeError(f"{target} would overwrite an input; give another -o")
        if result_suffix(target.suffix) != target.suffix:
            raise RecipeError(
                f"-o {target}: expected a name that ends in .mp4, .m4v, .mov or .mkv, got {target.suffix}"
            )
        return [Job(films[0], target)]
    jobs: list[Job] = []
    for film in films:
        name = f"{film.stem}.{suffix}{result_suffix(film.suffix)}"
        target = film.with_name(name) if output is None else Path(output) / name
        if any(job.target == target for job in jobs):
            target = target.with_name(f"{film.name}.{suffix}{result_suffix(film.suffix)}")
        jobs.append(Job(film, target))
    return jobs


def rate_factor(quality: int) -> int:
    """x264's constant rate factor for a quality from 1 to 100.

    >>> rate_factor(92), rate_factor(100), rate_factor(50), rate_factor(1)
    (17, 14, 34, 51)
    """
    return min(51, round(17 + 0.4 * (92 - quality)))


def run_film(
    model: Model, job: Job, options: Options, records: Records, hints: Sequence[TimedHint], progress: Progress
) -> Outcome:
    """Makes the result of a film, unless it is up to date."""
    texts = tuple(f"{hint_text(hint)}@{seconds:g}" for hint, seconds in hints)
    described = options_of(model.folder, model.call(whole=True), rate_factor(options.quality), "film", texts)
    try:
        state = records.state(job.source, job.target, described)
        if options.existing == "skip" and state != "new":
            return Outcome(job, "skipped", reason="there already")
        if options.existing == "error" and state != "new":
            raise RecipeError(f"{job.target} already exists; use --existing newer, skip or overwrite")
        if options.existing == "newer" and state in ("current", "edited"):
            reason = "up to date" if state == "current" else "changed by hand since they were made"
            return Outcome(job, "skipped", reason=reason)
        source = source_of(job.source)
        report = colorize_film(
            model, job.source, job.target, hints=hints, quality=rate_factor(options.quality), progress=progress
        )
        if options.keep_date:
            status = job.source.stat()
            os.utime(job.target, ns=(status.st_atime_ns, status.st_mtime_ns))
        records.add(job.source, source, job.target, described)
    except RecipeError:
        raise
    except (HashigoError, OSError) as error:
        return Outcome(job, "failed", str(error))
    return Outcome(job, "done", warnings=report.notes)


# --- a folder of frames -----------------------------------------------------------------------------


@dataclass
class _Frame:
    job: Job
    photo: Photo
    seen: Seen
    look: Look


def run_frames(model: Model, jobs: Sequence[Job], options: Options, records: Records) -> Iterator[Outcome]:
    """Colorizes photos as the frames of a film, in the order of their names, with numbers in the names taken as numbers.

    Frames at the beginning that are up to date stay as they are. A frame that cannot be read is listed, and the next one follows the one before it.

    Raises:
        RecipeError: the model is no colorizer.
    """
    if not (model.task.adds_colour and model.task.reduces):
        raise RecipeError(f"--frames: expected a colorizer, got a model of the task {model.task.name!r}")
    jobs = sorted(jobs, key=lambda job: _natural(str(job.source)))
    call = model.call(whole=True)
    first_folder = None if model.first is None else model.first.folder
    described = options_of(model.folder, call, options.quality, "frames", first=first_folder)
    done = _up_to_date(jobs, options, records, described)
    yield from (Outcome(job, "skipped", reason="up to date") for job in jobs[:done])
    motion, scenes, state = Motion(), Scenes(), State()
    buffer: deque[_Frame] = deque()
    failed: list[Outcome] = []
    first = max(0, done - WARM_UP)
    wanted = {job.source for job in jobs[done:]}

    def finished(count: int) -> Iterator[Outcome]:
        chunk = [buffer.popleft() for _ in range(min(count, len(buffer)))]
        outputs = steadied([frame.look for frame in chunk], [frame.look for frame in buffer], state, motion)
        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(
                written, [pair for pair in zip(chunk, outputs, strict=True) if pair[0].job.source in wanted]
            )

    def written(pair: tuple[_Frame, np.ndarray]) -> Outcome:
        frame, output = pair
        try:
            source = source_of(frame.job.source)
            result = model.finish(frame.photo, [Output(output)], frame.seen, call)
            write(result, frame.job.target, quality=options.quality)
            if options.keep_date:
                status = frame.job.source.stat()
                os.utime(frame.job.target, ns=(status.st_atime_ns, status.st_mtime_ns))
            records.add(frame.job.source, source, frame.job.target, described)
        except (HashigoError, OSError, MemoryError) as error:
            return Outcome(frame.job, "failed", str(error))
        notes = [*map(advised, result.warnings), losses(result, frame.job.target.suffix)]
        return Outcome(
            frame.job, "done", warnings=tuple(note for note in notes if note), was_coloured=model.recolours(frame.photo)
        )

    for start in range(first, len(jobs), BATCH):
        photos: list[tuple[Job, Photo]] = []
        for job in jobs[start : start + BATCH]:
            try:
                photos.append((job, model.start(read(job.source, max_pixels=options.max_pixels), call)))
            except HashigoError as error:
                failed.append(Outcome(job, "failed", str(error)))
        for job, photo in photos:
            seen = model.prepare(photo, call)
            (output,) = model.each_output(seen, call)
            luma = _luma(photo, motion)
            is_cut = scenes.begins(luma)
            buffer.append(_Frame(job, photo, seen, Look(luma, output.values, is_cut, scenes.change)))
        while len(buffer) >= CHUNK + AHEAD:
            yield from finished(CHUNK)
        yield from failed
        failed.clear()
    yield from finished(len(buffer))


def _luma(photo: Photo, motion: Motion) -> np.ndarray:
    """A frame's luma, small, for motion; large ones are first reduced by whole steps."""
    step = max(1, min(photo.size) // 512)
    pixels = block_means(photo.on_white(), step, step) if step > 1 else photo.on_white()
    if pixels.ndim == 3:
        pixels = np.asarray(pixels @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    return motion.reduced(np.ascontiguousarray(pixels))


def _up_to_date(jobs: Sequence[Job], options: Options, records: Records, described: str) -> int:
    """How many frames at the beginning need not be made."""
    if options.existing == "overwrite":
        return 0
    for number, job in enumerate(jobs):
        try:
            state = records.state(job.source, job.target, described)
        except OSError:
            return number
        if state == "new" or (options.existing == "newer" and state not in ("current", "edited")):
            return number
    return len(jobs)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key in which frame2 comes before frame10."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
    ]  # fmt: skip
