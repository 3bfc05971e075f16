"""An argument parser that helps: a wrong word is answered with the right one."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from hashigo.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, with did-you-mean, and with defaults shown in the help; wrong usage exits with 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # argparse's own, which add_parser passes on too
        kwargs.setdefault("formatter_class", argparse.ArgumentDefaultsHelpFormatter)
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Prints the usage and the message with a hint, and exits with status 2."""
        unknown = re.search(r"unrecognized arguments: (--?[^\s=]+)", message)
        if unknown:
            message += f"; {did_you_mean(unknown[1], self._option_string_actions)}"
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            names = [name.strip(" '") for name in choice[2].split(",")]
            message = message[: choice.start()] + f"invalid choice {choice[1]!r}; {did_you_mean(choice[1], names)}"
        super().error(message)
