"""`hashigo bulk plan | run | status | retry … -o OUT`: millions of photos."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hashigo.cli.arguments import above_zero, add_engine, add_treatment, add_workers, picture_format
from hashigo.cli.colorize import DEFAULT_MODEL
from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say, show
from hashigo.cli.parser import Parser

if TYPE_CHECKING:
    from hashigo.bulk.engines.base import Engine
    from hashigo.bulk.run import Totals
    from hashigo.bulk.settings import BulkSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The four sub-commands."""
    kinds = parser.add_subparsers(
        dest="action", required=True, parser_class=Parser, metavar="plan | run | status | retry"
    )
    planning = kinds.add_parser(
        "plan", help="find all photos and divide them into shards; again later for new and changed photos"
    )
    planning.add_argument(
        "inputs", metavar="IN", nargs="+", help="folders, patterns, photos, tar files, or addresses such as s3://bucket/folder"
    )  # fmt: skip
    planning.add_argument(
        "--format", type=picture_format, metavar="EXT", help="write all results in this format, for instance png"
    )
    running = kinds.add_parser(
        "run", help="process all shards that are not done yet; continues where an earlier run stopped"
    )
    _add_run(running)
    retrying = kinds.add_parser("retry", help="try the failed photos again, with the options of the last run")
    for command in (running, retrying):
        command.add_argument(
            "--engine", choices=["local", "ray"], default="local", help="where workers run: on this computer, or on a Ray cluster"
        )  # fmt: skip
        add_workers(command, 4096, "photos processed at a time")
    status = kinds.add_parser("status", help="show what is done, failed and remaining, the rate and the time left")
    for command in (planning, running, status, retrying):
        command.add_argument(
            "-o", "--output", metavar="OUT", required=True, help="the folder or address for results, where the plan is"
        )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", "-m", default=DEFAULT_MODEL, help="a model's name or folder")
    add_treatment(parser)
    parser.add_argument("--tars", action="store_true", help="write one tar file per shard instead of single files")
    parser.add_argument(
        "--photo-seconds", type=above_zero, default=300, metavar="S", help="stop a photo that takes longer, and list it as failed"
    )  # fmt: skip
    parser.add_argument(
        "--photo-mb", type=above_zero, default=4000, metavar="MB", help="memory that photos may take, per worker"
    )
    add_engine(parser, "--backend")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("bulk", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Runs the sub-command; returns 1 if some photos failed."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "plan": _plan,
        "run": _run,
        "retry": _retry,
        "status": _status,
    }
    return actions[args.action](args)


def _plan(args: argparse.Namespace) -> int:
    from hashigo.bulk.plan import make_plan, summary

    with progress("photos", 0) as bar:
        before = 0

        def count(photos: int) -> None:
            nonlocal before
            bar.step(photos - before, "found so far")
            before = photos

        plan = make_plan(args.inputs, args.output, format=args.format or "", say=bar.line, progress=count)
    say(f"{summary(plan)}; now: hashigo bulk run -o {args.output}")
    return 0


def _run(args: argparse.Namespace) -> int:
    return _process(args, _settings(args), again=False)


def _retry(args: argparse.Namespace) -> int:
    from hashigo.bulk.run import read_settings

    return _process(args, read_settings(args.output), again=True)


def _process(args: argparse.Namespace, settings: BulkSettings, *, again: bool) -> int:
    from hashigo.bulk.run import run_bulk, summary

    totals: Totals | None = None
    with _counting(args.output) as count:

        def note(now: Totals) -> None:
            nonlocal totals
            totals = now
            count(now)

        try:
            totals = run_bulk(args.output, settings, _engine(args), again=again, progress=note)
        finally:  # also when the run is interrupted
            if totals is not None:
                listed = f"; failures are listed in {args.output.rstrip('/')}/failures.jsonl" if totals.failed else ""
                say(f"{summary(totals)}{listed}; see {args.output}")
    return 1 if totals.failed or totals.lost or totals.remaining else 0


@contextmanager
def _counting(output: str) -> Iterator[Callable[[Totals], None]]:
    from hashigo.bulk.plan import read_plan

    with progress("photos", read_plan(output).photos) as bar:
        before = 0

        def count(totals: Totals) -> None:
            nonlocal before
            now = totals.photos - totals.remaining
            bar.step(now - before, f"{totals.rate:.1f} photos/s")
            before = now

        yield count


def _engine(args: argparse.Namespace) -> Engine:
    if args.engine == "ray":
        from hashigo.bulk.engines.ray import RayEngine

        return RayEngine(args.workers)
    from hashigo.bulk.engines.local import LocalEngine

    return LocalEngine(args.workers)


def _settings(args: argparse.Namespace) -> BulkSettings:
    from hashigo.bulk.settings import BulkSettings, absolute_model

    return BulkSettings(
        model=absolute_model(args.model), vivid=args.vivid, size=args.size, whole=args.whole, restore="" if args.restore_with is None else absolute_model(args.restore_with), only_grey=args.only_grey, pages=args.pages,
        quality=args.quality, max_megapixels=args.max_megapixels, suffix=args.suffix or "", keep_date=args.keep_date, tars=args.tars,
        backend=args.backend, photo_seconds=args.photo_seconds, photo_mb=args.photo_mb,
    )  # fmt: skip


def _status(args: argparse.Namespace) -> int:
    from hashigo.bulk.run import read_status

    status = read_status(args.output)
    totals = status.totals
    show(f"photos      {totals.photos:,}")
    show(f"done        {totals.done:,}")
    if totals.left:
        show(f"left alone  {totals.left:,}")
    show(f"failed      {totals.failed:,}")
    show(f"remaining   {totals.remaining:,}")
    if status.rate:
        show(f"rate        {status.rate:.1f} photos/s{'' if status.running else ' (last run)'}")
    if status.seconds_left and totals.remaining:
        show(f"time left   {_duration(status.seconds_left)}{'' if status.running else ', once it runs again'}")
    return 1 if totals.failed else 0


def _duration(seconds: float) -> str:
    """For instance "3 h 20 min"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [
        f"{days} d" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part)
