"""Plots as SVG text that fits light and dark pages: lines and letters take the page's own text colour."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

INK = "#123456"
"""Stands for the page's text colour while matplotlib draws; replaced by `currentColor` in the SVG."""

COLOURS = ("#1f8fbf", "#e07b39", "#7a9e3c", "#a65fb5", "#c9a227", "#5c7080")
"""Line colours that can be told apart on white and on near-black, and by colour-blind readers in this order."""


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str, log: bool = True, dashed: Sequence[str] = ()
) -> str:
    """Lines of (x, y) points as an SVG element; those named in `dashed` take the colour of the line before them.

    series: label → points. x, y: what the axes show, with units.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink: dict[Any, str] = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hashigo", "font.family": "sans-serif", **ink}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        colour = -1
        for label, points in series.items():
            colour += label not in dashed
            axes.plot(
                *zip(*points, strict=True), label=label, color=COLOURS[colour % len(COLOURS)],
                linestyle=":" if label in dashed else "-", linewidth=1.8,
            )  # fmt: skip
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if log:
            axes.set_yscale("log")
        axes.grid(True, which="major", color="#80808040")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue())


def _inline(svg: str) -> str:
    """The bare <svg> element, as wide as its place, in the page's colours and fonts."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"font: ([\d.]+)px '[^;\"]*", r"font: \1px sans-serif", svg)
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )
