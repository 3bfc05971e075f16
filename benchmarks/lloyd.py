"""Are the bounds in `clustering/lloyd.py` worth their lines? The same k-means, plainly, in batches, against them.

    .venv/bin/python benchmarks/lloyd.py --data mnist --data-root DIR

Both get the same rows and first centres and end by the same rule; the plain one looks at every row in every iteration. They
take turns, in the other order in every second round; labels and inertias are compared.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from hashigo.clustering.lloyd import lloyd
from hashigo.clustering.starts import starts
from hashigo.data import open_dataset
from surroundings import surroundings

CLUSTERS, TOL, MOST = 10, 1e-4, 300


def plain(rows: np.ndarray, first: np.ndarray, tol: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's iterations for all seeds: labels (S, N) and inertias (S,)."""
    x, centres = torch.from_numpy(rows), torch.from_numpy(first).clone()
    norms = x.square().sum(dim=1)
    tolerance = tol * float(norms.double().mean()) / x.shape[1]
    seeds, clusters = centres.shape[:2]
    labels = torch.full((seeds, len(x)), -1)
    active = list(range(seeds))

    def nearest(chosen: list[int]) -> torch.Tensor:
        flat = centres[chosen].reshape(-1, x.shape[1])
        half = 0.5 * flat.square().sum(dim=1)
        found = [
            (part @ flat.T - half).reshape(len(part), len(chosen), clusters).argmax(dim=2) for part in x.split(2048)
        ]
        return torch.cat(found).T

    for _ in range(most):
        new = nearest(active)
        ended = []
        for place, seed in enumerate(active):
            same = bool((new[place] == labels[seed]).all())
            labels[seed] = new[place]
            sums = torch.zeros((clusters, x.shape[1])).index_add_(0, labels[seed], x)
            counts = torch.bincount(labels[seed], minlength=clusters).clamp_min(1)
            moved = sums / counts[:, None]
            shift = float((moved - centres[seed]).square().sum())
            centres[seed] = moved
            if same or shift <= tolerance:
                ended.append(seed)
        active = [seed for seed in active if seed not in ended]
        if not active:
            break
    labels = nearest(list(range(seeds)))
    inertia = [float((x - centres[seed][labels[seed]]).square().sum(dtype=torch.float64)) for seed in range(seeds)]
    return labels.numpy(), np.array(inertia)


def main() -> None:
    """Times both and prints medians, their ratio and how far they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pictures = open_dataset(args.data, root=args.data_root, limit=args.limit or None)
    pixels = pictures.pixels.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)
    for name, width in (("pixels", pixels.shape[1]), ("16 principal coordinates", 16)):
        rows = pixels - pixels.mean(axis=0)
        if width < rows.shape[1]:
            rows = np.ascontiguousarray(rows @ np.linalg.svd(rows[::10], full_matrices=False)[2][:width].T)
        first = starts(rows, CLUSTERS, np.arange(args.seeds))
        times: dict[str, list[float]] = {"bounds": [], "plain": []}
        for number in range(args.rounds):
            for contender in ("bounds", "plain") if number % 2 == 0 else ("plain", "bounds"):
                start = time.perf_counter()
                if contender == "bounds":
                    ours = lloyd(rows, first, tol=TOL, max_iter=MOST, device="cpu")
                else:
                    theirs = plain(rows, first, TOL, MOST)
                times[contender].append(time.perf_counter() - start)
        agree = float((ours.labels == theirs[0]).mean())
        quick, slow = median(times["bounds"]), median(times["plain"])
        print(
            f"{name}: {len(rows):,} rows, {args.seeds} seeds: with bounds {quick:.2f} s, plain {slow:.2f} s, "
            f"{slow / quick:.2f} times; labels agree {agree:.4%}, inertia {ours.inertia.mean() / theirs[1].mean():.6f}"
        )
    print(surroundings())


if __name__ == "__main__":
    main()
