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
from hashigo.apply.jobs import AGAIN, REASONS, Options, Outcome, advised
from hashigo.apply.model import Model
from hashigo.apply.planning import Job, without_collisions
from hashigo.apply.record import Records, options_of, source_of
from hashigo.apply.views import Seen
from hashigo.errors import HashigoError, PictureError, RecipeError
from hashigo.image.photo import Photo, losses, read, write
from hashigo.image.resizing import block_means
from hashigo.machine import cores
from hashigo.tasks.hints import TimedHint, hint_text
from hashigo.video.colorize import CHUNK, colorize_film, result_suffix
from hashigo.video.film import SUFFIXES, Film, probe
from hashigo.video.frames import read_frames
from hashigo.video.steady import AHEAD, Look, Motion, Scenes, State, steadied

Progress = Callable[[int], object]

LOOKED_AT, COLOURED = 100, 0.02
"""A film is in colour if, in one of so many frames, the chroma is so far from grey on average, relative to the farthest."""

WARM_UP = 16
"""Frames before the first one to be made that are looked at again, so that its colours follow from theirs."""


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a film, by its name."""
    return Path(path).suffix.lower() in SUFFIXES and os.path.isfile(path)  # noqa: PTH113 (Path's raises for too long names)


def plan_films(
    films: Sequence[Path], inputs: Sequence[str], output: str | None, suffix: str, records: Records
) -> list[Job]:
    """The jobs for films: results are `film.suffix.mp4` beside them, or in the folder `output`, or `output` itself for one film.

    inputs: of the whole command, none of which becomes a result. A name that is taken gets its film's own ending, as for photos.

    Raises:
        RecipeError: one file for several films, an input itself, or a file of a kind that cannot be written.
    """
    if output is not None and Path(output).suffix.lower() in SUFFIXES and not Path(output).is_dir():
        target = Path(output)
        if len(films) > 1:
            raise RecipeError(f"{len(films)} films cannot all become {target}; give a folder with -o")
        if any(os.path.realpath(target) == os.path.realpath(given) for given in inputs):
            raise RecipeError(f"{target} would overwrite an input; give another -o")
        if result_suffix(target.suffix) != target.suffix:
            raise RecipeError(
                f"-o {target}: expected a name that ends in .mp4, .m4v, .mov or .mkv, got {target.suffix}"
            )
        return [Job(film, target) for film in films]
    pairs = []
    for film in films:
        name = f"{film.stem}.{suffix}{result_suffix(film.suffix)}"
        pairs.append((film, film.with_name(name) if output is None else Path(output) / name))
    return without_collisions(pairs, records)


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
    notes = [job.note] if job.note else []
    try:
        state = records.state(job.source, job.target, described)
        if options.existing == "skip" and state != "new":
            return Outcome(job, "skipped", reason="there already")
        if options.existing == "newer" and state in REASONS and not (state == "unknown" and _is_newer(job)):
            return Outcome(job, "skipped", reason=REASONS[state])
        if options.existing == "newer" and state != "new":
            notes.append(AGAIN.get(state, "made again: the film is newer"))
        film = probe(job.source)
        if film.width * film.height > options.max_pixels:
            raise PictureError(
                f"{job.source}: expected at most {options.max_pixels / 1e6:g} megapixels, got {film.width} × {film.height}; raise --max-megapixels"
            )
        was_coloured = is_coloured_film(film)
        if was_coloured and options.only_grey:
            return Outcome(job, "skipped", reason="in colour already", was_coloured=True)
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
    except (HashigoError, OSError, MemoryError) as error:
        return Outcome(job, "failed", str(error) or f"{job.source}: out of memory")
    return Outcome(job, "done", warnings=(*notes, *report.notes), was_coloured=was_coloured)


def _is_newer(job: Job) -> bool:
    return job.source.stat().st_mtime_ns > job.target.stat().st_mtime_ns


def is_coloured_film(film: Film) -> bool:
    """Whether a film is in colour already, by its first frames that are not black."""
    frames = read_frames(film)
    grey = 1 << (film.depth - 1)
    for number, frame in enumerate(frames):
        seen = float(np.abs(frame.chroma.astype(np.int32) - grey).mean()) / grey
        if seen > COLOURED:
            frames.close()  # type: ignore[attr-defined]  # it is a generator
            return True
        if number >= LOOKED_AT:
            break
    frames.close()  # type: ignore[attr-defined]
    return False


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
    reasons = [_kept(job, options, records, described) for job in jobs]
    yield from (Outcome(job, "skipped", reason=reason) for job, reason in zip(jobs, reasons, strict=True) if reason)
    numbers = [number for number, reason in enumerate(reasons) if not reason]
    if not numbers:
        return
    wanted = {jobs[number].source for number in numbers}
    first, end = max(0, numbers[0] - WARM_UP), numbers[-1] + 1 + AHEAD
    motion, scenes, state = Motion(), Scenes(), State()
    buffer: deque[_Frame] = deque()
    failed: list[Outcome] = []

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

    for job in jobs[first:end]:
        try:
            photo = model.start(read(job.source, max_pixels=options.max_pixels), call)
            if options.only_grey and model.recolours(photo) and job.source in wanted:
                yield Outcome(job, "skipped", reason="in colour already", was_coloured=True)
                wanted.discard(job.source)
            seen = model.prepare(photo, call)
            (output,) = model.each_output(seen, call)
        except (HashigoError, MemoryError) as error:
            if job.source in wanted:
                failed.append(Outcome(job, "failed", str(error) or f"{job.source}: out of memory"))
            continue
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


def _kept(job: Job, options: Options, records: Records, described: str) -> str:
    """Why a frame's result stays as it is; "" if it is to be made."""
    if options.existing == "overwrite":
        return ""
    try:
        state = records.state(job.source, job.target, described)
        if options.existing == "skip":
            return "" if state == "new" else "there already"
        return "" if state == "unknown" and _is_newer(job) else REASONS.get(state, "")
    except OSError:
        return ""  # reading it says why


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key in which frame2 comes before frame10."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
    ]  # fmt: skip
