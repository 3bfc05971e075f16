"""Every command's name, module and line of help; and how the words after the name are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from hashigo.cli.parser import Parser

COMMANDS: dict[str, tuple[str, str]] = {
    "colorize": ("hashigo.cli.colorize", "colour black-and-white photos"),
    "apply": ("hashigo.cli.apply", "put photos through any trained model"),
    "train": ("hashigo.cli.train", "train a model on your own pictures"),
    "study": ("hashigo.cli.study", "the article's experiments on any pictures, with statistics, as one page"),
    "features": ("hashigo.cli.features", "what a network's layer makes of pictures, as an .npz file"),
    "evaluate": ("hashigo.cli.evaluate", "measure a model against the originals"),
    "export": ("hashigo.cli.export", "write a model as ONNX"),
    "data": ("hashigo.cli.data", "list, fetch, check and pack sets of pictures"),
    "demo": ("hashigo.cli.demo", "everything once, on pictures that come along, as one page"),
    "doctor": ("hashigo.cli.doctor", "what this machine has and what will be used"),
}
"""Every command: its module, which has `parse(words) -> arguments` and `run(arguments) -> exit status`, and one line of help."""


def parse_words(
    name: str, add_arguments: Callable[[argparse.ArgumentParser], None], words: Sequence[str]
) -> argparse.Namespace:
    """The words after the command `name` as the arguments that `add_arguments` gives a parser."""
    about = COMMANDS[name][1]
    parser = Parser(prog=f"hashigo {name}", description=about[0].upper() + about[1:] + ".")
    add_arguments(parser)
    return parser.parse_args(words)
