"""Texts in the two languages of the reports: English and Japanese."""

from __future__ import annotations

import html
from typing import NamedTuple


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


def markup(text: Text) -> str:
    """The text as HTML, escaped: `Words` as one span per language, of which a page's style hides one; else as it is."""
    if not isinstance(text, Words):
        return html.escape(text)
    return "".join(
        f"<span class={language} lang={language}>{html.escape(words)}</span>"
        for language, words in zip(Words._fields, text, strict=True)
    )
