"""`hashigo export RUN_OR_MODEL -o model.onnx`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hashigo.cli.commands import parse_words
from hashigo.cli.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="RUN_OR_MODEL", help="name or folder of a model, or a training run's folder")
    parser.add_argument("-o", "--output", required=True, help="the ONNX file to write")
    parser.add_argument("--half", action="store_true", help="weights as float16, half the size")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's words as its arguments."""
    return parse_words("export", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Writes the ONNX file; batch, height and width stay free."""
    from hashigo.models.folder import load_network, open_model
    from hashigo.models.onnx import export_onnx

    folder = open_model(args.model)
    path = export_onnx(load_network(folder), args.output, half=args.half)
    sizes = (
        "any N, H and W" if folder.fixed_size is None else f"any N, H × W fixed to {folder.fixed_size} by the network"
    )
    say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB): input (N, C, H, W) float32, {sizes}")
    return 0
