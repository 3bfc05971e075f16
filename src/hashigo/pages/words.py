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
"""The type of all texts in reports and plots: a `str` is shown unchanged in both languages."""


def english(text: Text) -> str:
    """The English text."""
    return text.en if isinstance(text, Words) else text


def japanese(text: Text) -> str:
    """The Japanese text."""
    return text.ja if isinstance(text, Words) else text


def filled(template: Words, **values: object) -> Words:
    """The template in both languages with `values` in its places, as `str.format` puts them there.

    A value that is `Words` is inserted in each language.

    Raises:
        KeyError: the template has a place without a value.
    """

    def fill(language: str) -> str:
        own = {name: getattr(value, language) if isinstance(value, Words) else value for name, value in values.items()}
        return str(getattr(template, language)).format(**own)

    return Words(fill("en"), fill("ja"))


def escaped(text: str) -> str:
    """Plain text as HTML; control characters, which file names may contain, become visible escapes. Line breaks and tabs stay."""
    return html.escape(
        "".join(part if part in ("\n", "\t") else printable(part) for part in re.split(r"([\n\t])", text))
    )


def markup(text: Text) -> str:
    """The text as escaped HTML: `Words` as one span per language, one of which the page's style hides."""
    if not isinstance(text, Words):
        return escaped(text)
    return "".join(
        f"<span class={language} lang={language}>{escaped(words)}</span>"
        for language, words in zip(Words._fields, text, strict=True)
    )
