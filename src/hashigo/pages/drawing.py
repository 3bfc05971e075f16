"""The canvas of plots: a matplotlib figure that becomes SVG text, with labels in both languages of the reports."""

from __future__ import annotations

import hashlib
import io
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hashigo.pages.words import Text, Words, english, escaped, japanese

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text as TextArtist

INK = "#123456"
"""Stands for the page's text colour while matplotlib draws; replaced by `currentColor` in the SVG."""

GRID = "#80808040"
"""Colour of faint lines, on light and dark."""

WIDTH = 324
"""The width of all drawings in units of 1/72 inch. With letters of 10, they can be read on a phone."""

_LETTER = 0.634  # the width of an "n", which stands for all letters while matplotlib draws, in ems

_SMALLEST = 0.65  # smallest factor for a long label; what is still too long is cut off at the edge
_EDGE = ' style="stroke: var(--paper, none); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke"'


class Drawing:
    """A figure `WIDTH` wide whose labels are put in after matplotlib has drawn it.

    Matplotlib sees only placeholders, rows of "n" as wide as the wider language: its fonts need no Japanese letters, the
    layout has room for both languages, and "$" or "_" in a label mean nothing to it.

    figure: the matplotlib figure.
    """

    def __init__(self, height: float) -> None:
        """height: in inches, without the legend."""
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(WIDTH / 72, height), layout="constrained")
        self._texts: dict[str, Text] = {}

    def say(self, artist: TextArtist, text: Text, room: float, *, over_lines: bool = False) -> None:
        """Makes a matplotlib text artist show `text`, in smaller letters if it needs more than `room` ems.

        over_lines: the text is drawn over lines, so it gets an outline in the page's background colour.
        """
        name = f"words-{len(self._texts)}{'-over' if over_lines else ''}"
        self._texts[name] = text
        artist.set_text(_stand_in(text, room))
        artist.set_gid(name)
        artist.set_fontsize(float(artist.get_fontsize()) * min(1.0, max(_SMALLEST, room / max(1.0, _ems(text)))))

    def label(self, axes: Axes, x: Text, y: Text) -> None:
        """Labels the axes."""
        self.say(axes.set_xlabel(""), x, room=0.08 * WIDTH)
        self.say(axes.set_ylabel(""), y, room=6.6 * self.figure.get_figheight())

    def ticks(self, axis: Axis, labels: Sequence[Text], room: float) -> None:
        """Labels in the middle of the cells 0..1, 1..2 … of an axis; slanted if one in a row is wider than `room`.

        room: in units, of which the drawing has `WIDTH`.
        """
        from matplotlib.axis import XAxis

        size = 9 if len(labels) <= 20 else 6
        slanted = isinstance(axis, XAxis) and size * max(map(_ems, labels)) > room
        ems = 8 if slanted else room / size
        every = math.ceil(len(labels) / 40)
        shown = {place + 0.5: label for place, label in enumerate(labels) if place % every == 0}
        axis.set_ticks([*shown], labels=[_stand_in(label, ems) for label in shown.values()])
        for artist, label in zip(axis.get_ticklabels(), shown.values(), strict=True):
            artist.set_fontsize(size)
            self.say(artist, label, room=ems)
            if slanted:
                artist.set(rotation=45, rotation_mode="anchor", ha="right", va="center")

    def legend(self, entries: Sequence[tuple[Artist, Text]], below: bool = False) -> None:
        """A legend of (artist, label) above or below the axes, in as many columns as fit; the figure grows by its rows."""
        if not entries:
            return
        columns = _columns([9 * _ems(label) + 30 for _, label in entries])
        legend = self.figure.legend(
            [artist for artist, _ in entries], ["n"] * len(entries),
            loc="outside lower left" if below else "outside upper left", ncols=columns, frameon=False, fontsize=9,
            handlelength=1.6, handletextpad=0.6, columnspacing=1.0, borderpad=0.1, labelspacing=0.35,
        )  # fmt: skip
        for artist, (_, label) in zip(legend.get_texts(), entries, strict=True):
            self.say(artist, label, room=WIDTH / 9 - 4)
        self.figure.set_figheight(self.figure.get_figheight() + 0.18 * math.ceil(len(entries) / columns))

    def svg(self) -> str:
        """The <svg> element, as wide as its container, in the page's colours and fonts; equal figures give equal bytes."""
        file = io.StringIO()
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(file, format="svg", transparent=True, dpi=150, metadata=no_metadata)
        svg = _bare(file.getvalue())
        # a page has several drawings, and ids apply to the whole page
        mark = "plot-" + hashlib.sha256((svg + repr(self._texts)).encode()).hexdigest()[:8]
        return self._with_texts(_with_own_ids(svg, mark))

    def _with_texts(self, svg: str) -> str:
        def put(match: re.Match[str]) -> str:
            edge = _EDGE if match["name"].endswith("over") else ""
            return f"<g{edge}>{match['head']}{_tspans(self._texts[match['name']])}</text>"

        stand_in = r'<g id="(?P<name>words-\d+(?:-over)?)">(?P<head>\s*(?:<!--.*?-->\s*)?<text [^>]*>)[^<]*</text>'
        return re.sub(stand_in, put, svg)


