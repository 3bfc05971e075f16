"""k-means from ten seeds on MNIST's pixels: hashigo's, all seeds at once, against ten fits of scikit-learn's KMeans.

    .venv/bin/python benchmarks/clustering.py --data-root DIR --json clustering.json

Beside the whole, the first centres (k-means++) alone. Each contender is a process of its own, with the same rows, seeds
and threads; they take turns, in the other order in every second round. Then labels and inertias are compared, seed by
seed. For a look in seconds:

    .venv/bin/python benchmarks/clustering.py --data digits --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from article_table import rates, ratio
from processes import say, told
from surroundings import surroundings
from turns import Turn, Turns, Worker

WHAT = {"fit": "k-means", "starts": "first centres alone"}
WHO = {"hashigo": "hashigo", "sklearn": "scikit-learn, seed by seed"}
CLUSTERS = 10
TARGET = 5.0
"""Times as fast as scikit-learn."""

Rows = np.ndarray[Any, np.dtype[np.float32]]
Found = dict[str, Any]


def rows_of(name: str, root: Path | None, limit: int) -> Rows:
    """Pixels of a dataset's training pictures, (N, D), 0..1."""
    from hashigo.data import open_dataset

    pictures = open_dataset(name, split="train", root=root, limit=limit or None)
    return pictures.pixels.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


def step_of(who: str, what: str, rows: Rows, seeds: int) -> Callable[[], Found]:
    """What is timed; it gives arrays with one entry per seed."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    from hashigo.clustering import cluster
    from hashigo.clustering.starts import starts

    def of_hashigo() -> Found:
        found = cluster(rows, CLUSTERS, seeds=seeds)
        return {"labels": found.labels, "inertia": found.inertia, "iterations": found.iterations}

    def of_sklearn() -> Found:
        found = [KMeans(CLUSTERS, n_init=1, random_state=seed).fit(rows) for seed in range(seeds)]
        attributes = {"labels": "labels_", "inertia": "inertia_", "iterations": "n_iter_"}
        return {name: [getattr(one, attribute) for one in found] for name, attribute in attributes.items()}

    def starts_of_sklearn() -> Found:
        return {"centres": [kmeans_plusplus(rows, CLUSTERS, random_state=seed)[0] for seed in range(seeds)]}

    return {
        ("hashigo", "fit"): of_hashigo,
        ("sklearn", "fit"): of_sklearn,
        ("hashigo", "starts"): lambda: {"centres": starts(rows, CLUSTERS, range(seeds))},
        ("sklearn", "starts"): starts_of_sklearn,
    }[who, what]


def work(options: dict[str, Any]) -> None:
    """A contender's process: takes turns, and leaves what it found in a file."""
    import torch

    torch.set_num_threads(options["threads"])
    turns, rows = Turns(), np.load(options["rows"])
    step = step_of(options["who"], options["what"], rows, options["seeds"])
    turns.serve(lambda: np.savez(options["found"], **step()), warmup=0)


