"""Plots as SVG text for light and dark pages: lines and letters use the page's text colour.

Each function returns one <svg> element for a page: real text, no network, unique ids, and the same bytes for
the same input. Labels may be `Words`; the SVG then holds both languages, as <tspan class="en"> and <tspan class="ja">,
and the page's style hides one of them. Drawings are 324 units wide with letters of 9 and 10, so that they can be read on
a phone: 30 Japanese or 50 Latin letters fit into one line, half as many more in smaller letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashigo.errors import DataError, RecipeError
from hashigo.pages.drawing import GRID, INK, WIDTH, drawing
from hashigo.pages.words import Text, Words, english

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

COLOURS = (
    "#0a7fbf", "#e78c77", "#d30076", "#136749", "#99730c", "#5801ff", "#75b50b", "#a42700", "#be88fb", "#1eb7ae",
)  # fmt: skip
"""Colours with a contrast of at least 2.4 to both backgrounds of the pages, near-white and near-black, none greyish (Lab
chroma 30 at least), found by a search for ten that differ most: by 29 in CIEDE2000 for most readers, by 10.9 in each kind
of colour blindness (Machado et al. 2009); the first four by 13."""

MARKERS = "os^DvPX"
"""Shapes of the classes in a map, so that colour is not the only sign."""

LEGEND = (
    Words("one run", "1回の学習"),
    Words("95 % interval of the mean", "平均の95%信頼区間"),
    Words("mean", "平均"),
    Words("the article's figure", "記事の値"),
)
"""The default legend of `intervals`."""

Points = Sequence[tuple[float, float]]
"""(x, y) values of a line."""
_Value = TypeVar("_Value")
_Share = TypeVar("_Share", float, NDArray[np.float64])
Labelled = Mapping[str, _Value] | Mapping[Words, _Value] | Mapping[Text, _Value]
"""Values by their labels."""


@dataclass(frozen=True)
class Row:
    """One row of `intervals`; unknown values are nan or None and are left out."""

    label: Text
    points: Sequence[float]
    """The single runs."""
    low: float
    """Lower end of the interval of the mean."""
    mean: float
    high: float
    """Upper end of the interval of the mean."""
    reference: float | None = None
    """A value from elsewhere to compare with, such as the article's."""


