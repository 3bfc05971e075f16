"""All colour maths, once, for NumPy and torch arrays alike.

A picture is floating point, shape (..., 3, H, W): sRGB with values 0..1, any leading batch axes. Luma and
chroma are BT.601 full range, the YCbCr of JPEG (ITU-T T.871): luma 0..1, Cb and Cr -0.5..0.5 with 0 for grey.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from array_api_compat import array_namespace

Array = Any  # NumPy and torch arrays have no common type
"""A NumPy array or a torch tensor: what the array-API functions here take and return."""
Namespace = ModuleType
"""The array-API functions of NumPy or of torch."""

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of R, G and B in luma (ITU-R BT.601); Pillow's "L" and the article use the same."""

D65 = (0.95047, 1.0, 1.08883)
"""The white point (CIE 1931, 2 degrees) of sRGB, Y = 1."""

_CR_TO_R = 2 * (1 - LUMA_WEIGHTS[0])
_CB_TO_B = 2 * (1 - LUMA_WEIGHTS[2])
_CB_TO_G = -_CB_TO_B * LUMA_WEIGHTS[2] / LUMA_WEIGHTS[1]
_CR_TO_G = -_CR_TO_R * LUMA_WEIGHTS[0] / LUMA_WEIGHTS[1]


def _channels(picture: Array) -> tuple[Array, ...]:
    """The channels of (..., C, H, W) as C arrays of shape (..., H, W)."""
    return tuple(picture[..., c, :, :] for c in range(picture.shape[-3]))


def luma(rgb: Array) -> Array:
    """Luma of a picture: (..., 3, H, W) sRGB 0..1 → (..., 1, H, W), 0..1 (ITU-R BT.601)."""
    r, g, b = _channels(rgb)
    y = LUMA_WEIGHTS[0] * r + LUMA_WEIGHTS[1] * g + LUMA_WEIGHTS[2] * b
    return y[..., None, :, :]


def chroma(rgb: Array) -> Array:
    """Cb and Cr of a picture: (..., 3, H, W) sRGB 0..1 → (..., 2, H, W), -0.5..0.5 (ITU-T T.871)."""
    xp = array_namespace(rgb)
    r, g, b = _channels(rgb)
    y = LUMA_WEIGHTS[0] * r + LUMA_WEIGHTS[1] * g + LUMA_WEIGHTS[2] * b
    return xp.stack([(b - y) / _CB_TO_B, (r - y) / _CR_TO_R], axis=-3)


def offsets(cbcr: Array) -> Array:
    """Each channel's difference from the luma: (..., 2, H, W) → R - Y, G - Y and B - Y, (..., 3, H, W)."""
    xp = array_namespace(cbcr)
    cb, cr = _channels(cbcr)
    return xp.stack([_CR_TO_R * cr, _CB_TO_G * cb + _CR_TO_G * cr, _CB_TO_B * cb], axis=-3)


def merge(y: Array, cbcr: Array) -> Array:
    """Luma and chroma to sRGB, with the luma kept exactly.

    y: (..., 1, H, W), 0..1; cbcr: (..., 2, H, W), nominally -0.5..0.5, but any finite value is accepted.
    Chroma outside the gamut is scaled towards grey just far enough that every channel is within 0..1:
    the hue stays and the luma does not change. Returns (..., 3, H, W), 0..1.
    """
    xp = array_namespace(y, cbcr)
    y = xp.clip(y[..., 0, :, :], 0.0, 1.0)
    red, green, blue = _channels(offsets(cbcr))
    tiny = 1e-12  # keeps 0/0 of a grey pixel away; far below what float32 chroma resolves
    above = xp.maximum(xp.maximum(red, green), blue) + tiny
    below = tiny - xp.minimum(xp.minimum(red, green), blue)
    scale = xp.clip(xp.minimum((1.0 - y) / above, y / below), None, 1.0)
    return xp.stack([y + scale * red, y + scale * green, y + scale * blue], axis=-3)


