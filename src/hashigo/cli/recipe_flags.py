"""Options that jsonargparse derives from dataclasses, with error messages in hashigo's style."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hashigo.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def as_field(word: str) -> str:
    """An option spelled like the dataclass's field: --batch_size for --batch-size, likewise --data.validation_share."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return f"--{flag[2:].replace('-', '_')}{equals}{value}"


def help_text(parser: ArgumentParser) -> str:
    """The parser's help with dashes in options, without empty defaults and without Python type names."""
    text = re.sub(r"(?<![\w-])--[a-z][\w.]*", lambda match: match[0].replace("_", "-"), parser.format_help())
    text = re.sub(r"\(type:\s[^()]*?,\s+(?=default:)", "(", text)
    text = re.sub(r"\s*\(type:\s[^()]*?\)", "", text)
    text = re.sub(r"\(default:\s*True\)", "(default: true)", text)
    return re.sub(r"\s*\(default:\s*(?:null|None|''|\"\"|\[\]|\{\}|False|false)?\s*\)", "", text)


_TYPES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "dict": "keys and values",
    "list": "a list", "NoneType": "nothing",
}  # fmt: skip


def _plain(message: str) -> str:
    """An error message of jsonargparse without Python type names."""
    message = re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", lambda match: _TYPES.get(match[1], "keys and values"), message)
    message = re.sub(r"\b(Expected|expected) a (a |true|nothing|keys)", r"\1 \2", message)
    message = re.sub(
        r'Parser key "([\w.]+)": Expected ([^.]+)\. Got value: (.*)', r"--\1: expected \2, got \3", message
    )
    return re.sub(r"--[a-z][\w.]*", lambda match: match[0].replace("_", "-"), message)


def with_hint(error: Exception, parser: ArgumentParser) -> RecipeError:
    """A parser's error message on one line, with a suggestion if it mentions an unknown option or key."""
    message = _plain(re.sub(r"\s+", " ", str(error)).strip())
    keys = [word[2:] for action in parser._actions for word in action.option_strings if word.startswith("--")]
    match = re.search(r"(?:[Uu]nrecognized arguments: --|Key ['\"]|[Oo]ption ['\"]|key ['\"])([\w.-]+)", message)
    last = match[1].split("=")[0].replace("-", "_") if match else ""
    shown = [key.replace("_", "-") for key in keys]
    return RecipeError(
        message + ("; " + did_you_mean(last.replace("_", "-"), shown) if last and last not in keys else "")
    )
