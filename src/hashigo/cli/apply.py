"""`hashigo apply MODEL IN… [-o OUT]`, and what `hashigo colorize` shares with it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli import films
from hashigo.cli.arguments import add_engine, add_model, add_treatment, hint, picture_format
from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say, show
from hashigo.errors import ModelError, PictureError, RecipeError

if TYPE_CHECKING:
    from hashigo.apply.jobs import Options, Outcome
    from hashigo.apply.model import Model
    from hashigo.apply.planning import Job
    from hashigo.models.folder import ModelFolder
    from hashigo.tasks import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `apply`; the model comes first."""
    add_model(parser)
    add_shared_arguments(parser)
    parser.set_defaults(command="apply")


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `apply` and `colorize` share."""
    parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="photos, folders, patterns, films (which need ffmpeg), or - for standard input"
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="a folder (sub-folders are kept), a file (for one photo), or - for standard output; by default results go beside their photos",
    )  # fmt: skip
    parser.add_argument(
        "--existing", choices=["newer", "skip", "overwrite", "error"], default="newer",
        help="if a result already exists: newer makes it again if the photo or the options have changed, skip keeps "
        "it, overwrite always makes it again, error stops before anything is written",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="list what would be written, and write nothing")
    parser.add_argument(
        "--page",
        action="store_true",
        help="also write album.html, with every photo before and after, and every failure",
    )
    parser.add_argument(
        "--hint", type=hint, action="append", default=[], metavar="X,Y,#RRGGBB",
        help="the colour at x pixels from the left and y from the top; similar areas nearby follow it; repeatable; for "
        "a single photo or, with @SECONDS appended, for the scene of a single film at that time",
    )  # fmt: skip
    parser.add_argument(
        "--frames", action="store_true",
        help="treat the photos as the frames of a film, in the order of their names, and keep their colours steady",
    )  # fmt: skip
    parser.add_argument(
        "--format", type=picture_format, metavar="EXT", help="write all results in this format, for instance png; by default each photo's own, or JPEG or PNG where that is not possible (GIF, HEIC, …)"
    )  # fmt: skip
    add_treatment(parser)
    add_engine(parser)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("apply", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Colorizes or restores the inputs; returns 1 if some failed."""
    if "-" in args.inputs or args.output == "-":
        return _through(args)
    from hashigo.apply.jobs import Tally
    from hashigo.apply.jobs import run as run_jobs
    from hashigo.apply.planning import failures_path, plan
    from hashigo.apply.record import Records
    from hashigo.models.folder import open_model

    folder, records = open_model(args.model), Records()
    given, photos = films.films_in(args.inputs)
    others: Counter[str] = Counter()
    suffix = args.suffix or folder.task.suffix
    jobs = (
        plan(photos, films.photos_output(args, given), suffix, others, format=args.format or "", records=records)
        if photos
        else []
    )
    film_jobs = films.plan_jobs(given, args, suffix, records)
    if args.dry_run:
        return _show([*jobs, *film_jobs], others)
    hints, timed = films.sorted_hints(args.hint, jobs, film_jobs)
    model = _load(args, folder)
    tally, outcomes = Tally(), []
    try:
        if jobs:
            with progress("photos", len(jobs)) as bar:
                run_all = (
                    films.run_frames(model, jobs, _options(args), records, args.hint)
                    if args.frames
                    else run_jobs(model, jobs, _options(args), hints=hints, records=records)
                )
                for outcome in run_all:
                    tally.add(outcome)
                    outcomes.append(outcome)
                    for line in _lines(outcome):
                        bar.line(line)
                    bar.step(note=outcome.job.source.name)
        for job in film_jobs:
            outcome = films.run_film(model, job, _options(args), records, timed)
            tally.add(outcome)
            outcomes.append(outcome)
            for line in _lines(outcome):
                say(line)
    finally:  # also when the run is interrupted
        if records.problem:
            say(
                f"up-to-date results are recognized by date only, because the record of results cannot be used: {records.problem}"
            )
        say(f"{tally.summary()}{films.left_out(others)}; {_where(args, outcomes)}")
        failures = failures_path(args.inputs, [*jobs, *film_jobs], films.failures_output(args, film_jobs))
        _list_failures(outcomes, failures)
    if args.page:
        shown = [outcome for outcome in outcomes if outcome.job in jobs]
        _write_sheet(args, folder.task, shown, failures.parent)
    return 1 if tally.failed else 0


def _write_sheet(args: argparse.Namespace, task: Task, outcomes: Sequence[Outcome], folder: Path) -> None:
    from hashigo.apply.sheet import NAME, write_sheet
    from hashigo.tasks.capabilities import TakesHints

    path = write_sheet(
        outcomes, folder / NAME, _same_command(args), takes_hints=isinstance(task, TakesHints), max_pixels=_max_pixels(args)
    )  # fmt: skip
    say(f"the album page is {path}")


