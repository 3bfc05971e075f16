"""Memory and time of the largest photos that are allowed: python benchmarks/large_photos.py [--side 13000]

A photo of 169 megapixels in each format, colorized by `hashigo colorize` one after another; and three at once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from skimage import data

SAVED: dict[str, dict[str, object]] = {
    "grey.jpg": {"quality": 85}, "grey.png": {"compress_level": 1}, "grey.tif": {}, "rgb.jpg": {"quality": 85},
    "rgb.png": {"compress_level": 1}, "rgb.tif": {}, "rgba.png": {"compress_level": 1}, "rgb.webp": {"quality": 70, "method": 0},
}  # fmt: skip


def write_photos(folder: Path, side: int) -> None:
    """The same photo in every format."""
    Image.MAX_IMAGE_PIXELS = None
    photo = Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.BICUBIC)
    grey = photo.convert("L")
    for name, options in SAVED.items():
        image = grey if name.startswith("grey") else photo
        if name.startswith("rgba"):
            image = photo.copy()
            image.putalpha(grey)
        image.save(folder / name, **options)


def measured(paths: list[Path], out: Path) -> tuple[float, float]:
    """Peak memory in GB and seconds of one command."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "hashigo.cli.main", "colorize", *map(str, paths), "-o", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{paths}: exit status {status}")
    return usage.ru_maxrss / 1e6, time.perf_counter() - start


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=13_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: a new process starts with the peak of the one that started it
        writer = multiprocessing.get_context("spawn").Process(target=write_photos, args=(Path(folder), args.side))
        writer.start()
        writer.join()
        print(f"{args.side} × {args.side} pixels\n\n| photo | peak memory, GB | seconds |\n| --- | ---: | ---: |")
        for name in SAVED:
            memory, seconds = measured([Path(folder) / name], Path(folder) / f"out-{name}" / "")
            print(f"| {name} | {memory:.2f} | {seconds:.1f} |", flush=True)
        three = [Path(folder) / name for name in ("grey.jpg", "rgb.jpg", "rgb.webp")]
        memory, seconds = measured(three, Path(folder) / "three")
        print(f"| three at once (grey.jpg, rgb.jpg, rgb.webp) | {memory:.2f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
