"""Measures of pictures: how good a result is, judged by pictures alone.

Every measure takes an original and a result, floating point, (..., 3, H, W), sRGB 0..1, NumPy or torch, and returns one
number per picture, shape (...). To add one: one function and one line in `METRICS`; evaluation and reports pick it up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from array_api_compat import array_namespace, device

from hashigo import color
from hashigo.color import Array


def psnr(original: Array, result: Array) -> Array:
    """Peak signal-to-noise ratio in dB over sRGB values, peak 1, all three channels together; higher is better."""
    xp = array_namespace(original, result)
    error = xp.mean((original - result) ** 2, axis=(-3, -2, -1))
    return -10.0 * xp.log10(xp.clip(error, 1e-10, None))


def delta_e(original: Array, result: Array) -> Array:
    """Mean CIEDE2000 over all pixels (L*a*b*, D65); 0 for equal pictures, about 1 is just noticeable, lower is better."""
    xp = array_namespace(original, result)
    return xp.mean(color.ciede2000(color.lab(original), color.lab(result)), axis=(-2, -1))


def ssim(original: Array, result: Array) -> Array:
    """Structural similarity of the lumas (BT.601), 1 for equal pictures, hardly ever below 0; higher is better.

    Wang, Bovik, Sheikh & Simoncelli 2004: Gaussian window of 11 taps and sigma 1.5, K1 = 0.01, K2 = 0.03, peak 1,
    population covariance, mean over the positions where the window is completely inside the picture. Along a side of less
    than 11 pixels the window has as many taps as fit, an odd number. On the luma alone, as in the paper; a mean
    over R, G and B is slightly different.
    """
    xp = array_namespace(original, result)
    x, y = color.luma(original), color.luma(result)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return xp.mean(light * structure, axis=(-3, -2, -1))


def sharpness(original: Array, result: Array) -> Array:
    """Share of the original's fine detail in the result: 1 is as sharp, 0 is completely blurred, above 1 is sharper or noisier.

    Fine detail is the luma (BT.601) minus its Gaussian blur (sigma 1.5, the window of `ssim`, inside the picture); the
    share is that of its energy, so detail of half the contrast counts 0.25. Any detail counts, even noise, so
    read it together with PSNR. A flat original (contrast below 1e-4) gives 1 if the result is flat too.
    """
    xp = array_namespace(original, result)

    def energy(rgb: Array) -> Array:
        y = color.luma(rgb)
        return xp.mean((_within(y) - _smooth(y)) ** 2, axis=(-3, -2, -1)) + 1e-8

    return energy(result) / energy(original)


def _taps(length: int) -> list[float]:
    """Weights of the Gaussian window for a side of this many pixels: 11, or the largest odd number that fits."""
    reach = min(5, (length - 1) // 2)
    weights = [math.exp(-0.5 * (i / 1.5) ** 2) for i in range(-reach, reach + 1)]
    return [weight / sum(weights) for weight in weights]


def _smooth(x: Array) -> Array:
    """Gaussian blur of (..., H, W) where the window is completely inside: (..., H - 10, W - 10), or larger for smaller windows."""
    for axis in (-2, -1):
        taps = _taps(x.shape[axis])
        count = x.shape[axis] - len(taps) + 1
        parts = (x[..., i : i + count, :] if axis == -2 else x[..., i : i + count] for i in range(len(taps)))
        x = sum(weight * part for weight, part in zip(taps, parts, strict=True))
    return x


def _within(x: Array) -> Array:
    """The part of (..., H, W) that `_smooth` gives, unblurred."""
    top, left = (len(_taps(side)) // 2 for side in x.shape[-2:])
    return x[..., top : x.shape[-2] - top, left : x.shape[-1] - left]


def colourfulness(original: Array, result: Array) -> Array:
    """Colourfulness M3 of the result on the 0..255 scale (Hasler & Süsstrunk 2003): 15 slightly, 33 moderately, 59 quite.

    With signed opponent channels, as in the paper; code that takes their absolute value gets lower figures.
    """
    xp = array_namespace(result)
    r, g, b = (255.0 * result[..., c, :, :] for c in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    spread = xp.hypot(xp.std(rg, axis=(-2, -1)), xp.std(yb, axis=(-2, -1)))
    return spread + 0.3 * xp.hypot(xp.mean(rg, axis=(-2, -1)), xp.mean(yb, axis=(-2, -1)))


def chroma_distance(original: Array, result: Array) -> Array:
    """The distance between the colours' distributions, wherever they are in the picture: 0 for equal, 1 for disjoint.

    Half the sum of absolute differences (total variation) of histograms of Cb and Cr in cells of 1/24 (about ten levels
    of 255). Each pixel is shared bilinearly by the four nearest cells, so that a tiny change makes a tiny difference.
    """
    xp = array_namespace(original, result)
    difference = xp.abs(_histogram(original) - _histogram(result))
    return xp.sum(difference, axis=(-2, -1)) / 2


def _histogram(rgb: Array) -> Array:
    """The share of pixels in each cell of Cb by Cr: (..., 3, H, W) → (..., 25, 25)."""
    xp = array_namespace(rgb)
    cells = xp.astype(xp.arange(-12, 13, device=device(rgb)), rgb.dtype)[:, None]
    total: Array = 0.0
    rows = max(1, (1 << 18) // rgb.shape[-1])  # in strips, so that a large photo takes little memory
    for top in range(0, rgb.shape[-2], rows):
        chroma = color.chroma(rgb[..., top : top + rows, :]) * 24.0
        cb, cr = (xp.reshape(chroma[..., c, :, :], (*rgb.shape[:-3], 1, -1)) for c in (0, 1))
        along, across = (xp.clip(1.0 - xp.abs(channel - cells), 0.0, None) for channel in (cb, cr))
        total = total + xp.matmul(along, xp.matrix_transpose(across))
    return total / (rgb.shape[-2] * rgb.shape[-1])


@dataclass(frozen=True)
class Metric:
    """A measure with the information that its readers need. Called like its function."""

    function: Callable[[Array, Array], Array]
    label: str
    """Its name and unit in tables."""
    better: Literal["lower", "higher", "same"]
    """Which values are better; "same": those close to the original's own."""

    def __call__(self, original: Array, result: Array) -> Array:
        """(..., 3, H, W) twice → (...)."""
        return self.function(original, result)