def _same_command(args: argparse.Namespace) -> list[str]:
    """The command's arguments without photos, output and hints."""
    words = (
        ["hashigo", "colorize", "--model", args.model]
        if args.command == "colorize"
        else ["hashigo", "apply", args.model]
    )
    words += [] if args.vivid is None else ["--vivid", f"{args.vivid:g}"]
    words += ["--size", str(args.size)] if args.size else []
    words += ["--whole"] if args.whole else []
    words += ["--restore-with", args.restore_with] if args.restore_with else []
    return words + (["--quality", str(args.quality)] if args.quality != 92 else [])


def _options(args: argparse.Namespace) -> Options:
    from hashigo.apply.jobs import Options

    return Options(
        existing=args.existing, quality=args.quality, max_pixels=_max_pixels(args), pages=args.pages,
        keep_date=args.keep_date, only_grey=args.only_grey,
    )  # fmt: skip


def _show(jobs: Sequence[Job], others: Counter[str]) -> int:
    """Prints what a run would do."""
    for job in jobs:
        show(f"{job.source} → {job.target}")
    say(f"{len(jobs)} to do{films.left_out(others)}; nothing was written")
    return 0


def _list_failures(outcomes: list[Outcome], path: Path) -> None:
    from hashigo.apply.jobs import write_failures

    try:
        if write_failures(outcomes, path):
            say(f"failures are listed in {path}")
    except OSError as error:
        say(f"failures are only listed above, because {path} cannot be written ({error.strerror or error})")


def _through(args: argparse.Namespace) -> int:
    """One photo from standard input or to standard output; returns 1 if it cannot be read or written."""
    from hashigo.apply.jobs import advised, with_pages
    from hashigo.image.formats import format_for_output, format_of
    from hashigo.image.photo import encode, losses, read, write

    source = _one_input(args)
    target = "-" if args.output is None else args.output
    if target == "-" and sys.stdout.isatty():
        raise RecipeError("expected a file or a pipe for the picture, got the terminal; add -o FILE or redirect")
    if target != "-" and not _may_write(Path(target), args.existing):
        return 0
    model = _load(args)
    try:
        photo = read(
            sys.stdin.buffer.read() if source == "-" else source, max_pixels=_max_pixels(args), pages=args.pages
        )
        result = with_pages(model, photo, model.call(films.sorted_hints(args.hint, [], [])[0]))
        kind = args.format or (format_for_output(photo.format) if target == "-" else format_of(Path(target).suffix))
        for line in [*map(advised, result.warnings), losses(result, kind)]:
            if line:
                say(line)
        if target != "-":
            write(result, target, quality=args.quality, format=kind)
            return 0
        content = encode(result, kind, args.quality)
    except (PictureError, ModelError) as error:
        say(f"failed: {error}")
        return 1
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return 0


def _may_write(target: Path, existing: str) -> bool:
    """Whether a piped result should be written to `target`.

    Raises:
        RecipeError: it is a folder, or it exists and must not.
    """
    if target.is_dir() or not target.suffix:
        raise RecipeError(
            f"expected a file's name with -o for a picture from a pipe, got {target}; add a name such as out.jpg"
        )
    if not target.exists() or existing == "overwrite":
        return True
    if existing == "error":
        raise RecipeError(f"{target} already exists; use --existing skip or overwrite")
    say(f"{target} already exists and was skipped; --existing overwrite makes it again")
    return False


def _one_input(args: argparse.Namespace) -> str | Path:
    from hashigo.files import expand
    from hashigo.image.formats import SUFFIXES

    if args.inputs == ["-"]:
        return "-"
    matches = expand([path for path in args.inputs if path != "-"], SUFFIXES)
    if "-" in args.inputs or len(matches) != 1:
        raise RecipeError("expected one input with '-', got several or none; give files, or one '-'")
    return matches[0][0]


def _load(args: argparse.Namespace, folder: ModelFolder | None = None) -> Model:
    from hashigo.apply.model import load

    return load(
        folder or args.model, engine=args.engine, size=args.size, vivid=args.vivid, whole=args.whole, restore=args.restore_with or False
    )  # fmt: skip


def _max_pixels(args: argparse.Namespace) -> int:
    return int(args.max_megapixels * 1_000_000)


def _lines(outcome: Outcome) -> list[str]:
    if outcome.state == "failed":
        return [f"failed: {outcome.error}"]
    notes = [outcome.job.note] if outcome.job.note else []
    return [f"{outcome.job.source}: {line}" for line in [*notes, *outcome.warnings]]


def _where(args: argparse.Namespace, outcomes: list[Outcome]) -> str:
    if args.output is not None:
        return f"see {args.output}"
    return f"see {outcomes[-1].job.target}" if len(outcomes) == 1 else "results are beside their photos"
