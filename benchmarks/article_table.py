"""The figures of article_unet.py: from turns to rows, from rows to Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from turns import Turn


@dataclass(frozen=True)
class Row:
    """A contender's figures over all rounds; rates are pictures/s, and GFLOP/s for the peaks."""

    contender: str
    label: str
    precision: str
    setup: str
    median: float
    least: float
    most: float
    gflops: float
    to_keras: float | None = None
    to_torch: float | None = None
    share_of_peak: float | None = None


def rates(turns: Sequence[Turn], per_step: float) -> dict[int, float]:
    """Work per second by round, where a step does `per_step` of it."""
    return {turn.round: per_step * turn.steps / turn.seconds for turn in turns}


def ratio(own: Mapping[int, float], other: Mapping[int, float] | None) -> float | None:
    """The median over rounds of the ratio within each round: what slows a whole round cancels out."""
    shared = [own[r] / other[r] for r in own if r in other] if other else []
    return median(shared) if shared else None


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    here = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
    lines = [
        f"{here['date']} · {here['cpu']}, {here['cores']} cores ({' '.join(here['flags'])}), {here['memory_gib']} GiB · "
        f"{here['system']}, Python {here['python']} · {versions} · load at start {here['load'][0]}",
    ]
    for phase in report["phases"]:
        lines += ["", *_phase(phase)]
    return "\n".join([*lines, "", *(f"- {note}" for note in report["notes"])])


def _phase(phase: Mapping[str, Any]) -> list[str]:
    into = "grey in, RGB out" if phase["channels"] == 1 else "RGB in and out"
    title = (
        f"### {'Training' if phase['kind'] == 'train' else 'Forward'}, {into}: {phase['parameters']:,} parameters, "
        f"{phase['gflop_per_picture']:.2f} GFLOP per picture, batches of {phase['batch']}"
    )
    head = (
        "| contender | precision | pictures/s: median | min | max | ÷ Keras bf16 | ÷ torch eager fp32 | GFLOP/s | % of peak |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    )
    rows = [_line(row) for row in sorted(phase["rows"], key=lambda row: -row.median)]
    peaks = [
        f"| *{row.label}* | {row.precision} | | | | | | {row.gflops:.0f} ({row.least:.0f}–{row.most:.0f}) | "
        f"{_percent(row.share_of_peak)} |"
        for row in phase["peaks"]
    ]
    return [title, "", *head, *rows, *peaks, "", *_footnotes(phase)]


def _line(row: Row) -> str:
    figures = " | ".join(f"{value:.2f}" for value in (row.median, row.least, row.most))
    return (
        f"| {row.label} | {row.precision} | {figures} | {_times(row.to_keras)} | {_times(row.to_torch)} | "
        f"{row.gflops:.0f} | {_percent(row.share_of_peak)} |"
    )


def _footnotes(phase: Mapping[str, Any]) -> list[str]:
    setups = "; ".join(f"{row.label}: {row.setup}" for row in phase["rows"] if row.setup)
    quiet = [t["elsewhere"] / t["seconds"] / phase["cores"] for t in phase["turns"] if t["elsewhere"] is not None]
    text = f"{phase['rounds']} rounds of {phase['steps']} steps. "
    if quiet:
        text += f"Other processes took {median(quiet):.1%} of the cores (median over turns; at most {max(quiet):.1%}). "
    return [text + (f"As chosen: {setups}." if setups else "")]


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ×"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def plain(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with its rows as plain values, for JSON."""
    phases = [
        {**phase, "rows": [asdict(row) for row in phase["rows"]], "peaks": [asdict(row) for row in phase["peaks"]]}
        for phase in report["phases"]
    ]
    return {**report, "phases": phases}
