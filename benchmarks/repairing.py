"""Repaired photos beside the usual methods: how close each comes to the original.

    .venv/bin/python benchmarks/repairing.py runs/restore ../shared/data/photos/val --limit 100

Each photo is damaged as in training, with its own random numbers, and repaired by the model and by methods of scikit-image, SciPy and Pillow, some with several
settings. Where a method needs to know the damage (the mask of gaps), it is told, which the model is not.
PSNR in dB and SSIM, means over photos (and medians, because photos that were hardly damaged raise means); PSNR with brightness and contrast matched to the
original, which nobody can know of a faded photo; the share of photos for which the model has the higher PSNR.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import median_filter
from skimage import restoration
from skimage.filters import unsharp_mask

from hashigo.apply import Model, load
from hashigo.data import open_dataset
from hashigo.image import photo_of
from hashigo.metrics import psnr, ssim
from hashigo.randomness import PictureRng
from hashigo.tasks.enlarging import enlarged, shrunk

Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(damaged, small, mask) → repaired: (3, H, W), 0..1; small: before it was enlarged, mask: (H, W) of damaged pixels."""


def _channels(run: Callable[[np.ndarray], np.ndarray], picture: np.ndarray) -> np.ndarray:
    return np.stack([run(channel) for channel in picture])


def _resized(small: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return _channels(lambda channel: np.asarray(Image.fromarray(channel).resize(size[::-1], how)), small)


METHODS: dict[str, dict[str, Method]] = {
    "super-resolve": {
        "bilinear (the model's input)": lambda x, *_: x,
        "bicubic": lambda x, small, _: _resized(small, x.shape[1:], Image.Resampling.BICUBIC),
        "Lanczos": lambda x, small, _: _resized(small, x.shape[1:], Image.Resampling.LANCZOS),
    },
    "inpaint": {
        "nothing": lambda x, *_: x,
        "median 5×5": lambda x, *_: _channels(lambda channel: median_filter(channel, 5), x),
        "biharmonic, told the mask": lambda x, _, mask: restoration.inpaint_biharmonic(x, mask, channel_axis=0),
    },
    "deblur": {
        "nothing": lambda x, *_: x,
        "unsharp mask 1.5, 0.7": lambda x, *_: unsharp_mask(x, 1.5, 0.7, channel_axis=0),
        "Wiener, sigma 1": lambda x, *_: _channels(lambda channel: restoration.wiener(channel, _gaussian(1.0), 0.1), x),
    },
    "restore": {
        "nothing": lambda x, *_: x,
        "median 3×3": lambda x, *_: _channels(lambda channel: median_filter(channel, 3), x),
        "total variation 0.02": lambda x, *_: restoration.denoise_tv_chambolle(x, 0.02, channel_axis=0),
        "total variation 0.05": lambda x, *_: restoration.denoise_tv_chambolle(x, 0.05, channel_axis=0),
        "total variation 0.1": lambda x, *_: restoration.denoise_tv_chambolle(x, 0.1, channel_axis=0),
        "non-local means": lambda x, *_: restoration.denoise_nl_means(
            x, h=0.04, sigma=0.04, patch_size=5, patch_distance=6, channel_axis=0
        ),
    },
}


def _gaussian(sigma: float) -> np.ndarray:
    place = np.exp(-0.5 * (np.arange(-4, 5) / sigma) ** 2)
    kernel = place[:, None] * place
    return kernel / kernel.sum()


def main() -> None:
    """Prints a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="photos, evenly spaced")
    args = parser.parse_args()
    model = load(args.model)
    if model.task.name not in METHODS:
        raise SystemExit(f"expected a model of {', '.join(METHODS)}, got one of {model.task.name}")
    photos = open_dataset(args.photos, limit=args.limit or None)
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(len(photos)):
        original = photo_of(np.ascontiguousarray(photos.picture(number))).rgb()
        for name, repaired in _each(model, original, number):
            measures = (
                psnr(original, repaired),
                psnr(original, _matched(repaired, original)),
                ssim(original, repaired),
            )
            scores.setdefault(name, []).append((float(measures[0]), float(measures[1]), float(measures[2])))
    ours = np.array(scores["hashigo"])
    print(f"{len(ours)} photos, mean (median)\n")
    print(
        "| method | PSNR | PSNR, brightness and contrast matched | SSIM | hashigo's PSNR is higher | the same, matched |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, rows in scores.items():
        values = np.array(rows)
        better = [] if name == "hashigo" else [f"{100 * (ours[:, i] > values[:, i]).mean():.0f} %" for i in range(2)]
        shown = [
            f"{values[:, i].mean():.{2 + 2 * (i == 2)}f} ({np.median(values[:, i]):.{2 + 2 * (i == 2)}f})"
            for i in range(3)
        ]
        print("| " + " | ".join([name, *shown, *(better or ["–", "–"])]) + " |")


def _matched(repaired: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The picture with the brightness and the contrast that bring it closest to the original, by least squares before clipping."""
    x, y = repaired.ravel().astype(np.float64), original.ravel().astype(np.float64)
    slope = max(0.0, float(np.cov(x, y)[0, 1] / max(x.var(ddof=1), 1e-9)))
    return np.clip(slope * (repaired - x.mean()) + y.mean(), 0, 1).astype(np.float32)


def _each(model: Model, original: np.ndarray, number: int) -> list[tuple[str, np.ndarray]]:
    rng = PictureRng(0, 0, np.array([number]))
    task = model.task
    small = original
    if task.name == "super-resolve":
        small = shrunk(original[None], original.shape[1] // task.result_scale, original.shape[2] // task.result_scale)[
            0
        ]
        damaged = enlarged(small, *original.shape[1:])
    else:
        damaged = task.degrade(original[None], rng)[0]
    damaged = damaged.clip(0, 1).astype(np.float32)
    mask = (np.abs(damaged - original) > 1 / 255).any(axis=0)
    seen = photo_of(damaged)
    made = [("hashigo", model.restored(seen, model.call()).rgb())]
    told = seen.rgb()
    return [
        *((name, np.clip(run(told, small, mask), 0, 1).astype(np.float32)) for name, run in METHODS[task.name].items()),
        *made,
    ]


if __name__ == "__main__":
    main()