def take_turns(rows: Path, scratch: Path, arguments: argparse.Namespace) -> dict[str, list[Turn]]:
    """Every contender in every round, in a process of its own; by "who-what"."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # what torch, scikit-learn and NumPy go by
        os.environ[variable] = str(arguments.threads)
    workers = {}
    for name in [f"{who}-{what}" for what in WHAT for who in WHO]:
        who, what = name.split("-")
        options = {
            "who": who, "what": what, "rows": str(rows), "seeds": arguments.seeds, "threads": arguments.threads,
            "found": str(scratch / f"{name}.npz"),
        }  # fmt: skip
        workers[name] = Worker([sys.executable, __file__, "--worker", json.dumps(options)], scratch / f"{name}.log")
    taken: dict[str, list[Turn]] = {name: [] for name in workers}
    for number in range(arguments.rounds):
        for name in list(workers)[:: -1 if number % 2 else 1]:
            say(f"round {number + 1} of {arguments.rounds}: {name}")
            taken[name].append(workers[name].turn(number, 1))
    for worker in workers.values():
        worker.close()
    return taken


def compared(scratch: Path) -> list[dict[str, float]]:
    """What hashigo found against what scikit-learn found, by seed."""
    mine, theirs = (np.load(scratch / f"{who}-fit.npz") for who in WHO)
    first, others = (np.load(scratch / f"{who}-starts.npz")["centres"] for who in WHO)
    return [
        {
            "same_starts": bool((first[seed] == others[seed]).all()),
            "same_labels": float((mine["labels"][seed] == theirs["labels"][seed]).mean()),
            "inertia": float(mine["inertia"][seed] / theirs["inertia"][seed]),
            "iterations": int(mine["iterations"][seed]),
            "iterations_sklearn": int(theirs["iterations"][seed]),
        }
        for seed in range(len(first))
    ]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole benchmark, as plain values."""
    machine = surroundings()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        rows = rows_of(arguments.data, arguments.data_root, arguments.limit)
        np.save(scratch / "rows.npy", rows)
        taken = take_turns(scratch / "rows.npy", scratch, arguments)
        return {
            "machine": machine, "data": arguments.data, "rows": list(rows.shape), "clusters": CLUSTERS,
            "seeds": arguments.seeds, "threads": arguments.threads, "rounds": arguments.rounds,
            "turns": {name: [asdict(turn) for turn in turns] for name, turns in taken.items()},
            "ratio": {
                what: ratio(*(rates(taken[f"{who}-{what}"], 1) for who in WHO)) for what in WHAT
            },
            "by_seed": compared(scratch), "target": TARGET,
        }  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    here, (rows, columns) = report["machine"], report["rows"]
    lines = [
        f"{here['date']} · {here['cpu']}, {here['cores']} cores ({' '.join(here['flags'])}), {here['memory_gib']} GiB · "
        f"{here['system']}, Python {here['python']} · load at start {here['load'][0]}",
        "",
        f"{report['data']}, {rows:,} rows of {columns}, {report['clusters']} clusters, {report['seeds']} seeds, threads: "
        f"{report['threads']}. Medians of {report['rounds']} rounds; the ratio is the median of those within each round.",
        "",
        "| | contender | seconds | processor | peak memory | times as fast | target |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for what, title in WHAT.items():
        for who, label in WHO.items():
            turns = report["turns"][f"{who}-{what}"]
            seconds, cpu = (median(turn[key] for turn in turns) for key in ("seconds", "cpu"))
            memory = max(turn["memory_kib"] for turn in turns) * 1024 / 1e6
            times, target = f"{report['ratio'][what]:.1f} ×" if who == "hashigo" else "", ""
            if (who, what) == ("hashigo", "fit"):
                target = told(report["ratio"][what] >= TARGET, f"≥ {TARGET:g} ×")
            lines.append(f"| {title} | {label} | {seconds:.2f} | {cpu:.2f} | {memory:.0f} MB | {times} | {target} |")
    seeds = report["by_seed"]
    elsewhere = [t["elsewhere"] / t["seconds"] for ts in report["turns"].values() for t in ts if t["elsewhere"]]
    lines += [
        "",
        f"- First centres equal: {sum(one['same_starts'] for one in seeds)} of {len(seeds)} seeds.",
        f"- Rows with equal labels: {median(one['same_labels'] for one in seeds):.3%} (median over seeds; least "
        f"{min(one['same_labels'] for one in seeds):.3%}).",
        f"- Inertia ÷ scikit-learn's: {min(one['inertia'] for one in seeds):.6f} to {max(one['inertia'] for one in seeds):.6f}.",
        f"- Iterations: {sum(one['iterations'] for one in seeds)}, scikit-learn {sum(one['iterations_sklearn'] for one in seeds)}.",
    ]
    if elsewhere:
        lines.append(
            f"- Other processes took {median(elsewhere):.2f} cores (median over turns; most {max(elsewhere):.2f})."
        )
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", default="mnist", help="name or folder of a dataset")
    parser.add_argument("--data-root", type=Path, help="where the sets lie")
    parser.add_argument("--limit", type=int, default=0, help="rows; 0 takes all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=surroundings()["cores"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="writes everything, each round too, to this file")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if min(chosen.rounds, chosen.seeds, chosen.threads) < 1:
        parser.error("expected at least one round, one seed and one thread")
    return chosen


def main() -> int:
    """Measures, prints Markdown, writes JSON."""
    arguments = parse()
    if arguments.worker:
        work(arguments.worker)
        return 0
    report = measure(arguments)
    print(markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
