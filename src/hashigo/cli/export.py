"""`hashigo export RUN_OR_MODEL -o model.onnx`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hashigo.cli.arguments import add_model
from hashigo.cli.commands import parse_words
from hashigo.cli.console import say
from hashigo.files import check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_model(parser, "RUN_OR_MODEL")
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the ONNX file to write, such as model.onnx"
    )
    parser.add_argument(
        "--weights", choices=("float32", "float16", "int8"), default="float32",
        help="how to store the weights: float16 takes half the space, int8 a quarter",
    )  # fmt: skip
    parser.add_argument(
        "--half", action="store_const", const="float16", dest="weights", help="the same as --weights float16"
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("export", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Writes the ONNX file, with variable batch, height and width."""
    from hashigo.models.folder import load_network, open_model
    from hashigo.models.onnx import export_onnx

    folder = open_model(args.model)
    check_output(args.output, "-o", [".onnx"])
    path = export_onnx(load_network(folder), args.output, args.weights)
    sizes = (
        "any N, H and W" if folder.fixed_size is None else f"any N, H × W fixed to {folder.fixed_size} by the network"
    )
    say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB): input (N, C, H, W) float32, {sizes}")
    return 0
