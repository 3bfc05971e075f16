"""Films and folders of frames as jobs: names of results, what is up to date, and outcomes that the command reports as it does those of photos."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.apply.call import Output
from hashigo.apply.jobs import AGAIN, Options, Outcome, advised, reason_to_stay, recorded
from hashigo.apply.model import Model
from hashigo.apply.planning import Job, without_collisions
from hashigo.apply.record import Records, options_of, source_of
from hashigo.apply.record import State as Existing
from hashigo.apply.views import Seen as Views
from hashigo.errors import HashigoError, PictureError, RecipeError
from hashigo.image.photo import Photo, losses, read, write
from hashigo.image.resizing import block_means
from hashigo.machine import cores
from hashigo.tasks.hints import TimedHint, hint_text
from hashigo.video.colorize import colorize_film
from hashigo.video.film import SUFFIXES, Film, probe
from hashigo.video.frames import read_frames
from hashigo.video.joining import result_suffix
from hashigo.video.steady import AHEAD, Floats, Look, Motion, Scenes, State, steadied

Progress = Callable[[int], object]

LOOKED_AT, COLOURED = 100, 0.02
"""A film is in colour if, in one of so many frames, the chroma is so far from grey on average, relative to the farthest."""

CHUNK = 16
"""Frames that are averaged at a time."""

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
    try:
        state = records.state(job.source, job.target, described)
        if reason := _stays(job, state, options):
            return Outcome(job, "skipped", reason=reason)
        film = probe(job.source)
        if film.width * film.height > options.max_pixels:
            raise PictureError(
                f"{job.source}: expected at most {options.max_pixels / 1e6:g} megapixels, got {film.width} × {film.height}; raise --max-megapixels"
            )
        was_coloured = is_coloured(film)
        if was_coloured and options.only_grey:
            return Outcome(job, "skipped", reason="in colour already", was_coloured=True)
        source = source_of(job.source)
        report = colorize_film(
            model, job.source, job.target, hints=hints, quality=rate_factor(options.quality), progress=progress
        )
    except RecipeError:
        raise
    except (HashigoError, OSError, MemoryError) as error:
        return Outcome(job, "failed", str(error) or f"{job.source}: out of memory")
    except Exception as error:  # of OpenCV, for instance: one odd film never stops the rest
        return Outcome(job, "failed", f"{job.source}: {type(error).__name__}: {error}")
    again = AGAIN.get(state, "") if options.existing == "newer" else ""
    notes = [again, *report.notes, recorded(records, job, source, described, (), options)]
    return Outcome(job, "done", warnings=tuple(note for note in notes if note), was_coloured=was_coloured)


def _stays(job: Job, state: Existing, options: Options) -> str:
    """Why an existing result is not made again; "" if it is, or there is none. Raises OSError."""
    if options.existing == "newer":
        return reason_to_stay(job, state)
    return "there already" if options.existing == "skip" and state != "new" else ""


def is_coloured(film: Film) -> bool:
    """Whether a film is in colour already, by its first frames."""
    grey = 1 << (film.depth - 1)
    with closing(read_frames(film)) as frames:
        return any(
            float(np.abs(frame.chroma.astype(np.int32) - grey).mean()) / grey > COLOURED
            for frame in islice(frames, LOOKED_AT)
        )


# --- a folder of frames -----------------------------------------------------------------------------


def run_frames(model: Model, jobs: Sequence[Job], options: Options, records: Records) -> Iterator[Outcome]:
    """Colorizes photos as the frames of a film, in the order of their names, with numbers in the names taken as numbers.

    Results that are up to date stay as they are. A frame that cannot be read is listed, and the next one follows the one before it.

    Raises:
        RecipeError: the model is no colorizer.
    """
    if not (model.task.adds_colour and model.task.reduces):
        raise RecipeError(f"--frames: expected a colorizer, got a model of the task {model.task.name!r}")
    jobs = sorted(jobs, key=lambda job: _natural(str(job.source)))
    frames = _Frames(model, options, records)
    reasons = [frames.reason_to_stay(job) for job in jobs]
    yield from (Outcome(job, "skipped", reason=reason) for job, reason in zip(jobs, reasons, strict=True) if reason)
    numbers = [number for number, reason in enumerate(reasons) if not reason]
    if numbers:
        frames.wanted = {jobs[number].source for number in numbers}
        yield from frames.run(jobs[max(0, numbers[0] - WARM_UP) : numbers[-1] + 1 + AHEAD])


@dataclass
class _Seen:
    """A frame as the network saw it."""

    job: Job
    photo: Photo
    views: Views
    look: Look


class _Frames:
    """Frames on their way: seen one at a time, averaged in chunks.

    wanted: the photos whose results are to be made; the others are only looked at, because their neighbours' colours follow from theirs.
    """

    def __init__(self, model: Model, options: Options, records: Records) -> None:
        self.model, self.options, self.records = model, options, records
        self.call = model.call(whole=True)
        first = None if model.first is None else model.first.folder
        self.described = options_of(model.folder, self.call, options.quality, "frames", first=first)
        self.wanted: set[Path] = set()
        self.motion, self.scenes, self.state = Motion(), Scenes(), State()
        self.waiting: deque[_Seen] = deque()

    def reason_to_stay(self, job: Job) -> str:
        """Why a frame's result is not made again; "" if it is."""
        try:
            return _stays(job, self.records.state(job.source, job.target, self.described), self.options)
        except OSError:
            return ""  # reading it says why

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """The outcomes of the frames that are wanted."""
        with ThreadPoolExecutor(cores()) as pool:
            for job in jobs:
                outcome = self._look(job)
                if outcome is not None and job.source in self.wanted:
                    self.wanted.discard(job.source)
                    yield outcome
                while len(self.waiting) >= CHUNK + AHEAD:
                    yield from self._finished(CHUNK, pool)
            yield from self._finished(len(self.waiting), pool)

    def _look(self, job: Job) -> Outcome | None:
        """Lets the network see a frame; the outcome, if there will be no result."""
        try:
            photo = self.model.start(read(job.source, max_pixels=self.options.max_pixels), self.call)
            views = self.model.prepare(photo, self.call)
            (output,) = self.model.each_output(views, self.call)
        except (HashigoError, MemoryError) as error:
            return Outcome(job, "failed", str(error) or f"{job.source}: out of memory")
        luma = _luma(photo, self.motion)
        look = Look(luma, output.values, self.scenes.begins(luma), self.scenes.change)
        self.waiting.append(_Seen(job, photo, views, look))
        if self.options.only_grey and self.model.recolours(photo):
            return Outcome(job, "skipped", reason="in colour already", was_coloured=True)
        return None

    def _finished(self, count: int, pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        chunk = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        outputs = steadied([seen.look for seen in chunk], [seen.look for seen in self.waiting], self.state, self.motion)
        pairs = zip(chunk, outputs, strict=True)
        yield from pool.map(self._written, [pair for pair in pairs if pair[0].job.source in self.wanted])

    def _written(self, pair: tuple[_Seen, Floats]) -> Outcome:
        seen, output = pair
        job = seen.job
        try:
            source = source_of(job.source)
            result = self.model.finish(seen.photo, [Output(output)], seen.views, self.call)
            write(result, job.target, quality=self.options.quality)
        except (HashigoError, OSError, MemoryError) as error:
            return Outcome(job, "failed", str(error) or f"{job.source}: out of memory")
        notes = [
            *map(advised, result.warnings), losses(result, job.target.suffix),
            recorded(self.records, job, source, self.described, (), self.options),
        ]  # fmt: skip
        recoloured = self.model.recolours(seen.photo)
        return Outcome(job, "done", warnings=tuple(note for note in notes if note), was_coloured=recoloured)


def _luma(photo: Photo, motion: Motion) -> NDArray[np.uint8]:
    """A frame's luma, small, for motion; large ones are first reduced by whole steps."""
    step = max(1, min(photo.size) // 512)
    return motion.reduced(np.asarray(Image.fromarray(block_means(photo.on_white(), step, step)).convert("L")))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key in which frame2 comes before frame10."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
    ]  # fmt: skip
