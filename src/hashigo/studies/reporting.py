"""Parts of all studies' pages: claims, differences from the article's settings, and how the results were obtained."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple, TypeVar

from hashigo.pages.page import Page
from hashigo.pages.words import Words
from hashigo.studies.claims import Claim
from hashigo.studies.folder import Facts
from hashigo.studies.serializing import Json
from hashigo.studies.settings import Settings

S = TypeVar("S", bound=Settings)


ARTICLE_CLAIMS = Words("The article's claims", "記事の主張")
"""The usual heading above claims."""


def say_claims(page: Page, claims: Sequence[Claim], heading: Words = ARTICLE_CLAIMS) -> None:
    """Claims, by default the article's, each with its verdict and evidence."""
    page.heading(heading)
    for claim in claims:
        page.verdict(claim.text, claim.verdict, claim.evidence)


class Departure(NamedTuple):
    """A setting that differs from the article's."""

    label: Words
    ours: object
    article: object


def departures(ours: S, article: S, labels: Mapping[str, Words]) -> list[Departure]:
    """The settings that `labels` names and that differ from the article's."""
    pairs = [Departure(label, getattr(ours, name), getattr(article, name)) for name, label in labels.items()]
    return [pair for pair in pairs if pair.ours != pair.article]


def say_departures(page: Page, quick: bool, differing: Sequence[Departure], flags: str = "--preset article") -> None:
    """Lists on the page what differs from the article's setting, if anything, and the `flags` for that setting."""
    if not differing:
        page.text(Words("This is the article's full setting.", "記事の設定そのものである。"))
        return
    en = ", ".join(f"{label.en} {_grouped(ours)} ({_grouped(theirs)})" for label, ours, theirs in differing)
    ja = "、".join(f"{label.ja} {_grouped(ours)}（{_grouped(theirs)}）" for label, ours, theirs in differing)
    page.text(
        Words(
            f"This {'quick study' if quick else 'study'} is not the article's full setting (in brackets): {en}. The "
            f"article's setting may give other results; run it with {flags}.",
            f"これは{'簡易設定で、' if quick else ''}記事の設定そのものではない（括弧内が記事の値）：{ja}。記事どおりの規模では"
            f"結果が変わりうる。{flags} で実行できる。",
        )
    )


def _grouped(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def command(name: str, settings: S, presets: Mapping[str, S]) -> str:
    """The command line that repeats the study: the preset and each setting that differs from it."""
    preset = settings.preset if settings.preset in presets else "article"
    words = ["hashigo", "study", name, "--preset", preset]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name != "preset" and value != getattr(presets[preset], field.name):
            flag = "--" + field.name.replace("_", "-")
            words += [flag, str(value).lower() if isinstance(value, bool) else str(value)]
    return shlex.join(words)


def say_how_made(page: Page, command_line: str, summary: Words, facts: Facts, **more: Json) -> None:
    """The command that repeats the study, a sentence, and settings, machine and `more` as JSON to unfold."""
    page.heading(Words("How it was made", "実行条件"))
    page.code(command_line)
    page.text(summary)
    about = {"settings": facts.settings, **more, "environment": facts.environment.as_dict()}
    page.details(
        Words("Settings, machine and versions", "設定・環境・バージョン"),
        json.dumps(about, indent=1, ensure_ascii=False),
    )


def memory(facts: Facts) -> Words:
    """A study's peak memory, and that on a GPU if one was used."""
    held, gpu = facts.peak_memory_mb or 0, facts.peak_gpu_memory_mb
    if not gpu:
        return Words(f"at most {held:,.0f} MB of memory", f"最大メモリ {held:,.0f} MB")
    return Words(
        f"at most {held:,.0f} MB of memory and {gpu:,.0f} MB of the GPU's",
        f"最大メモリ {held:,.0f} MB（GPUメモリ {gpu:,.0f} MB）",
    )
