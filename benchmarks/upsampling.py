"""Chroma from the network's size to the photo's: bilinear, or guided by the photo's luma (He, Sun & Tang 2013)?

    .venv/bin/python benchmarks/upsampling.py ../shared/data/photos/val --limit 100 [--model colorizer]

The true chroma of each photo is reduced to what a network that answers at half of 128 pixels would give, or with `--model` its
own answer is taken; scaled up in each way and compared with the original: mean CIEDE2000 of all pixels and of those at
borders, the tenth where the luma's gradient is steepest. `guided` fits chroma = a · luma + b in windows; `added` keeps the
bilinear chroma and adds a times the luma's own fine detail.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

from hashigo import color
from hashigo.apply import Model, load
from hashigo.data import open_dataset
from hashigo.evaluation import originals
from hashigo.image import Photo, resize

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


def small(photo: Photo, model: Model | None) -> tuple[Floats, Floats]:
    """The luma (1, h, w) and the chroma (2, h, w) as a network has them, or as `model` answers."""
    if model is None:
        scale = 64 / min(photo.size)
        rgb = photo.resized(*(max(8, round(side * scale / 8) * 8) for side in photo.size))
        return color.luma(rgb), color.chroma(rgb)
    chroma = model.task.answer(
        model.engine(model.task.encode(photo.resized(*model.network_size(photo.size)))[None])[0]
    ).astype(np.float32)
    return color.luma(photo.resized(*chroma.shape[1:])), chroma


def borders(luma: Floats) -> NDArray[np.bool_]:
    """Where the luma (1, H, W) changes most: (H, W)."""
    steep = gaussian_gradient_magnitude(luma[0], 1.0)
    found: NDArray[np.bool_] = steep >= np.quantile(steep, 0.9)
    return found


def main() -> None:
    """Prints the means of every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--model", default="", help="whose chroma is scaled up; without it the true one")
    args = parser.parse_args()
    model = load(args.model) if args.model else None
    errors: dict[str, list[tuple[float, float]]] = {}
    for _, photo in originals([open_dataset(args.photos, limit=args.limit)]):
        rgb = photo.rgb()
        luma = color.luma(rgb)
        at_borders = borders(luma)
        for name, chroma in ways(luma, *small(photo, model)).items():
            away = color.ciede2000(color.lab(rgb), color.lab(color.merge(luma, chroma)))
            errors.setdefault(name, []).append((float(away.mean()), float(away[at_borders].mean())))
    print("   all  borders  way")
    for name, values in sorted(errors.items(), key=lambda item: np.mean(item[1], axis=0).tolist()):
        everywhere, there = np.mean(values, axis=0)
        print(f"{everywhere:6.3f}  {there:7.3f}  {name}")


if __name__ == "__main__":
    main()
