"""What a study's page says of its own settings: how far they are from the article's, and the command to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hashigo.pages.page import Page
from hashigo.pages.words import Words


def departures(ours: Any, article: Any, labels: Mapping[str, Words]) -> list[tuple[Words, object, object]]:
    """(label, ours, the article's) for each setting that `labels` names and that differs."""
    pairs = [(label, getattr(ours, name), getattr(article, name)) for name, label in labels.items()]
    return [(label, mine, theirs) for label, mine, theirs in pairs if mine != theirs]


def say_departures(
    page: Page, quick: bool, found: list[tuple[Words, object, object]], flags: str = "--preset article"
) -> None:
    """Tells on the page what differs from the article's setting, or that nothing does, and the `flags` that give it."""
    if not found:
        page.text(Words("This is the article's full setting.", "記事の設定そのものである。"))
        return
    en = ", ".join(f"{label.en} {_plain(ours)} ({_plain(theirs)})" for label, ours, theirs in found)
    ja = "、".join(f"{label.ja} {_plain(ours)}（{_plain(theirs)}）" for label, ours, theirs in found)
    page.text(
        Words(
            f"This is {'quick: ' if quick else ''}not the article's full setting, which stands in brackets: {en}. In "
            f"full things may come out otherwise; {flags} does that.",
            f"これは{'簡易設定で、' if quick else ''}記事の設定そのものではない（括弧内が記事の値）：{ja}。記事どおりの規模では"
            f"結果が変わりうる。{flags} で実行できる。",
        )
    )


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def command(name: str, settings: Any, presets: Mapping[str, Any]) -> str:
    """The command line that does the study again: the preset and each setting that differs from it."""
    preset = settings.preset if settings.preset in presets else "article"
    words = ["hashigo", "study", name, "--preset", preset]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name != "preset" and value != getattr(presets[preset], field.name):
            flag = "data-root" if field.name == "root" else field.name.replace("_", "-")
            words += [f"--{flag}", str(value).lower() if isinstance(value, bool) else str(value)]
    return shlex.join(words)


def memory(results: Mapping[str, Any]) -> Words:
    """The most memory that a study held, of its `results.json`, and of a GPU's where one was used."""
    held, gpu = results["peak_memory_mb"] or 0, results.get("peak_gpu_memory_mb") or 0
    if not gpu:
        return Words(f"at most {held:,.0f} MB of memory", f"最大メモリ {held:,.0f} MB")
    return Words(
        f"at most {held:,.0f} MB of memory and {gpu:,.0f} MB of the GPU's",
        f"最大メモリ {held:,.0f} MB（GPUメモリ {gpu:,.0f} MB）",
    )
