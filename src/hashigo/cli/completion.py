"""`hashigo --print-completion SHELL`: a script that lets a shell complete commands, options and file names."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from hashigo.cli.commands import COMMANDS
from hashigo.cli.parser import Parser
from hashigo.errors import RecipeError

FILES = ("inputs", "output", "json", "page", "recipe", "model", "run", "data", "name")
"""Arguments that are completed with names of files and folders."""


def build_parser() -> argparse.ArgumentParser:
    """All commands in one parser, for completion only: each command parses its arguments with its own parser."""
    parser = Parser(prog="hashigo")
    kinds = parser.add_subparsers(dest="command", parser_class=Parser)
    for name, (module, about) in COMMANDS.items():
        command = kinds.add_parser(name, help=about)
        importlib.import_module(module).add_arguments(command)
    return parser


def run(words: Sequence[str]) -> int:
    """Prints the script.

    Raises:
        RecipeError: no shell named, or an unknown one.
    """
    import shtab

    shell = words[0].partition("=")[2] or (words[1] if len(words) > 1 else "")
    if shell not in shtab.SUPPORTED_SHELLS:
        raise RecipeError(f"--print-completion: expected one of {', '.join(shtab.SUPPORTED_SHELLS)}, got {shell!r}")
    parser = build_parser()
    _mark_files(parser, shtab.FILE)
    print(shtab.complete(parser, shell))
    return 0


def _mark_files(parser: argparse.ArgumentParser, files: object) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command, files)
        elif action.dest in FILES and action.nargs != 0:
            action.complete = files  # type: ignore[attr-defined]  # where shtab looks
