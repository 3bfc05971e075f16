"""`hashigo evaluate MODEL IN… [--json FILE]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from hashigo.cli.apply import not_negative, share
from hashigo.cli.commands import parse_words
from hashigo.cli.console import progress, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="name or folder of a model, or a training run's folder")
    parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="files, folders, patterns, tar shards or names of datasets"
    )
    parser.add_argument("--json", metavar="FILE", help="writes all figures, of each picture and overall")
    parser.add_argument("--page", metavar="FILE", help="writes a page with the best, middling and worst pictures")
    parser.add_argument(
        "--hints",
        type=not_negative,
        default=0,
        help="tells the model the colours at so many random places of each picture",
    )
    parser.add_argument(
        "--vivid", type=share, metavar="V", help="colours from 0, calm, to 1, vivid; the model's own if left out"
    )
    parser.add_argument("--split", default="train", help="split of a dataset")
    parser.add_argument("--data-root", metavar="DIR", help="where named datasets lie")
    parser.add_argument(
        "--limit", type=int, default=0, help="at most so many pictures of each input, evenly spread; 0: all"
    )
    parser.add_argument(
        "--size", type=int, default=0, help="short side at which the network sees a photo; 0: the model's"
    )
    parser.add_argument("--engine", choices=["auto", "openvino", "torch"], default="auto", help="what runs the network")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's words as its arguments."""
    return parse_words("evaluate", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Measures and prints a table of means; 1 if a picture could not be read."""
    from hashigo.apply.model import load
    from hashigo.data import open_dataset
    from hashigo.evaluation.measure import evaluate
    from hashigo.files import atomic_path
    from hashigo.metrics import METRICS

    model = load(args.model, engine=args.engine, size=args.size, vivid=args.vivid)
    sets = [
        open_dataset(source, split=args.split, root=args.data_root, limit=args.limit or None) for source in args.inputs
    ]
    skipped = [entry for pictures in sets for entry in pictures.skipped]
    for name, reason in skipped:
        say(f"left out {name}: {reason}")
    with progress("pictures", sum(map(len, sets))) as bar:
        evaluation = evaluate(model, sets, hints=args.hints, progress=bar.step)
    figures = evaluation.as_dict()
    print(f"{figures['pictures']} pictures, model {figures['model']}, {model.engine.description}\n")
    print(f"{'':<12}" + "".join(f"{name:>16}" for name in METRICS))
    for part, means in figures["mean"].items():
        print(f"{part:<12}" + "".join(f"{means[name]:>16.2f}" for name in METRICS))
    print(
        f"\ncolourfulness relative to the originals {figures['colourfulness_ratio']:.2f}, "
        f"median of the pictures {figures['colourfulness_ratio_median']:.2f}"
    )
    print(
        f"nearer to the original than the input was: {100 * figures['share_better_than_input']:.0f} % of the pictures, "
        f"farther: {100 * figures['share_worse_than_input']:.0f} %"
    )
    if args.page:
        from hashigo.evaluation.page import write_page

        say(f"wrote {write_page(evaluation, model, sets, Path(args.page))}")
    if args.json:
        with atomic_path(Path(args.json)) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        say(f"wrote {args.json}")
    return 1 if skipped else 0
