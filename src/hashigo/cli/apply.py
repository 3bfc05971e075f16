"""`hashigo apply MODEL IN… [-o OUT]`, and what `hashigo colorize` shares with it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say
from hashigo.errors import ModelError, PictureError, RecipeError

if TYPE_CHECKING:
    from hashigo.apply.jobs import Options, Outcome
    from hashigo.apply.model import Model
    from hashigo.apply.planning import Job
    from hashigo.models.folder import ModelFolder
    from hashigo.tasks import Task
    from hashigo.tasks.hints import Hint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `apply`, which takes its model as the first word."""
    parser.add_argument("model", metavar="MODEL", help="name or folder of a model, or a training run's folder")
    add_shared_arguments(parser)
    parser.set_defaults(command="apply")


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """What `apply` and `colorize` take besides a model."""
    parser.add_argument("inputs", metavar="IN", nargs="+", help="files, folders, patterns, or - for standard input")
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="folder (the tree is mirrored), file (for one input), or - for standard output; beside the inputs if left out",
    )  # fmt: skip
    parser.add_argument(
        "--existing", choices=["newer", "skip", "overwrite", "error"], default="newer",
        help="what to do where a result exists: make it again if the photo or the options have changed (newer), always (overwrite) or "
        "never (skip), or refuse to begin (error)",
    )  # fmt: skip
    parser.add_argument(
        "--format", type=picture_format, default=None, metavar="EXT",
        help="format of all results, for instance png; that of each photo if left out",
    )  # fmt: skip
    parser.add_argument(
        "--suffix", type=name_part, default=None, metavar="WORD",
        help="word before the ending of a result's name, for instance photo.WORD.jpg; the model's own if left out",
    )  # fmt: skip
    parser.add_argument(
        "--pages",
        choices=["first", "all"],
        default="first",
        help="of files with several pages or frames, which to process",
    )
    parser.add_argument(
        "--keep-date",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give each result the date of its photo",
    )
    parser.add_argument("--only-grey", action="store_true", help="leave photos alone that are in colour already")
    parser.add_argument(
        "--size", type=not_negative, default=0, help="short side at which the network sees a photo; 0: the model's"
    )
    parser.add_argument(
        "--vivid", type=share, metavar="V", help="colours from 0, calm, to 1, vivid; the model's own if left out"
    )
    parser.add_argument(
        "--hint", type=hint, action="append", default=[], metavar="X,Y,#RRGGBB",
        help="the colour at a place of the photo, in pixels, which spreads over what looks alike; repeatable, for one photo",
    )  # fmt: skip
    parser.add_argument(
        "--page", action="store_true", help="also write album.html: every photo before and after, and what failed"
    )
    parser.add_argument("--dry-run", action="store_true", help="list what would become what, and write nothing")
    parser.add_argument("--engine", choices=["auto", "openvino", "torch"], default="auto", help="what runs the network")
    parser.add_argument("--quality", type=quality, default=92, help="of JPEG, WebP and AVIF files, 1 to 100")
    parser.add_argument("--max-megapixels", type=above_zero, default=178.0, help="larger photos are refused")


def picture_format(text: str) -> str:
    """Pillow's name of a format that can be written."""
    from hashigo.image.formats import format_of

    try:
        return format_of(text)
    except PictureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def name_part(text: str) -> str:
    """A word that may stand in a file's name."""
    if not text or any(character in text for character in "/\\\0") or text.startswith("."):
        raise argparse.ArgumentTypeError(f"expected a word for a file's name, such as color, got {text!r}")
    return text


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, got {text}")
    return value


def hint(text: str) -> Hint:
    """A colour at a place."""
    from hashigo.tasks.hints import parse_hint

    try:
        return parse_hint(text)
    except PictureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def quality(text: str) -> int:
    """A whole number from 1 to 100."""
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected 1 to 100, got {value}")
    return value


