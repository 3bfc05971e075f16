"""Chroma from the network's size to the photo's: bilinear, or guided by the photo's luma (He, Sun & Tang 2013)?

    .venv/bin/python benchmarks/upsampling.py ../shared/data/photos/val --limit 100

The true chroma of each photo is reduced to what a network that answers at half of 128 pixels would give, scaled up in
each way, and compared with the original: mean CIEDE2000. `guided` fits chroma = a · luma + b in windows; `added` keeps
the bilinear chroma and adds a times the luma's own fine detail.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from hashigo import color
from hashigo.data import open_dataset
from hashigo.evaluation import originals
from hashigo.image import resize
from hashigo.metrics import delta_e

Floats = NDArray[np.float32]


def slopes(luma: Floats, chroma: Floats, radius: int, epsilon: float) -> tuple[Floats, Floats]:
    """Of chroma over luma in windows, and the offsets: both (2, h, w)."""

    def mean(picture: Floats) -> Floats:
        return np.stack([uniform_filter(one, 2 * radius + 1, mode="nearest") for one in picture])

    mean_y, mean_c = mean(luma), mean(chroma)
    slope = (mean(luma * chroma) - mean_y * mean_c) / (mean(luma * luma) - mean_y**2 + epsilon)
    return slope.astype(np.float32), (mean_c - slope * mean_y).astype(np.float32)


def ways(luma: Floats, small_luma: Floats, small_chroma: Floats) -> dict[str, Floats]:
    """The chroma at the size of `luma` (1, H, W), by every way."""
    height, width = luma.shape[1:]
    bilinear = resize(small_chroma, height, width)
    found = {"bilinear": bilinear}
    for radius in (1, 2):
        for epsilon in (1e-3, 4e-3, 1.6e-2):
            slope, offset = slopes(small_luma, small_chroma, radius, epsilon)
            up = resize(slope, height, width)
            name = f"radius {radius}, epsilon {epsilon:g}"
            found[f"guided, {name}"] = up * luma + resize(offset, height, width)
            found[f"added, {name}"] = bilinear + up * (luma - resize(small_luma, height, width))
    return found


def main() -> None:
    """Prints the mean of every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--limit", type=int, default=100)
    args = parser.parse_args()
    errors: dict[str, list[float]] = {}
    for _, photo in originals([open_dataset(args.photos, limit=args.limit)]):
        rgb, scale = photo.rgb(), 64 / min(photo.size)
        small = photo.resized(*(max(8, round(side * scale / 8) * 8) for side in photo.size))
        made = ways(color.luma(rgb), color.luma(small), color.chroma(small))
        for name, chroma in made.items():
            errors.setdefault(name, []).append(float(delta_e(rgb, color.merge(color.luma(rgb), chroma))))
    for name, values in sorted(errors.items(), key=lambda item: np.mean(item[1])):
        print(f"{np.mean(values):6.3f}  {name}")


if __name__ == "__main__":
    main()
