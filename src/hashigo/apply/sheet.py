"""A contact sheet: one self-contained page with each photo of an album before and after, and all failures with reasons."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from hashigo.apply.jobs import Outcome
from hashigo.errors import PictureError, plural
from hashigo.image.photo import MAX_PIXELS, Photo, photo_of, read
from hashigo.machine import cores
from hashigo.pages.page import Card, Page
from hashigo.pages.words import Text, Words

SIDE = 640
"""Pictures on the page have at most this many rows and columns, about 60 kB each."""

NAME = "album.html"

_BEFORE, _AFTER = Words("before", "処理前"), Words("after", "処理後")
_AGAIN = Words("Make it again with a colour hint", "色を指定して作り直す")


def write_sheet(
    outcomes: Sequence[Outcome], path: Path, command: Sequence[str], *, takes_hints: bool, max_pixels: int = MAX_PIXELS
) -> Path:
    """Writes the page for the results of a run, including those that it skipped.

    Args:
        outcomes: the outcome of each photo.
        path: the page's file.
        command: the words of the command that makes a result again, up to its path: ("hashigo", "colorize", "-m", "tiny").
        takes_hints: whether the command takes colour hints.
        max_pixels: as in `hashigo.image.read`.
    """
    shown = [outcome for outcome in outcomes if outcome.state != "failed" and outcome.job.target.exists()]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    page = Page(_title(len(shown), len(failed)))

    def card(outcome: Outcome) -> Card:
        again = [*command, str(outcome.job.source), "-o", str(outcome.job.target), "--existing", "overwrite"]
        again += ["--hint", "X,Y,#RRGGBB"] if takes_hints else []
        pictures = [
            (_both(label, outcome.job.source.name), _small(file, max_pixels))
            for label, file in ((_BEFORE, outcome.job.source), (_AFTER, outcome.job.target))
        ]
        link = quote(os.fsencode(_from(path.parent, outcome.job.target)))
        summary = _AGAIN if takes_hints else Words("Make it again", "作り直す")
        return Card(pictures, outcome.job.target.name, link, "; ".join(outcome.warnings), summary, quoted(again))

    with ThreadPoolExecutor(cores()) as pool:
        page.cards(list(pool.map(card, shown)))
    if takes_hints and shown:
        page.text(
            Words(
                "X and Y are pixels from the left and the top of the photo, #RRGGBB is the colour there, such as #c03020. "
                "Several hints may be given.",
                "X と Y は写真の左端・上端からのピクセル数、#RRGGBB はその場所の色（例：#c03020）。複数指定できます。",
            ),
            soft=True,
        )
    if failed:
        page.heading(Words("Failed", "失敗"))
        for outcome in failed:
            page.text(f"{outcome.job.source}: {_reason(outcome)}")
    page.write(path)
    return path


def _title(shown: int, failed: int) -> Words:
    photos = plural(shown, "photo")
    ja = f"写真{shown:,}枚"
    return Words(f"{photos}, {failed:,} failed", f"{ja}、失敗{failed:,}枚") if failed else Words(photos, ja)


def _reason(outcome: Outcome) -> str:
    return outcome.error.removeprefix(f"{outcome.job.source}: ")


def _both(label: Words, name: str) -> Text:
    return Words(f"{name}, {label.en}", f"{name}（{label.ja}）")


def _small(path: Path, max_pixels: int) -> Photo:
    """The photo reduced for the page; a grey square if it can no longer be read."""
    try:
        photo = read(path, max_pixels=max_pixels)
    except PictureError:
        return photo_of(b"P5 8 8 255\n" + bytes([128] * 64))
    scale = SIDE / max(photo.size)
    if scale >= 1:
        return photo
    height, width = (max(1, round(side * scale)) for side in photo.size)
    return photo_of(photo.resized(height, width).clip(0, 1))


def _from(folder: Path, path: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return str(path)


def quoted(words: Sequence[str]) -> str:
    """A command as one types it, on this system."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
