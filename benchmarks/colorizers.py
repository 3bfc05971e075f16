"""Colorizers compared: objectives, and networks, each trained for the same time and measured on the same held-out photos.

    .venv/bin/python benchmarks/colorizers.py objectives --data ../shared/data/photos --minutes 6 --run out/objectives
    .venv/bin/python benchmarks/colorizers.py networks --data ../shared/data/photos --minutes 6 --run out/networks

DATA holds `train` and `val`, photos in tar shards. A contender that is finished in RUN is not trained again. All use
the bundled recipe vivid but for what its line in `OBJECTIVES` or `NETWORKS` says; nothing is compiled, so that no time goes into
that. Photos of `val` at even places choose the best epoch, some at odd places are measured.
RUN gets `results.json` and `photos.jpg`: photos that come with scikit-image and scikit-learn, through each contender.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hashigo.apply import Model, load
from hashigo.cli.train import parse
from hashigo.data import PictureSet, open_dataset
from hashigo.demo import bundled_photos
from hashigo.evaluation import evaluate
from hashigo.files import atomic_path
from hashigo.image import Photo, photo_of
from hashigo.metrics import colourfulness, delta_e
from hashigo.models import load_network
from hashigo.tasks import VIVID as VIVID_BY_DEFAULT
from hashigo.training.recipe import RECIPES, Recipe
from hashigo.training.run import colourful, train
from surroundings import surroundings

PLAIN = ("--task.options", "{damaged: 0.0, hinted: 0.0, rebalance: 0.2}")
OBJECTIVES: dict[str, tuple[str, ...]] = {
    # answers at full size, so without a stem, and with half the width, which costs about the same
    "squared error on RGB": (
        "--task.name", "colorize-rgb", "--task.options", "{}", "--loss", "mean_squared_error",
        "--network.options.stem", "1", "--network.options.width", "12",
    ),
    "Huber on chroma": ("--task.name", "colorize", "--task.options", "{}", "--loss", "huber"),
    "classes, not rebalanced": ("--task.options", "{damaged: 0.0, hinted: 0.0, rebalance: 0.0}"),
    "classes": PLAIN,
    "classes, wholly rebalanced": ("--task.options", "{damaged: 0.0, hinted: 0.0, rebalance: 0.5}"),
    "classes, then colourfulness": (*PLAIN, "--loss", "vivid_cross_entropy", "--optimizer.lr", "0.0003"),
    "classes with hints and damage": (),
}  # fmt: skip
"""Each objective as flags; "A, then B" is half a run of A and, from there, half a run of B."""

ENCODER = ("--network.options.encoder", "efficientnet-lite0", "--optimizer.lr", "0.0006")
NETWORKS: dict[str, tuple[str, ...]] = {
    "width 24, stem 2, residual, context": (),
    "without context": ("--network.options.context", "false"),
    "without residual": ("--network.options.residual", "false"),
    "width 12, no stem": ("--network.options.stem", "1", "--network.options.width", "12"),
    "width 16": ("--network.options.width", "16"),
    "width 32": ("--network.options.width", "32"),
    "width 48, stem 4, depth 3": ("--network.options.stem", "4", "--network.options.depth", "3", "--network.options.width", "48"),
    "crops of 128 instead of 96": ("--data.crop", "128"),
    "pretrained encoder": (*ENCODER, "--network.pretrained", "true"),
    "that encoder, not pretrained": ENCODER,
}  # fmt: skip
GROUPS = {"objectives": OBJECTIVES, "networks": NETWORKS}
VIVID = (0.0, 0.5, VIVID_BY_DEFAULT)
RECIPE = RECIPES / "vivid.yaml"


def main() -> None:
    """Trains, measures and prints one group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6.0, help="of training for each")
    parser.add_argument("--photos", type=int, default=100, help="held-out photos to measure on")
    parser.add_argument("--only", nargs="*", default=[], help="contenders whose names have one of these words")
    parser.add_argument(
        "--run", type=Path, required=True, help="folder; what is there is kept, trained models and their figures"
    )
    args = parser.parse_args()
    contenders = {
        name: words for name, words in GROUPS[args.group].items() if not args.only or any(w in name for w in args.only)
    }
    training = open_dataset(args.data / "train", size=128)
    training = colourful(training, 10.0)  # as the recipe has it
    validation = open_dataset(args.data / "val", size=128).subset(slice(0, None, 2))
    held_out = open_dataset(args.data / "val").subset(slice(1, None, 2)).limited(args.photos)
    found: dict[str, Any] = {}
    models: dict[str, Model] = {}
    data = training, validation.limited(100)
    folders = {name: args.run / name.replace(",", "").replace(" ", "-").lower() for name in contenders}
    # all speeds first, so that the machine has to be quiet for some minutes only
    rates = {name: _rate(contenders[name], folder, data) for name, folder in folders.items() if _unfinished(folder)}
    for name, words in contenders.items():
        folder = folders[name]
        if name in rates:
            _train(name, words, folder, rates[name], args.minutes, data)
        models[name] = load(folder)
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        kept = folder / f"measured-{args.photos}.json"
        if not kept.is_file():
            with atomic_path(kept) as temporary:
                temporary.write_text(json.dumps(_measure(models[name], held_out)), encoding="utf-8")
        found[name] = {**about, "measured": json.loads(kept.read_text(encoding="utf-8"))}
        print(_row(name, found[name]), flush=True)
    for name, taken in _milliseconds(models).items():
        found[name]["ms"] = taken
        print(f"{name}: {taken:.1f} ms", flush=True)
    report = {"machine": surroundings(), "minutes": args.minutes, "photos": len(held_out), "contenders": found}
    (args.run / "results.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _picture(models, args.run / "photos.jpg")


def _recipe(words: tuple[str, ...]) -> Recipe:
    off = ("--machine.compile", "off", "--panels", "0", "--checkpoint_minutes", "0", "--ema", "0.998")
    return parse([str(RECIPE), *off, "--optimizer.warmup", "100", *words]).recipe


def _unfinished(folder: Path) -> bool:
    return not (folder / "about.json").is_file()


def _rate(words: tuple[str, ...], folder: Path, data: tuple[PictureSet, PictureSet]) -> float:
    """Training pictures per second, the better of two short runs."""
    shutil.rmtree(folder, ignore_errors=True)  # of a stop before it was finished
    recipe = replace(_recipe(words), epochs=1)
    few = data[0].limited(12 * recipe.batch_size), data[1].limited(1)
    return max(train(recipe, folder / part, data=few, onnx=False).pictures_per_second for part in ("probe", "probe-2"))


def _train(
    name: str, words: tuple[str, ...], folder: Path, rate: float, minutes: float, data: tuple[PictureSet, PictureSet]
) -> None:
    """One contender for so many minutes at its rate, or two half ones where it starts from another objective."""
    recipe = _recipe(words)
    parts = {"run": recipe}
    if ", then " in name:
        first = _recipe(OBJECTIVES[name.split(", then ")[0]])
        parts = {"first": first, "run": replace(recipe, start=str(folder / "first"))}
    pictures = int(rate * 60 * minutes / len(parts))
    epochs = -(-pictures // len(data[0]))
    start = time.perf_counter()
    for part, one in parts.items():
        made = train(replace(one, epochs=epochs), folder / part, data=(data[0].limited(pictures // epochs), data[1]))
    (folder / "model").symlink_to(Path("run") / "model")
    about = {
        "pictures": pictures * len(parts), "minutes": (time.perf_counter() - start) / 60, "pictures_per_second": rate,
        "parameters": sum(p.numel() for p in load_network(made.model).parameters()), "flags": list(words),
    }  # fmt: skip
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _milliseconds(models: dict[str, Model]) -> dict[str, float]:
    """Of each network for a photo of 4:3, the median of 25 rounds in turns, so that other work on the machine meets all alike."""
    seen = {name: model.prepare(photo_of(np.zeros((480, 640, 3), np.uint8))).x[None] for name, model in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(30):
        for name, model in models.items():
            start = time.perf_counter()
            model.engine(seen[name])
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: median(times[5:]) for name, times in taken.items()}


def _measure(model: Model, held_out: PictureSet) -> dict[str, dict[str, float]]:
    """Means by how vivid the answers are, where there is that choice."""
    rows = {}
    for vivid in VIVID if model.folder.task.name == "colorize-bins" else (None,):
        shown = Model(model.folder, model.engine, vivid=vivid)
        scores = evaluate(shown, [held_out])
        result, grey = scores.mean("result"), scores.mean("input")
        rows["" if vivid is None else f"{vivid:g}"] = {
            "delta_e": result["delta_e"], "of_grey": result["delta_e"] / grey["delta_e"], "ratio": scores.ratio(),
            "psnr": result["psnr"], "better": scores.share_better(), "chroma_distance": result["chroma_distance"],
        }  # fmt: skip
    return rows


def _row(name: str, one: dict[str, Any]) -> str:
    measured = "; ".join(
        f"{vivid or '-'}: ΔE {m['delta_e']:.2f} ({m['of_grey']:.3f}), CF {m['ratio']:.2f}, better {m['better']:.2f}"
        for vivid, m in one["measured"].items()
    )
    return (
        f"{name}: {one['parameters'] / 1e6:.2f} M, {one['pictures']:,} pictures at {one['pictures_per_second']:.0f}/s; "
        f"{measured}"
    )


def _picture(models: dict[str, Model], path: Path) -> None:
    """Rows of photos: grey, each contender with its CIEDE2000 and colourfulness, the original."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    photos = list(bundled_photos().values())
    columns = ["grey", *models, "original"]
    figure, axes = plt.subplots(
        len(photos), len(columns), figsize=(2.2 * len(columns), 1.9 * len(photos)), layout="constrained"
    )
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name.replace(", ", ",\n").replace("with ", "\nwith "), fontsize=9)
    for row, photo in zip(axes, photos, strict=True):
        small = photo_of(photo.resized(round(photo.height * 240 / photo.width), 240).clip(0, 1))
        grey = photo_of(np.repeat(models[columns[1]].task.decoder_input(small.rgb())[:1], 3, axis=0))
        for axis, name in zip(row, columns, strict=True):
            shown = {"grey": grey, "original": small}.get(name) or models[name].apply(small)
            _show(axis, small, shown)
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 88})


def _show(axis: Any, original: Photo, shown: Photo) -> None:
    axis.imshow(shown.pixels)
    axis.set_xticks([])
    axis.set_yticks([])
    pair = original.rgb(), shown.rgb()
    axis.set_xlabel(f"ΔE {float(delta_e(*pair)):.1f}, CF {float(colourfulness(*pair)):.0f}", fontsize=7)


if __name__ == "__main__":
    main()