@contextmanager
def drawing(height: float) -> Iterator[Drawing]:
    """A `Drawing`, with matplotlib's settings in effect while it is drawn; `height` in inches, without the legend."""
    import matplotlib as mpl

    with mpl.rc_context(
        {
            "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
            "svg.fonttype": "none", "svg.hashsalt": "hashigo", "font.family": "sans-serif",
            "figure.constrained_layout.w_pad": 0.07,  # Japanese letters are taller than the placeholders
            "font.size": 10, "xtick.labelsize": 9, "ytick.labelsize": 9,
        }
    ):  # fmt: skip
        yield Drawing(height)


def _ems(text: Text) -> float:
    """The approximate width of the text in the wider of its languages, in ems: 1 for a full-width letter, 0.6 for others."""
    wide = (
        sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.6 for c in s) for s in (english(text), japanese(text))
    )
    return max(wide)


def _stand_in(text: Text, room: float) -> str:
    return "n" * math.ceil(min(_ems(text), room / _SMALLEST) / _LETTER)


def _columns(widths: Sequence[float]) -> int:
    """The number of columns in which items of these widths, in units, fit side by side; filled evenly in order."""
    for rows in range(1, len(widths)):
        columns = math.ceil(len(widths) / rows)
        # matplotlib makes the first columns one longer if the number does not divide
        heights = [len(widths) // columns + (column < len(widths) % columns) for column in range(columns)]
        starts = [sum(heights[:column]) for column in range(columns)]
        if sum(max(widths[a : a + height]) for a, height in zip(starts, heights, strict=True)) <= WIDTH:
            return columns
    return 1


def _tspans(text: Text) -> str:
    if not isinstance(text, Words):
        return escaped(text)
    return "".join(
        f'<tspan class="{language}" lang="{language}">{escaped(words)}</tspan>'
        for language, words in zip(Words._fields, text, strict=True)
    )


def _bare(svg: str) -> str:
    """The <svg> element without matplotlib's style for the whole page, its fonts and its size."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px sans-serif", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height|version|xmlns:xlink)="[^"]*"', "", head)
    return f'{head} style="stroke-linejoin: round; stroke-linecap: butt">{rest.replace("xlink:href", "href")}'


def _with_own_ids(svg: str, mark: str) -> str:
    """Removes unreferenced ids and puts `mark` before the others; those of labels stay."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))

    def rename(match: re.Match[str]) -> str:
        name = match[1]
        return match[0] if name.startswith("words-") else f' id="{mark}-{name}"' if name in used else ""

    svg = re.sub(r' id="([^"]*)"', rename, svg)
    return re.sub(r'(url\(|href=")#([^)"]+)', rf"\1#{mark}-\2", svg)
