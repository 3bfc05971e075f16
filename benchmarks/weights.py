"""Weights as float32, float16 and int8: size, time to load, time per picture, and what rounding costs.

    .venv/bin/python benchmarks/weights.py [MODEL]

Without a model, the network `vit` with DINOv2's weights and a random decoder. The difference is that of the answers from those of torch in
float32, relative to the answers' standard deviation, on scikit-image's astronaut.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from skimage import data

from hashigo.apply.engines import OpenVinoEngine, Precision
from hashigo.models.folder import load_network, open_model, save_model
from hashigo.models.weights import Weights
from hashigo.networks import make_network
from hashigo.networks.encoders.vit import DinoV2Small
from hashigo.tasks import make_task

ROUNDS = 20


def main() -> None:
    """Prints a line for each way to store weights and each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--side", type=int, default=128, help="side of the square picture")
    args = parser.parse_args()
    if args.model:
        folder = open_model(args.model)
        network, task = load_network(folder), folder.task
    else:
        task = make_task("colorize-bins")
        network = make_network("vit", in_channels=4, out_channels=task.network_channels)
        if isinstance(network.pretrainable, DinoV2Small):
            network.pretrainable.load_pretrained()
    photo = Image.fromarray(data.astronaut()).resize((args.side, args.side), Image.Resampling.LANCZOS)
    rgb = np.asarray(photo, np.float32).transpose(2, 0, 1) / 255
    x = np.asarray(task.encode(rgb))[None]
    with torch.no_grad():
        exact = network.eval()(torch.from_numpy(x)).numpy()
    kinds: tuple[Weights, ...] = get_args(Weights)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    print("weights   precision      MB  load s     ms  difference")
    with tempfile.TemporaryDirectory() as place:
        for kind in kinds:
            made = save_model(Path(place) / kind, network, task, weights=kind)
            for precision in precisions:
                start = time.perf_counter()
                engine = OpenVinoEngine(made.onnx, precision=precision)
                loaded = time.perf_counter() - start
                answer, times = engine(x), []
                for _ in range(ROUNDS):
                    start = time.perf_counter()
                    engine(x)
                    times.append(time.perf_counter() - start)
                away = np.abs(answer - exact).mean() / exact.std()
                print(
                    f"{kind:<8}  {precision:<9}  {made.weights.stat().st_size / 1e6:6.1f}  {loaded:6.2f}  {1000 * np.median(times):5.1f}  {away:10.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
