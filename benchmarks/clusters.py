"""How well clusters of an autoencoder's features agree with the labels: k-means, mixtures, and mixtures of the UMAP embedding, beside the same of raw pixels.

    .venv/bin/python benchmarks/clusters.py --data mnist --root ../shared/data --seeds 3

For each seed, the recipe `clusters` is trained and clustered with that seed. Accuracy: each cluster is assigned to one label (Hungarian matching). Mean and 95 % interval over seeds; the
training pictures, and test pictures that neither the autoencoder nor UMAP nor the mixture saw.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from hashigo.cli.train import parse
from hashigo.clustering import accuracy, cluster, purity
from hashigo.data import PictureSet, open_dataset
from hashigo.errors import plural
from hashigo.latents.extract import features
from hashigo.studies.claims import interval
from hashigo.training.run import train

METHODS = ("lloyd", "mixture", "umap-mixture")


def main() -> None:
    """Prints a line for each kind of features and each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--root", default="", help="folder with the named datasets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="use this many training pictures")
    parser.add_argument("--raw-seeds", type=int, default=1, help="seeds for the raw pixels, whose embedding takes long")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("flags", nargs="*", help="changes to the recipe, such as epochs=20")
    args = parser.parse_args()
    sets = {
        split: open_dataset(args.data, split=split, root=args.root or None, limit=args.limit or None)
        for split in ("train", "test")
    }
    scores: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            recipe = parse(["clusters", f"--data.train={args.data}", f"--data.root={args.root}", f"--data.limit={args.limit}",
                            "--panels=0", *(f"--{flag}" for flag in args.flags)]).recipe  # fmt: skip
            run = train(replace(recipe, seed=seed), Path(folder) / "run", onnx=False, say=print)
            print(
                f"seed {seed}: trained in {run.seconds / 60:.1f} minutes, validation loss {run.metrics[-1]['val_loss']:.2f}",
                flush=True,
            )
            rows = {split: features(run.model.path, pictures) for split, pictures in sets.items()}
        _score("autoencoder", rows, sets, seed, args.methods, scores)
        if seed < args.raw_seeds:
            raw = {
                split: pictures.array().reshape(len(pictures), -1).astype(np.float32) / 255
                for split, pictures in sets.items()
            }
            _score("raw pixels", raw, sets, seed, [method for method in args.methods if method != "mixture"], scores)
    for (name, method), values in scores.items():
        train_scores, test_scores, purities = (interval(column) for column in zip(*values, strict=True))
        between = f" ({train_scores.low:.4f} … {train_scores.high:.4f})" if len(values) > 1 else ""
        print(
            f"{name}, {method}: accuracy {train_scores.mean:.4f}{between}, on test pictures {test_scores.mean:.4f}, "
            f"purity {purities.mean:.4f}, {plural(len(values), 'seed')}"
        )


def _score(
    name: str, rows: dict[str, np.ndarray], sets: dict[str, PictureSet], seed: int, methods: list[str],
    scores: dict[tuple[str, str], list[tuple[float, float, float]]],
) -> None:  # fmt: skip
    labels = {split: np.asarray(pictures.labels) for split, pictures in sets.items()}
    for method in methods:
        found = cluster(rows["train"], 10, seeds=[seed], method=method)
        pair = accuracy(labels["train"], found.labels[0]), accuracy(labels["test"], found.predict(rows["test"])[0])
        scores.setdefault((name, method), []).append((*pair, purity(labels["train"], found.labels[0])))
        print(f"  {name}, {method}, seed {seed}: accuracy {pair[0]:.4f}, test {pair[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
