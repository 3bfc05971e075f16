"""Flags that jsonargparse makes of dataclasses: its errors in hashigo's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hashigo.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def with_hint(error: Exception, parser: ArgumentParser) -> RecipeError:
    """The error of a parser as one line, with the right name where an unknown flag or key is mentioned."""
    message = re.sub(r"\s+", " ", str(error)).strip()
    keys = [word[2:] for action in parser._actions for word in action.option_strings if word.startswith("--")]
    match = re.search(r"(?:[Uu]nrecognized arguments: --|Key ['\"]|[Oo]ption ['\"]|key ['\"])([\w.-]+)", message)
    last = match[1].split("=")[0] if match else ""
    return RecipeError(message + ("; " + did_you_mean(last, keys) if last and last not in keys else ""))