def above_zero(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's words as its arguments."""
    return parse_words("apply", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Colours or restores what was given; 1 if some of it failed."""
    if "-" in args.inputs or args.output == "-":
        return _through(args)
    from hashigo.apply.jobs import Tally
    from hashigo.apply.jobs import run as run_jobs
    from hashigo.apply.planning import failures_path, left_out, plan
    from hashigo.apply.record import Records
    from hashigo.models.folder import open_model

    folder, records = open_model(args.model), Records()
    others: Counter[str] = Counter()
    suffix = args.suffix or folder.task.suffix
    jobs = plan(args.inputs, args.output, suffix, others, format=args.format or "", records=records)
    if args.dry_run:
        return _show(jobs, others)
    model = _load(args, folder)
    tally, outcomes = Tally(), []
    try:
        with progress("photos", len(jobs)) as bar:
            for outcome in run_jobs(model, jobs, _options(args), hints=args.hint, records=records):
                tally.add(outcome)
                outcomes.append(outcome)
                for line in _lines(outcome):
                    bar.line(line)
                bar.step(note=outcome.job.source.name)
    finally:  # also when the run is interrupted
        if records.problem:
            say(f"results are compared by date only, since there is no record of them: {records.problem}")
        say(f"{tally.summary()}{left_out(others)}; {_where(args, outcomes)}")
        failures = failures_path(args.inputs, jobs, args.output)
        _list_failures(outcomes, failures)
    if args.page:
        _write_sheet(args, folder.task, outcomes, failures.parent)
    return 1 if tally.failed else 0


def _write_sheet(args: argparse.Namespace, task: Task, outcomes: Sequence[Outcome], folder: Path) -> None:
    from hashigo.apply.sheet import NAME, write_sheet
    from hashigo.tasks.capabilities import TakesHints

    path = write_sheet(
        outcomes, folder / NAME, _same_command(args), takes_hints=isinstance(task, TakesHints), max_pixels=_max_pixels(args)
    )  # fmt: skip
    say(f"the album is in {path}")


def _same_command(args: argparse.Namespace) -> list[str]:
    """The command's words but for its photos, its output and its hints."""
    words = (
        ["hashigo", "colorize", "--model", args.model]
        if args.command == "colorize"
        else ["hashigo", "apply", args.model]
    )
    words += [] if args.vivid is None else ["--vivid", f"{args.vivid:g}"]
    words += ["--size", str(args.size)] if args.size else []
    return words + (["--quality", str(args.quality)] if args.quality != 92 else [])


def _options(args: argparse.Namespace) -> Options:
    from hashigo.apply.jobs import Options

    return Options(
        existing=args.existing, quality=args.quality, max_pixels=_max_pixels(args), pages=args.pages,
        keep_date=args.keep_date, only_grey=args.only_grey,
    )  # fmt: skip


def _show(jobs: Sequence[Job], others: Counter[str]) -> int:
    """What a run would do, without doing it."""
    from hashigo.apply.planning import left_out

    for job in jobs:
        print(f"{job.source} → {job.target}")
    say(f"{len(jobs)} to do{left_out(others)}; nothing was written")
    return 0


def _list_failures(outcomes: list[Outcome], path: Path) -> None:
    from hashigo.apply.jobs import write_failures

    try:
        if write_failures(outcomes, path):
            say(f"the failures are listed in {path}")
    except OSError as error:
        say(f"the failures are only listed above: {path} cannot be written ({error.strerror or error})")


def _through(args: argparse.Namespace) -> int:
    """One photo by standard input or standard output; 1 if it cannot be read or written."""
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
        result = model.apply(photo, args.hint)
        result = replace(result, further=tuple(model.apply(page) for page in photo.further))
        kind = args.format or (format_for_output(photo.format) if target == "-" else format_of(Path(target).suffix))
        for line in [*photo.warnings, losses(result, kind)]:
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
    """Whether the result of a pipe may go to `target`.

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
        raise RecipeError(f"{target} exists already; use --existing skip or overwrite")
    say(f"{target} exists already; skipped; --existing overwrite makes it again")
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

    return load(folder or args.model, engine=args.engine, size=args.size, vivid=args.vivid)


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
    return f"see {outcomes[-1].job.target}" if len(outcomes) == 1 else "they lie beside their inputs"
