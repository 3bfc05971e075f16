"""`hashigo data list | get NAME | pack IN… -o FILE | check NAME_OR_DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hashigo.cli.arguments import add_data_root, whole_number
from hashigo.cli.commands import parse_words
from hashigo.cli.console import Bar, progress, say, show
from hashigo.cli.parser import Parser
from hashigo.errors import plural
from hashigo.networks.contract import LARGEST_SIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The four sub-commands."""
    kinds = parser.add_subparsers(
        dest="action", required=True, parser_class=Parser, metavar="list | get | pack | check"
    )
    listing = kinds.add_parser("list", help="list the named datasets and where they are")
    getting = kinds.add_parser("get", help="download a named dataset and verify its checksums; resumes if interrupted")
    getting.add_argument("name", metavar="NAME", help="the dataset's name; see hashigo data list")
    packing = kinds.add_parser("pack", help="pack pictures into one memory-mapped file, or into the article's .npz")
    packing.add_argument("inputs", metavar="IN", nargs="+", help="files, folders, patterns or tar shards")
    packing.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="a .safetensors pack, or an .npz file as in the article"
    )
    packing.add_argument(
        "--size", type=whole_number(0, LARGEST_SIDE), default=0, metavar="PIXELS",
        help="reduce each picture to this short side, in pixels (.npz: to squares of this side, by default 96); 0 keeps its size",
    )  # fmt: skip
    packing.add_argument(
        "--crop", type=whole_number(0, LARGEST_SIDE), default=0, metavar="PIXELS",
        help="keep the central square of this side and leave out smaller pictures; 0 keeps everything",
    )  # fmt: skip
    packing.add_argument("--square-only", action="store_true", help="use only square pictures, as the article does")
    checking = kinds.add_parser("check", help="show what a dataset, folder or pack contains and whether it is intact")
    checking.add_argument("name", metavar="NAME_OR_DIR", help="a dataset's name, a folder or a file")
    for command in (listing, getting, checking):
        add_data_root(command)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("data", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Runs the sub-command; returns 1 if a check found problems."""
    actions = {"list": _list, "get": _get, "pack": _pack, "check": _check}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from hashigo.data import DATASETS, data_root, find_local

    show(f"data root: {data_root(args.data_root)}")
    for name in sorted(DATASETS):
        where = find_local(name, args.data_root)
        show(f"  {name:<10} {DATASETS[name].about}  [{where or 'not here'}]")
    return 0


def _get(args: argparse.Namespace) -> int:
    from hashigo.data import get

    with _counted("bytes") as count:
        say(f"{args.name} is in {get(args.name, args.data_root, count)}")
    return 0


def _pack(args: argparse.Namespace) -> int:
    from hashigo.data.pack import pack, pack_article

    article = Path(args.output).suffix.lower() == ".npz"
    with _counted("pictures") as count:
        if article:
            pictures = pack_article(args.inputs, args.output, args.size or 96, progress=count)
        else:
            pictures = pack(
                args.inputs, args.output, size=args.size or None, crop=args.crop or None, square_only=args.square_only,
                progress=count,
            )  # fmt: skip
    _tell_skipped(pictures.skipped)
    say(f"wrote {args.output}: {plural(len(pictures), 'picture')} ({Path(args.output).stat().st_size / 1e6:.1f} MB)")
    return 0


def _tell_skipped(skipped: Sequence[tuple[str, str]], most: int = 10) -> None:
    for name, reason in skipped[:most]:
        say(f"left out {name}: {reason}")
    if len(skipped) > most:
        say(f"left out {len(skipped) - most} more")


def _check(args: argparse.Namespace) -> int:
    from hashigo.data.check import check

    with _counted("pictures") as count:
        report = check(args.name, args.data_root, count)
    show(f"{report.where}: {report.format}")
    for name, split in report.splits.items():
        sizes = "×".join(map(str, split.smallest))
        if split.largest != split.smallest:
            sizes += " to " + "×".join(map(str, split.largest))
        show(f"  {name:<12}{split.count:>9,} pictures, {sizes}, {split.channels} channels{_labels(split.labels)}")
    for note in report.notes:
        show(f"  note: {note}")
    for problem in report.problems:
        show(f"  problem: {problem}")
    show("  OK" if report.ok else "  NOT OK")
    return 0 if report.ok else 1


def _labels(labels: dict[str, int]) -> str:
    if not labels:
        return ""
    few, many = min(labels.values()), max(labels.values())
    return f", {len(labels)} labels of {few}" + ("" if few == many else f" to {many}")


@contextmanager
def _counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress callback (done, total) for a bar that opens with the first call, and again for each further file."""
    with ExitStack() as opened:
        bar: Bar | None = None
        seen = 0

        def count(done: int, total: int) -> None:
            nonlocal bar, seen
            if bar is None or done < seen:
                opened.close()  # the bar of the file before
                bar, seen = opened.enter_context(progress(what, total)), 0
            bar.step(done - seen)
            seen = done

        yield count
