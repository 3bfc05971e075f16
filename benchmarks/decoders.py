"""Decoders of a vision transformer's tokens, trained for equal times: what helps, by the share of chroma that each explains afterwards.

    .venv/bin/python benchmarks/decoders.py ../shared/data/photos/train ../shared/data/photos/val --photos 2000 --minutes 3

Each is the recipe `tokens` with one thing changed, on the same photos. First, one epoch shows how fast it is; then it trains for so many epochs as fit into the
time. Features of the transformer and opinions of teachers are computed once and shared; their time is not counted, but told.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from explained import cells, expected, explained, square
from hashigo import color
from hashigo.apply import load
from hashigo.cli.train import parse
from hashigo.data import open_dataset
from hashigo.training.recipe import Recipe
from hashigo.training.run import Run, train

TRIED: dict[str, dict[str, str]] = {
    "as the recipe": {},
    "a fifth of the tokens' features set to zero (dropout)": {"network.options": "{dropout: 0.2}"},
    "ten times the weight decay": {"optimizer.weight_decay": "0.1"},
    "384 features": {"network.options": "{width: 384}"},
    "two blocks": {"network.options": "{depth: 2}"},
    "no average of the weights (EMA)": {"ema": "0"},
    "half of the loss from a teacher, the bundled colorizer": {"teachers": "colorizer"},
    "two versions of each photo": {"data.variants": "2"},
    "no photos aged": {"task.options.damaged": "0"},
    "a finer grid of classes": {"task.options.steps": "24", "task.statistics": ""},
    "tokens of the last block only": {"network.options": "{blocks: [12]}"},
    "tokens of four blocks": {"network.options": "{blocks: [3, 6, 9, 12]}"},
    "the transformer's last four blocks trained, too": {
        "optimizer.backbone_lr": "0.02", "optimizer.backbone_blocks": "4", "data.variants": "0",
    },
    "all of the transformer trained, too": {"optimizer.backbone_lr": "0.02", "data.variants": "0"},
    "EfficientNet-Lite0 as a U-Net's encoder, instead of the transformer": {
        "": "pretrained", "data.variants": "0", "data.colourful": "0", "task.statistics": "colorizer",
    },
}  # fmt: skip
"""Rows of the table, and what each changes in the recipe; an empty key names another recipe."""


def main() -> None:
    """Prints a row for each of `TRIED`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("photos", type=Path, help="to measure with")
    parser.add_argument("--photos", dest="count", type=int, default=2000, help="photos to train on")
    parser.add_argument(
        "--minutes", type=float, default=3, help="of training for each; whole epochs are closest to it if they are many"
    )
    parser.add_argument("--limit", type=int, default=500, help="photos to measure with, evenly spaced")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose names contain one of these words")
    args = parser.parse_args()
    photos = open_dataset(args.photos, limit=args.limit or None)
    originals = [Image.fromarray(photos.picture(place)) for place in range(len(photos))]
    truth = np.stack([cells(color.chroma(square(photo, 224))) for photo in originals])
    with tempfile.TemporaryDirectory() as folder:
        run, store = Path(folder) / "run", Path(folder) / "features"
        for name, changes in TRIED.items():
            if args.only and not any(word in name for word in args.only):
                continue
            recipe = _recipe(args, changes, store)
            rate = _train(replace(recipe, epochs=1), run).pictures_per_second  # also computes features and opinions
            rate = _train(replace(recipe, epochs=1), run).pictures_per_second if recipe.data.variants else rate
            made = _train(replace(recipe, epochs=max(1, round(args.minutes * 60 * rate / args.count))), run)
            model = load(made.model.path, engine="torch")
            known, both = (
                explained(np.stack([expected(model, photo, model.size, mirror) for photo in originals]), truth)
                for mirror in (False, True)
            )
            print(
                f"{name}: {known:.4f} explained, {both:.4f} averaged with the mirrored photo, {len(made.metrics)} epochs in {made.seconds / 60:.1f} minutes, "
                f"{made.pictures_per_second:.0f} photos/s", flush=True,
            )  # fmt: skip


def _recipe(args: argparse.Namespace, changes: dict[str, str], store: Path) -> Recipe:
    flags = {
        "data.train": str(args.training), "data.limit": str(args.count), "data.variants": "1", "data.features": str(store),
        "data.validation_limit": "200", "optimizer.warmup": "50", "ema": "0.99", "panels": "0", "checkpoint_minutes": "0", **changes,
    }  # fmt: skip
    name = flags.pop("", "tokens")
    if flags["data.variants"] == "0":
        del flags["data.features"]
    recipe: Recipe = parse([name, *(f"--{key}={value}" for key, value in flags.items())]).recipe
    return recipe


def _train(recipe: Recipe, folder: Path) -> Run:
    shutil.rmtree(folder, ignore_errors=True)
    return train(recipe, folder, onnx=False, say=lambda line: print(f"  {line}", flush=True))


if __name__ == "__main__":
    main()