def curves(
    series: Labelled[Points],
    *,
    x: Text,
    y: Text,
    log: bool = True,
    dashed: Sequence[Text] = (),
    bands: Labelled[Sequence[tuple[float, float, float]]] | None = None,
    marks: Labelled[Points] | None = None,
    log_x: bool = False,
    y_limits: tuple[float, float] | None = None,
) -> str:
    """Lines of (x, y) points as an SVG element; those named in `dashed` take the colour of the line before them.

    series: label → points. x, y: what the axes show, with units. bands: label of a line → (x, low, high), shaded in the
    line's colour. marks: label → single points; in the line's colour where it is the label of a line, else as diamonds
    with a separate entry in the legend. log, log_x: logarithmic axes, if any value is above 0. y_limits: range of the
    vertical axis, so that several plots can be compared. A line with the label "" is not in the legend.

    Raises:
        RecipeError: a band names no line.
    """
    bands, marks = bands or {}, marks or {}
    if wrong := [english(label) for label in bands if label not in series]:
        raise RecipeError(f"bands: expected labels of lines, {[english(label) for label in series]}, got {wrong}")
    with drawing(2.8) as page:
        axes = page.figure.subplots()
        _set_scales(axes, [*series.values(), *marks.values()], log_x, log)
        colours = _line_colours(series, dashed)
        legend = [(_line(axes, points, colours[label], label in dashed), label) for label, points in series.items()]
        for label, band in bands.items():
            _band(axes, band, colours[label])
        for label, points in marks.items():
            known = label in colours
            colour = colours[label] if known else COLOURS[(len(set(colours.values())) + 1) % len(COLOURS)]
            handle = _marks(axes, points, colour, "o" if known else "D")
            if not known:
                handle.set_markeredgecolor(INK)
                legend.append((handle, label))
        _set_ticks(axes, [float(p[0]) for points in (*series.values(), *marks.values()) for p in points])
        if y_limits is not None:
            axes.set_ylim(*y_limits)
        axes.grid(True, which="major", color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
        page.label(axes, x, y)
        page.legend([(handle, label) for handle, label in legend if english(label)])
        return page.svg()


def intervals(
    rows: Sequence[Row], *, x: Text, references: Sequence[tuple[Text, float]] = (), legend: Sequence[Text] = ()
) -> str:
    """One row per condition: single runs as dots, the mean with its interval, and a value from elsewhere as a diamond.

    x: what the values are, with units. references: (label, value) of dashed vertical lines. legend: what dots, interval,
    mean and diamond are called, by default `LEGEND`; only those used are shown.

    Raises:
        RecipeError: `legend` does not have four texts.
    """
    names = tuple(legend) or LEGEND
    if len(names) != len(LEGEND):
        raise RecipeError(f"legend: expected {len(LEGEND)} texts (run, interval, mean, reference), got {len(names)}")
    with drawing(0.45 + 0.4 * max(1, len(rows))) as page:
        axes = page.figure.subplots()
        handles: dict[str, Line2D] = {}
        for place, row in enumerate(rows):
            handles |= _row(axes, place, row)
            label = axes.text(0, place - 0.2, "", transform=axes.get_yaxis_transform(), va="bottom")
            label.set_in_layout(False)  # long labels would shrink the axes
            page.say(label, row.label, room=0.095 * WIDTH, over_lines=True)
        entries = [(handles[sign], name) for sign, name in zip(_SIGNS, names, strict=True) if sign in handles]
        dashes = ("--", ":", "-.")
        for number, (name, value) in enumerate(references):
            line = axes.axvline(value, color=INK, linewidth=1.2, linestyle=dashes[number % 3], zorder=1)
            entries.append((line, name))
        axes.set_ylim(max(1, len(rows)) - 0.55, -0.8)
        axes.set_yticks([])
        axes.margins(x=0.04)
        axes.grid(True, axis="x", color=GRID)
        axes.spines[["top", "right", "left"]].set_visible(False)
        page.label(axes, x, "")
        page.legend(entries)
        return page.svg()


def matrix(values: ArrayLike, *, rows: Sequence[Text], columns: Sequence[Text], x: Text, y: Text) -> str:
    """A table of counts as tiles, coloured by their share of the row; up to 12×12 with numbers.

    values: (R, C), not negative. rows, columns: R and C labels. x, y: what columns and rows are.

    Raises:
        DataError: the labels do not match the table, or a value is negative or not finite.
    """
    table = np.asarray(values)
    if table.ndim != 2 or table.shape != (len(rows), len(columns)) or not table.size:
        raise DataError(f"matrix: expected a table of {len(rows)}×{len(columns)}, got shape {table.shape}")
    if not np.isfinite(table).all() or table.min() < 0:
        raise DataError("matrix: expected counts, got negative values or values that are not finite; leave them out")
    total = table.sum(axis=1, keepdims=True)
    share = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
    with drawing(0.9 + min(4.0, 0.3 * len(rows))) as page:
        axes = page.figure.subplots()
        few = max(table.shape) <= 12
        deepest = 0.62 if few else 1.0  # numbers stay readable on it in light and dark mode
        axes.pcolormesh(_depth(share), cmap=_shades(deepest), vmin=0, vmax=1, rasterized=not few)
        if few:
            _numbers(axes, table)
        axes.set_ylim(len(rows), 0)
        page.ticks(axes.xaxis, columns, room=0.8 * WIDTH / len(columns))
        page.ticks(axes.yaxis, rows, room=0.33 * WIDTH)
        axes.tick_params(length=0)
        axes.spines[:].set_color(GRID)
        page.label(axes, x, y)
        page.legend([(_tile(deepest * _depth(part)), name) for part, name in _SHARES])
        return page.svg()


def scatter(points: ArrayLike, labels: ArrayLike, *, classes: Sequence[Text]) -> str:
    """A map of points coloured by class, without axes; the points are pixels in the SVG, so that it stays small.

    points: (N, 2). labels: (N,), whole numbers, each an index into `classes`; later points are drawn on top.

    Raises:
        DataError: points and labels do not match, or a label has no class.
    """
    places, kinds = np.asarray(points, np.float64), np.asarray(labels)
    if places.ndim != 2 or places.shape[1] != 2 or kinds.shape != places.shape[:1]:
        raise DataError(f"scatter: expected (N, 2) points with (N,) labels, got {places.shape} and {kinds.shape}")
    if kinds.size and not (kinds.dtype.kind in "iu" and 0 <= kinds.min() <= kinds.max() < len(classes)):
        raise DataError(f"scatter: expected labels 0..{len(classes) - 1}, got {np.unique(kinds)[:5]}… ({kinds.dtype})")
    with drawing(3.2) as page:
        axes = page.figure.subplots()
        size = float(np.clip(16000 / max(1, len(places)), 3, 16))
        slices = 16  # in random order, so that no class hides the others
        for turn in range(slices):
            for kind in range(len(classes)):
                chosen = places[turn::slices][kinds[turn::slices] == kind]
                axes.scatter(
                    chosen[:, 0], chosen[:, 1], s=size, linewidths=0, alpha=0.85, rasterized=True,
                    color=_colour(kind), marker=_marker(kind),
                )  # fmt: skip
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(GRID)
        page.legend([(_dot(_colour(kind), _marker(kind)), name) for kind, name in enumerate(classes)], below=True)
        return page.svg()


# How the parts are drawn


def _line_colours(series: Labelled[Points], dashed: Sequence[Text]) -> dict[Text, str]:
    colours: dict[Text, str] = {}
    colour = -1
    for label in series:
        colour += label not in dashed
        colours[label] = COLOURS[colour % len(COLOURS)]
    return colours


def _line(axes: Axes, points: Points, colour: str, dashed: bool) -> Line2D:
    xs, ys = np.asarray(points, np.float64).reshape(-1, 2).T
    marker = "o" if len(xs) <= 12 else ""  # a few measurements should be visible as such
    style = ":" if dashed else "-"
    return axes.plot(xs, ys, color=colour, linestyle=style, linewidth=1.8, marker=marker, markersize=3)[0]


def _band(axes: Axes, band: Sequence[tuple[float, float, float]], colour: str) -> None:
    table = np.asarray(band, np.float64).reshape(-1, 3)
    xs, low, high = table[np.isfinite(table).all(axis=1)].T
    axes.fill_between(xs, low, high, color=colour, alpha=0.35, linewidth=0)


def _marks(axes: Axes, points: Points, colour: str, marker: str) -> Line2D:
    xs, ys = np.asarray(points, np.float64).reshape(-1, 2).T
    return axes.plot(xs, ys, color=colour, linestyle="", marker=marker, markersize=6)[0]


def _set_scales(axes: Axes, lines: Sequence[Points], log_x: bool, log_y: bool) -> None:
    points: NDArray[np.float64] = np.concatenate(
        [np.asarray(line, np.float64).reshape(-1, 2) for line in lines] or [np.empty((0, 2))]
    )
    # matplotlib warns of a logarithmic axis with nothing on it
    if log_x and (points[:, 0] > 0).any():
        axes.set_xscale("log")
    if log_y and (points[:, 1] > 0).any():
        axes.set_yscale("log")


def _set_ticks(axes: Axes, xs: Sequence[float]) -> None:
    """Ticks at the x values themselves if these are a few whole numbers, and plain numbers on logarithmic axes."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            _plain_log_ticks(axis)
    whole = sorted(set(xs))
    if not whole or any(value != round(value) for value in whole):
        return
    ticks = _apart(whole, math.log if axes.get_xscale() == "log" and whole[0] > 0 else float)
    if len(whole) <= 12:
        axes.set_xticks(ticks, labels=[f"{tick:,.0f}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    elif axes.get_xscale() != "log":
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))


def _apart(values: Sequence[float], place: Callable[[float], float]) -> list[float]:
    """The sorted values whose labels do not overlap; the last one stays."""
    room = 0.09 * (place(values[-1]) - place(values[0]))
    labelled = [values[-1]]
    for value in reversed(values[:-1]):
        if place(labelled[-1]) - place(value) >= room:
            labelled.append(value)
    return labelled[::-1]


def _plain_log_ticks(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high < 5 * low:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    elif high < 200 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


_SIGNS = ("points", "interval", "mean", "reference")


def _row(axes: Axes, place: int, row: Row) -> dict[str, Line2D]:
    """Draws one row of `intervals`; returns a handle for the legend for each sign in it."""
    handles = {}
    blue, orange = COLOURS[:2]
    axes.axhline(place, color=GRID, linewidth=0.8, zorder=0)
    if points := [float(point) for point in row.points if math.isfinite(point)]:
        handles["points"] = axes.plot(
            points, [place] * len(points), alpha=0.7, zorder=3,
            color=blue, linestyle="", marker="o", markersize=4.5, markeredgewidth=0,
        )[0]  # fmt: skip
    if math.isfinite(row.low) and math.isfinite(row.high):
        handles["interval"] = axes.plot(
            [row.low, row.high], [place] * 2, zorder=2, color=blue, linewidth=7, alpha=0.5, solid_capstyle="butt"
        )[0]
    if math.isfinite(row.mean):
        handles["mean"] = _marks(axes, [(row.mean, place)], blue, "o")
        handles["mean"].set(markersize=8, zorder=4, markeredgecolor=INK)
    if row.reference is not None and math.isfinite(row.reference):
        handles["reference"] = _marks(axes, [(row.reference, place)], orange, "D")
        handles["reference"].set(markersize=7, zorder=5, markeredgecolor=INK)
    return handles


_SHARES = ((0.1, "10 %"), (0.5, "50 %"), (1.0, Words("100 % of the row", "行の100%")))


def _shades(deepest: float) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    return LinearSegmentedColormap.from_list("share", [to_rgba(COLOURS[0], 0.0), to_rgba(COLOURS[0], deepest)])


def _depth(share: _Share) -> _Share:
    """The opacity for a share, 0..1: more than proportional, so that small shares are visible."""
    depth: _Share = share**0.7
    return depth


def _tile(alpha: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, facecolor=(COLOURS[0], alpha), edgecolor=GRID)


def _numbers(axes: Axes, table: NDArray[np.generic]) -> None:
    whole = np.array_equal(table, table.round())
    texts = [[f"{value:,.0f}" if whole else f"{value:.2g}" for value in row] for row in table.tolist()]
    longest = max(len(text) for row in texts for text in row)
    size = min(9.0, 0.72 * WIDTH / table.shape[1] / (0.62 * longest))
    for place, row in enumerate(texts):
        for column, text in enumerate(row):
            axes.text(column + 0.5, place + 0.5, text, ha="center", va="center_baseline", fontsize=size)


def _colour(kind: int) -> str:
    return COLOURS[kind % len(COLOURS)]


def _marker(kind: int) -> str:
    return MARKERS[kind % len(MARKERS)]


def _dot(color: str, marker: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, marker=marker, linestyle="", markersize=6, markeredgewidth=0)
