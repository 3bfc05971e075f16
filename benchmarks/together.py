"""Does training several seeds as one batched network pay on this machine? Steps of the article's small U-Net.

    .venv/bin/python benchmarks/together.py --seeds 3

One by one, each network has its own steps; together, `torch.func` stacks their weights. Both do the same epochs on
scikit-learn's digits (enlarged to 28×28) and take turns; medians of pictures per second over all networks.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from hashigo.data import open_dataset
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, Recipe, TaskRecipe
from hashigo.training.together import Together
from surroundings import surroundings


def main() -> None:
    """Times both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pictures = open_dataset("digits", size=28)
    recipe = Recipe(
        task=TaskRecipe("autoencode-grey"),
        network=NetworkRecipe(options={"width": 4, "depth": 2, "latent_activation": "tanh"}),
        data=DataRecipe(train="digits", flip=False), machine=MachineRecipe(compile="off"), batch_size=64, epochs=100,
    )  # fmt: skip
    seeds = range(args.seeds)
    contenders = {
        "one by one": [Together(recipe, [seed], pictures) for seed in seeds],
        "together": [Together(recipe, seeds, pictures)],
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(args.rounds + 1):  # the first round warms up
        for name in contenders if number % 2 == 0 else reversed(contenders):
            start = time.perf_counter()
            for networks in contenders[name]:
                networks.train_epoch()
            if number:
                times[name].append(time.perf_counter() - start)
    pace = {name: args.seeds * len(pictures) / median(seconds) for name, seconds in times.items()}
    for name, rate in pace.items():
        print(f"{name}: {rate:,.0f} pictures/s")
    print(
        f"together against one by one: {pace['together'] / pace['one by one']:.2f}; {args.threads} threads, {contenders['together'][0].device}"
    )
    print(surroundings())


if __name__ == "__main__":
    main()
