"""Every error that hashigo raises on purpose, and the wording of messages.

Each message says what was expected, what was found and what to do. All derive from `HashigoError`,
so a caller can catch one class; each also derives from the built-in that fits (`ValueError`,
`OSError`, `ImportError`), so ordinary Python habits keep working.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as by schedulers and `kill`. Like Ctrl-C, this is not an error of the program, so it does not derive from
    `HashigoError`."""


class HashigoError(Exception):
    """The base of all errors that hashigo raises on purpose."""


class PictureError(HashigoError, ValueError):
    """A file or array is not a picture that hashigo can read or write."""


class DataError(HashigoError, ValueError):
    """A dataset is missing, incomplete or in another format than its name says."""


class DownloadError(HashigoError, OSError):
    """A dataset could not be downloaded, or what came does not match its checksum."""


class ModelError(HashigoError, ValueError):
    """A model folder or file cannot be loaded or used for this purpose."""


class RecipeError(HashigoError, ValueError):
    """A recipe or a setting is invalid."""


class StorageError(HashigoError, OSError):
    """A disk is full, or a folder or an object store cannot be used now: nothing is wrong with the photo."""


class BusyError(HashigoError, RuntimeError):
    """Another process is working on the same folder."""


class TrainingError(HashigoError, RuntimeError):
    """Training had to stop, for instance because the loss was not finite."""


class MissingExtraError(HashigoError, ImportError):
    """A part of hashigo needs packages of an extra that is not installed."""

    def __init__(self, what: str, extra: str, missing: str = "", also: str = "") -> None:
        detail = f" ({missing} was not found)" if missing else ""
        command = f"pip install 'hashigo[{extra}]'" + (f" && {also}" if also else "")
        super().__init__(f"{what} needs the extra '{extra}'{detail}: {command}")
        self.extra = extra


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message about a wrong `name`: the most similar and all right ones.

    >>> did_you_mean("colorise", ["colorize", "denoise"])
    "did you mean 'colorize'? Known: colorize, denoise"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known: {', '.join(names)}"


def plural(count: int, noun: str) -> str:
    """The count with its noun, in the plural unless it is one.

    >>> plural(1, "photo"), plural(1200, "picture"), plural(2, "category")
    ('1 photo', '1,200 pictures', '2 categories')
    """
    ending = noun if count == 1 else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {ending}"


_BIDI_CONTROLS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: object) -> str:
    """The text on one line, with control characters escaped, because terminals would obey them.

    A file name may hold line breaks and terminal escape sequences, and a name that is not UTF-8 has surrogates.

    >>> printable("a\\x1b[31m.jpg\\n")
    'a\\\\x1b[31m.jpg\\\\n'
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_control(character) else character for character in text
    )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI_CONTROLS
