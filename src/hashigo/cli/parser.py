"""An argument parser that suggests the right word for a wrong one."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, NoReturn

from hashigo.errors import did_you_mean, printable


class HelpFormatter(argparse.HelpFormatter):
    """Shows defaults, except None, False and empty ones."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        told = "default" in text or re.search(r"\b0 uses\b", text)
        if not told and action.option_strings and action.default not in (None, False, argparse.SUPPRESS, "", []):
            text += " (default: %(default)s)"
        return text.replace(" (default: %(default)s)", " (on by default)") if action.default is True else text

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-o, --output OUT` instead of `-o OUT, --output OUT`."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        metavar = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {metavar}"


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, with suggestions for wrong words, and with defaults in the help; wrong usage exits with 2.

    Options are spelled with dashes; underscores are accepted too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # argparse's own, which add_parser passes on too
        kwargs.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # argparse's own
        """Like argparse, but treats --batch_size as --batch-size."""
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args([self._dashed(word) for word in words], namespace)

    def _dashed(self, word: str) -> str:
        flag, equals, value = word.partition("=")
        dashed = flag.replace("_", "-")
        return f"{dashed}{equals}{value}" if word.startswith("--") and dashed in self._option_string_actions else word

    def error(self, message: str) -> NoReturn:
        """Prints the usage and the message with a hint, and exits with status 2."""
        unknown = re.search(r"unrecognized arguments: (--?[^\s=]+)", message)
        if unknown:
            message += f"; {did_you_mean(unknown[1], self._option_string_actions)}"
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            names = [name.strip(" '") for name in choice[2].split(",")]
            message = message[: choice.start()] + f"invalid choice {choice[1]!r}; {did_you_mean(choice[1], names)}"
        super().error(printable(message))
