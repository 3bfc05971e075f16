"""`hashigo demo [-o DIR]`."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
from collections.abc import Sequence

from hashigo.cli.commands import parse_words
from hashigo.cli.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "-o", "--output", default="demo", metavar="DIR", help="folder for the report, photos and training runs"
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("demo", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Runs the demo and says where its report is, and what to try next."""
    from hashigo.demo import demo

    page = demo(args.output, say)
    say(f"done: open {page}")
    program = "hashigo" if shutil.which("hashigo") else sys.argv[0]
    first = "" if importlib.util.find_spec("fastapi") else "pip install 'hashigo[serve]', then "
    say(f"next: colorize your own photos in the browser: {first}{program} serve")
    return 0
