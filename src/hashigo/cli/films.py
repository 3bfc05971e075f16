"""Films among the inputs of `hashigo colorize` and `hashigo apply`."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli.console import progress, say
from hashigo.errors import RecipeError

if TYPE_CHECKING:
    from hashigo.apply.jobs import Options, Outcome
    from hashigo.apply.model import Model
    from hashigo.apply.planning import Job
    from hashigo.apply.record import Records
    from hashigo.tasks.hints import Hint, TimedHint


def films_in(inputs: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The inputs that are films, and the others."""
    from hashigo.video.jobs import is_film

    films = [Path(given) for given in inputs if is_film(given)]
    return films, [given for given in inputs if not is_film(given)]


def photos_output(args: argparse.Namespace, films: Sequence[Path]) -> str | None:
    """Where photos' results go. Raises RecipeError for a file's name where there are films, too."""
    if films and args.output is not None and Path(args.output).suffix and not Path(args.output).is_dir():
        raise RecipeError(f"expected a folder with -o for photos and films together, got {args.output}")
    output: str | None = args.output
    return output


def failures_output(args: argparse.Namespace, films: Sequence[Job]) -> str | None:
    """Where failures are listed: beside the result of a single film."""
    if len(films) == 1 and args.output is not None and films[0].target == Path(args.output):
        return str(films[0].target.parent)
    output: str | None = args.output
    return output


def plan_jobs(films: Sequence[Path], args: argparse.Namespace, suffix: str, records: Records) -> list[Job]:
    """The films' jobs.

    Raises:
        RecipeError: see `plan_films`; a result exists and must not; or films are to be restored.
    """
    from hashigo.video.jobs import plan_films

    jobs = plan_films(films, args.inputs, args.output, suffix, records)
    there = [job.target for job in jobs if job.target.exists()] if args.existing == "error" else []
    if there:
        raise RecipeError(f"{there[0]} already exists ({len(there)} in all); use --existing newer, skip or overwrite")
    if jobs and args.restore_with:
        raise RecipeError("--restore-with: expected photos, got a film; films cannot be restored")
    ignored = [f"--{name}" for name in ("format", "page") if getattr(args, name)] if jobs else []
    if ignored:
        say(f"{', '.join(ignored)}: of no effect for films")
    return jobs


def sorted_hints(
    given: Sequence[Hint | TimedHint], jobs: Sequence[Job], films: Sequence[Job]
) -> tuple[list[Hint], list[TimedHint]]:
    """Hints for a photo, and for a film.

    Raises:
        RecipeError: a hint for the one where there is only the other, or for one of several films.
    """
    from hashigo.tasks.hints import Hint, TimedHint

    plain = [hint for hint in given if isinstance(hint, Hint)]
    timed = [hint for hint in given if isinstance(hint, TimedHint)]
    if timed and len(films) != 1:
        raise RecipeError(f"--hint with @SECONDS: expected one film, got {len(films)}; colorize them one at a time")
    if plain and films and not jobs:
        raise RecipeError('--hint: expected a time for a film, such as "120,80,#c03020@12.5", got none')
    return plain, timed


def run_film(model: Model, job: Job, options: Options, records: Records, hints: Sequence[TimedHint]) -> Outcome:
    """A film's outcome, with a progress bar."""
    from hashigo.errors import PictureError
    from hashigo.video import jobs as making
    from hashigo.video.film import probe

    try:
        frames = probe(job.source).frames
    except PictureError:
        frames = 0  # running it says why
    with progress(job.source.name, frames) as bar:
        start, before = time.monotonic(), 0

        def count(done: int) -> None:
            nonlocal before
            bar.step(done - before, f"{done / max(1e-9, time.monotonic() - start):.1f} frames/s" if before else "")
            before = done

        return making.run_film(model, job, options, records, hints, count)


def run_frames(
    model: Model, jobs: Sequence[Job], options: Options, records: Records, hints: Sequence[object]
) -> Iterator[Outcome]:
    """The outcomes of a folder of frames."""
    from hashigo.video import jobs as making

    if hints:
        raise RecipeError("--frames: expected no hints, which are for a single photo or film; got some")
    return making.run_frames(model, jobs, options, records)


def left_out(others: Counter[str]) -> str:
    """What was left out of folders, for a summary."""
    from hashigo.apply import planning
    from hashigo.video.film import SUFFIXES

    films = others.keys() & SUFFIXES
    return f"{planning.left_out(others)}{' (name films one by one to colorize them)' if films else ''}"