METRICS: dict[str, Metric] = {
    "delta_e": Metric(delta_e, "CIEDE2000", "lower"),
    "psnr": Metric(psnr, "PSNR (dB)", "higher"),
    "ssim": Metric(ssim, "SSIM", "higher"),
    "sharpness": Metric(sharpness, "sharpness", "same"),
    "colourfulness": Metric(colourfulness, "colourfulness", "same"),
    "chroma_distance": Metric(chroma_distance, "chroma distance", "lower"),
}
"""Every measure by its name."""

LUMA_ONLY = ("ssim", "sharpness")
"""Measures of the luma alone: constant for every result of a task that keeps the luma."""


def colour_spread(rgb: Array) -> float:
    """How much a picture's chroma (3, H, W) differs from a single tone: the root mean square of what no curve over luma explains.

    About 0 for a grey, sepia or otherwise toned photo, whatever its tone; chroma runs from -0.5 to 0.5.
    """
    import numpy as np

    y = np.asarray(color.luma(rgb), np.float64).ravel()
    chroma = np.asarray(color.chroma(rgb), np.float64).reshape(2, -1).T
    basis = np.stack([np.ones_like(y), y, y * y], 1)
    weights, *_ = np.linalg.lstsq(basis, chroma, rcond=None)
    return float(np.sqrt(np.mean((chroma - basis @ weights) ** 2)))


GREY = 0.002
"""Up to this `colour_spread` a picture has only one tone: grey, or evenly toned. The minimum of 1,000 colour photos is 0.003."""

COLOURED = 0.012
"""From this `colour_spread` a photo counts as a colour photo (`benchmarks/coloured.py`)."""


def is_grey(rgb: Array) -> bool:
    """Whether a picture has no colours; NumPy, (3, H, W)."""
    return colour_spread(rgb) <= GREY


def is_coloured(rgb: Array) -> bool:
    """Whether a photo is in colour, not grey, sepia or toned; NumPy, (3, H, W); 64 x 64 pixels are enough."""
    return colour_spread(rgb) > COLOURED