def linear(rgb: Array) -> Array:
    """sRGB 0..1 to linear light 0..1, any shape (IEC 61966-2-1)."""
    xp = array_namespace(rgb)
    rgb = xp.clip(rgb, 0.0, 1.0)
    return xp.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: Array) -> Array:
    """sRGB (..., 3, H, W) 0..1 to CIE L*a*b*, D65: L 0..100, a and b about -128..127."""
    xp = array_namespace(rgb)
    r, g, b = _channels(linear(rgb))
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / D65[0]
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / D65[2]
    fx, fy, fz = (_lab_curve(xp, t) for t in (x, y, z))
    return xp.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-3)


def _lab_curve(xp: Namespace, t: Array) -> Array:
    delta = 6 / 29
    root = xp.clip(t, delta**3, None) ** (1 / 3)
    return xp.where(t > delta**3, root, t / (3 * delta**2) + 4 / 29)


def ciede2000(lab1: Array, lab2: Array) -> Array:
    """CIEDE2000 colour difference of two L*a*b* pictures (..., 3, H, W) → (..., H, W), 0 for equal colours.

    Source: Sharma, Wu & Dalal, "The CIEDE2000 color-difference formula", 2005 (kL = kC = kH = 1); tested against
    the 34 pairs of that paper.
    """
    xp = array_namespace(lab1, lab2)
    l1, a1, b1 = _channels(lab1)
    l2, a2, b2 = _channels(lab2)
    stretch = 1 + 0.5 * (1 - _seventh(xp, (xp.hypot(a1, b1) + xp.hypot(a2, b2)) / 2))
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = xp.hypot(a1, b1), xp.hypot(a2, b2)
    h1, h2 = (xp.remainder(xp.atan2(b, a), 2 * xp.pi) for a, b in ((a1, b1), (a2, b2)))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    # the short way round; exactly opposite hues (a pair of the paper's) are left as they are, rounding or not
    half = xp.pi * (1 + 1e-12)
    dh = h2 - h1
    dh = xp.where(dh > half, dh - 2 * xp.pi, xp.where(dh < -half, dh + 2 * xp.pi, dh))
    big_dh = 2 * xp.sqrt(c1 * c2) * xp.sin(dh / 2)
    mean_h = h1 + dh / 2  # where a colour is grey the paper has another, but there big_dh is 0 and no hue counts
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / xp.sqrt(20 + (mean_l - 50) ** 2)
    s_c = 1 + 0.045 * mean_c
    s_h = 1 + 0.015 * mean_c * _hue_weight(xp, mean_h)
    degrees = xp.remainder(mean_h * (180 / xp.pi), 360.0)
    turn = (xp.pi / 3) * xp.exp(-(((degrees - 275) / 25) ** 2))
    rotation = -2 * _seventh(xp, mean_c) * xp.sin(turn)
    dl, dc, dhue = (l2 - l1) / s_l, (c2 - c1) / s_c, big_dh / s_h
    return xp.sqrt(xp.clip(dl**2 + dc**2 + dhue**2 + rotation * dc * dhue, 0.0, None))


def _seventh(xp: Namespace, c: Array) -> Array:
    """sqrt(c^7 / (c^7 + 25^7)), with c relative to 25 so that float32 does not overflow."""
    ratio = (c / 25.0) ** 7
    return xp.sqrt(ratio / (ratio + 1.0))


def _hue_weight(xp: Namespace, hue: Array) -> Array:
    """The T of CIEDE2000 of a mean hue in radians."""
    degree = xp.pi / 180
    return (
        1
        - 0.17 * xp.cos(hue - 30 * degree)
        + 0.24 * xp.cos(2 * hue)
        + 0.32 * xp.cos(3 * hue + 6 * degree)
        - 0.20 * xp.cos(4 * hue - 63 * degree)
    )
