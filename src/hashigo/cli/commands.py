"""Every command's name, module and line of help, and how its arguments are parsed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from hashigo.cli.parser import Parser

COMMANDS: dict[str, tuple[str, str]] = {
    "colorize": ("hashigo.cli.colorize", "colorize black-and-white photos"),
    "apply": ("hashigo.cli.apply", "run photos through any trained model"),
    "serve": ("hashigo.cli.serve", "start a web page and an HTTP API for colorizing photos"),
    "bulk": ("hashigo.cli.bulk", "process millions of photos, resumable"),
    "train": ("hashigo.cli.train", "train a model on your own pictures"),
    "study": ("hashigo.cli.study", "repeat the article's experiments on any pictures and write a report"),
    "generate": ("hashigo.cli.generate", "draw new pictures with a model that can, such as a ladder VAE"),
    "features": ("hashigo.cli.features", "extract features from any layer into an .npz file"),
    "evaluate": ("hashigo.cli.evaluate", "measure how close a model's results are to the originals"),
    "export": ("hashigo.cli.export", "export a model to ONNX"),
    "data": ("hashigo.cli.data", "list, download, check and pack datasets"),
    "demo": (
        "hashigo.cli.demo",
        "colorize bundled photos and, if PyTorch is installed, train two small networks; write a report",
    ),
    "doctor": ("hashigo.cli.doctor", "show what this computer has and what hashigo will use"),
}
"""Every command: its module, which has `parse(words) -> arguments` and `run(arguments) -> exit status`, and one line of help."""


def parse_words(
    name: str, add_arguments: Callable[[argparse.ArgumentParser], None], words: Sequence[str]
) -> argparse.Namespace:
    """Parses the words after the command `name` with the arguments that `add_arguments` adds."""
    about = COMMANDS[name][1]
    parser = Parser(prog=f"hashigo {name}", description=about[0].upper() + about[1:] + ".")
    add_arguments(parser)
    return parser.parse_args(words)
