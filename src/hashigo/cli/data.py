"""`hashigo data list | get NAME | pack IN… -o FILE | check NAME_OR_DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hashigo.cli.commands import parse_words
from hashigo.cli.console import Bar, progress, say
from hashigo.cli.parser import Parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The four sub-commands."""
    kinds = parser.add_subparsers(
        dest="action", required=True, parser_class=Parser, metavar="list | get | pack | check"
    )
    listing = kinds.add_parser("list", help="the named sets, and which of them are here")
    getting = kinds.add_parser("get", help="download a named set, with checksums; goes on where it was cut off")
    getting.add_argument("name", metavar="NAME")
    packing = kinds.add_parser(
        "pack", help="one memory-mapped file (.safetensors), or the article's .npz, from pictures"
    )
    packing.add_argument("inputs", metavar="IN", nargs="+", help="files, folders, patterns or tar shards")
    packing.add_argument(
        "-o", "--output", required=True, help=".safetensors: a pack; .npz: as the article packs its cats"
    )
    packing.add_argument(
        "--size", type=int, default=0, help="short side to reduce to (.npz: side, 96 if left out); 0: as is"
    )
    packing.add_argument(
        "--crop", type=int, default=0, help="keeps the central square of this side; smaller pictures are left out"
    )
    packing.add_argument("--square-only", action="store_true", help="only pictures of aspect ratio 1, as the article")
    checking = kinds.add_parser("check", help="what a set or folder holds, and whether it is whole")
    checking.add_argument("name", metavar="NAME_OR_DIR")
    for command in (listing, getting, checking):
        command.add_argument(
            "--data-root", metavar="DIR", help="where the sets lie; else HASHIGO_DATA, else the user's cache"
        )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's words as its arguments."""
    return parse_words("data", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Runs the sub-command; 1 if a check found problems."""
    actions = {"list": _list, "get": _get, "pack": _pack, "check": _check}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from hashigo.data import DATASETS, data_root, find_local

    print(f"data root: {data_root(args.data_root)}")
    for name in sorted(DATASETS):
        where = find_local(name, args.data_root)
        print(f"  {name:<10} {DATASETS[name].about}  [{where or 'not here'}]")
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
    say(f"wrote {args.output}: {len(pictures)} pictures ({Path(args.output).stat().st_size / 1e6:.1f} MB)")
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
    print(f"{report.where}: {report.format}")
    for name, split in report.splits.items():
        sizes = "×".join(map(str, split.smallest))
        if split.largest != split.smallest:
            sizes += " to " + "×".join(map(str, split.largest))
        print(f"  {name:<12}{split.count:>9,} pictures, {sizes}, {split.channels} channels{_labels(split.labels)}")
    for note in report.notes:
        print(f"  note: {note}")
    for problem in report.problems:
        print(f"  problem: {problem}")
    print("  in order" if report.ok else "  NOT in order")
    return 0 if report.ok else 1


def _labels(labels: dict[str, int]) -> str:
    if not labels:
        return ""
    few, many = min(labels.values()), max(labels.values())
    return f", {len(labels)} labels of {few}" + ("" if few == many else f" to {many}")


@contextmanager
def _counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress callback (done, in all) behind a bar that opens with the first call, and anew with each further file."""
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
