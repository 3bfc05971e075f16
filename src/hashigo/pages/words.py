"""Texts in the two languages of the reports: English and Japanese."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from hashigo.errors import printable


class Words(NamedTuple):
    """One text in both languages of the reports. Plain text, no markup."""

    en: str
    """English."""
    ja: str
    """Japanese."""


Text = str | Words
"""What reports and plots take wherever they show a text: a `str` is shown as it is in both languages."""


def english(text: Text) -> str:
    """The text for readers of English."""
    return text.en if isinstance(text, Words) else text


def japanese(text: Text) -> str:
    """The text for readers of Japanese."""
    return text.ja if isinstance(text, Words) else text


def filled(template: Words, **values: object) -> Words:
    """The template in both languages with `values` in its places, as `str.format` puts them there.

    A value that is `Words` gives each language its own.

    Raises:
        KeyError: the template has a place for which there is no value.
    """

    def fill(language: str) -> str:
        own = {name: getattr(value, language) if isinstance(value, Words) else value for name, value in values.items()}
        return str(getattr(template, language)).format(**own)

    return Words(fill("en"), fill("ja"))


def escaped(text: str) -> str:
    """Plain text as HTML; control characters, which file names may hold, become visible escapes. Line breaks and tabs stay."""
    return html.escape(
        "".join(part if part in ("\n", "\t") else printable(part) for part in re.split(r"([\n\t])", text))
    )


def markup(text: Text) -> str:
    """The text as HTML, escaped: `Words` as one span per language, of which a page's style hides one; else as it is."""
    if not isinstance(text, Words):
        return escaped(text)
    return "".join(
        f"<span class={language} lang={language}>{escaped(words)}</span>"
        for language, words in zip(Words._fields, text, strict=True)
    )
