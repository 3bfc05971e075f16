"""`hashigo colorize IN… [-o OUT]`: `hashigo apply` with a colorizer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hashigo.cli import apply
from hashigo.cli.commands import parse_words

DEFAULT_MODEL = "colorizer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments: the model is an option."""
    parser.add_argument("--model", "-m", default=DEFAULT_MODEL, help="a model's name or folder")
    apply.add_shared_arguments(parser)
    parser.set_defaults(command="colorize")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("colorize", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Colorizes the inputs; returns 1 if some failed."""
    return apply.run(args)
