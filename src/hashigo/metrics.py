"""Measures of pictures: what a result is worth, seen only as pictures.

Every measure takes an original and a result, floating point, (..., 3, H, W), sRGB 0..1, NumPy or torch, and gives one
number per picture, shape (...). To add one: one function and one line in `METRICS`; evaluation and reports pick it up.
"""

from __future__ import annotations

from collections.abc import Callable

from array_api_compat import array_namespace

from hashigo import color
from hashigo.color import Array


def psnr(original: Array, result: Array) -> Array:
    """Peak signal-to-noise ratio in dB over sRGB values, peak 1, all three channels together; higher is better."""
    xp = array_namespace(original, result)
    error = xp.mean((original - result) ** 2, axis=(-3, -2, -1))
    return -10.0 * xp.log10(xp.clip(error, 1e-10, None))


def delta_e(original: Array, result: Array) -> Array:
    """Mean CIEDE2000 over all pixels (L*a*b*, D65); 0 is equal, about 1 just noticeable, lower is better."""
    xp = array_namespace(original, result)
    return xp.mean(color.ciede2000(color.lab(original), color.lab(result)), axis=(-2, -1))


def colourfulness(original: Array, result: Array) -> Array:
    """Colourfulness M3 of the result on the 0..255 scale (Hasler & Süsstrunk 2003): 15 slightly, 33 moderately, 59 quite.

    With signed opponent channels, as in the paper; code that takes their absolute value gets lower figures.
    """
    xp = array_namespace(result)
    r, g, b = (255.0 * result[..., c, :, :] for c in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    spread = xp.hypot(xp.std(rg, axis=(-2, -1)), xp.std(yb, axis=(-2, -1)))
    return spread + 0.3 * xp.hypot(xp.mean(rg, axis=(-2, -1)), xp.mean(yb, axis=(-2, -1)))


METRICS: dict[str, Callable[[Array, Array], Array]] = {
    "delta_e": delta_e,
    "psnr": psnr,
    "colourfulness": colourfulness,
}
"""Every measure by its name."""
