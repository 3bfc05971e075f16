"""`hashigo evaluate MODEL IN… [--json FILE] [--page FILE]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.cli.arguments import add_datasets, add_engine, add_model, add_size, add_vivid, whole_number
from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say, show

if TYPE_CHECKING:
    from hashigo.apply.model import Model
    from hashigo.evaluation.measure import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_model(parser)
    add_datasets(parser)
    parser.add_argument("--json", metavar="FILE", help="write all figures, overall and for each picture")
    parser.add_argument("--page", metavar="FILE", help="write a page with the best, typical and worst results")
    parser.add_argument(
        "--hints", type=whole_number(0, 1000), default=0, metavar="N",
        help="give the model this many random colour hints per picture",
    )  # fmt: skip
    add_vivid(parser)
    add_size(parser, "short side, in pixels, of the reduced copy that the network sees")
    add_engine(parser)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("evaluate", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Measures and prints a table of means; returns 1 if a picture could not be read."""
    from hashigo.apply.model import load
    from hashigo.data import open_dataset
    from hashigo.evaluation.measure import evaluate
    from hashigo.files import atomic_path, check_output

    for option, ending in (("json", ".json"), ("page", ".html")):
        if name := getattr(args, option):
            check_output(name, f"--{option}", ending, args.inputs)
    model = load(args.model, engine=args.engine, size=args.size, vivid=args.vivid)
    sets = [
        open_dataset(source, split=args.split, root=args.data_root, limit=args.limit or None) for source in args.inputs
    ]
    skipped = [entry for pictures in sets for entry in pictures.skipped]
    for name, reason in skipped:
        say(f"left out {name}: {reason}")
    with progress("pictures", sum(map(len, sets))) as bar:
        evaluation = evaluate(model, sets, hints=args.hints, progress=bar.step)
    _print(evaluation, model)
    if args.page:
        from hashigo.evaluation.page import write_page

        say(f"wrote {write_page(evaluation, model, sets, Path(args.page))}")
    if args.json:
        with atomic_path(Path(args.json)) as temporary:
            temporary.write_text(json.dumps(evaluation.as_dict(), indent=1) + "\n", encoding="utf-8")
        say(f"wrote {args.json}")
    return 1 if skipped else 0


def _print(evaluation: Evaluation, model: Model) -> None:
    from hashigo.errors import plural
    from hashigo.evaluation.page import ARROWS, table_of
    from hashigo.metrics import METRICS

    figures = evaluation.as_dict()
    show(f"{plural(figures['pictures'], 'picture')}, model {figures['model']}, {model.engine.description}")
    show()
    names, rows = table_of(evaluation, model)
    heads = [f"{METRICS[name].label} {ARROWS[METRICS[name].better]}" for name in names]
    widths = [max(len(head), 10) + 2 for head in heads]
    show(f"{'':<12}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for part, values in rows:
        show(f"{part:<12}" + "".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True)))
    show()
    show("↓ lower is better, ↑ higher is better, → closer to the original is better; means at the pictures' own size")
    if model.task.adds_colour:
        show(
            f"colourfulness relative to the originals: {figures['colourfulness_ratio']:.2f}, "
            f"median over the pictures {figures['colourfulness_ratio_median']:.2f}"
        )
    if evaluation.has_input:
        show(
            f"closer to the original than the input (CIEDE2000): {100 * figures['share_better_than_input']:.0f} % of the pictures, "
            f"further away: {100 * figures['share_worse_than_input']:.0f} %"
        )
    if evaluation.grey:
        listed = ", ".join(evaluation.grey[:5]) + (" …" if len(evaluation.grey) > 5 else "")
        say(
            f"set apart {plural(len(evaluation.grey), 'grey original')}, which have no colours to compare with: {listed}"
        )
