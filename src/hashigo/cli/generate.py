"""`hashigo generate MODEL -n 64 -o samples.png`: new pictures from random numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hashigo.cli.arguments import add_model, whole_number
from hashigo.cli.commands import parse_words
from hashigo.cli.console import say
from hashigo.errors import MissingExtraError
from hashigo.files import check_output

MOST = 100_000
"""Pictures at once; one that holds them all would be larger than any viewer opens."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_model(parser)
    parser.add_argument(
        "-n", "--count", type=whole_number(1, MOST), default=64, help="how many pictures; 64 by default"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE_OR_DIR", required=True,
        help="a .png file for one picture that shows them all, or a folder for one file each",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=whole_number(), default=0, help="another seed gives other pictures; 0 by default"
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("generate", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Draws the pictures and writes them."""
    single = bool(Path(args.output).suffix)
    if single:
        check_output(args.output, "-o", [".png"])
    try:
        from hashigo.latents.sampling import sample
    except ModuleNotFoundError as error:
        raise MissingExtraError("generating pictures", "train", error.name or "") from error
    from hashigo.pages.panels import grid, save_png

    pictures = sample(args.model, args.count, seed=args.seed)
    if single:
        save_png(grid([pictures]), Path(args.output))
        say(f"wrote {args.output}: {len(pictures)} pictures")
        return 0
    digits = len(str(len(pictures)))
    for number, picture in enumerate(pictures, 1):
        save_png(picture, Path(args.output) / f"{number:0{digits}}.png")
    say(f"wrote {len(pictures)} pictures to {args.output}")
    return 0
