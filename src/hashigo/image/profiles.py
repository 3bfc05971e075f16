"""Colour profiles, gamma and primaries: conversion of a file's values to sRGB.

LittleCMS converts 8-bit pictures with an ICC profile. This file does what LittleCMS cannot do through Pillow: 16 bits, and
files that state a gamma or primaries without a profile (PNG's gAMA and cHRM chunks, TIFF's and EXIF's tags).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from hashigo.errors import PictureError

Floats = NDArray[np.float64]
Values = NDArray[np.uint8] | NDArray[np.uint16]

STRIP = 64
"""Rows that are converted at once: small enough for the processor's cache, so large photos stay fast."""

IGNORED = "colour profile ignored"

Profile = ImageCms.ImageCmsProfile
_SPACES = {"RGB": ("RGB ",), "L": ("GRAY", "RGB "), "CMYK": ("CMYK",)}
_LEVELS = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255], np.uint8)
_PROBE = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), -1).reshape(1, -1, 3)


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, to which the pixels of files with a profile are converted."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- 8 bits and an ICC profile, by LittleCMS ------------------------------------------------------------


def to_srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    """An L, RGB, CMYK or LAB picture converted by its profile to L or RGB in sRGB; a broken profile gives a warning."""
    if image.mode == "LAB":
        return _apply(image, _transform(Profile(ImageCms.createProfile("LAB")), "LAB"))
    if profile:
        try:
            return _by_profile(image, profile)
        except (ImageCms.PyCMSError, PictureError, OSError, ValueError, TypeError) as error:
            warnings.append(f"{IGNORED}: {error}")
    return image.convert("RGB") if image.mode == "CMYK" else image


def _by_profile(image: Image.Image, data: bytes) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    space = profile.profile.xcolor_space
    if space not in _SPACES[image.mode]:
        raise PictureError(f"it is for {space.strip()} and the picture is {image.mode}")
    if image.mode == "CMYK":
        return _apply(image, _transform(profile, "CMYK"))
    if image.mode == "L":  # a curve for 256 values, so that grey stays grey
        transform = _transform(profile, "L" if space == "GRAY" else "RGB", ImageCms.Flags.NOOPTIMIZE)
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        curve = _apply(ramp if space == "GRAY" else ramp.convert("RGB"), transform)
        return image.point(np.asarray(curve)[0, :, 1].tolist())
    transform = _transform(profile, "RGB")
    probed = np.asarray(_apply(Image.fromarray(_PROBE), transform)).astype(np.int16)
    if np.abs(probed - _PROBE).max() <= 2:  # sRGB under any name: only rounding differs
        return image
    return _apply(image, transform)


def _transform(
    profile: Profile,
    mode: str,
    precision: ImageCms.Flags = ImageCms.Flags.NONE,
) -> ImageCms.ImageCmsTransform:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | precision
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    turned = ImageCms.applyTransform(image, transform)
    if turned is None:
        raise PictureError("it could not be applied")
    return turned


# --- curves and primaries -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meaning:
    """The meaning of values: a curve from value to light for each channel, and the primaries.

    curves: one or three functions of values 0..1, each given as light at equally spaced values, or as an exponent.
    matrix: from linear light in these primaries to sRGB's; None if they are the same.
    """

    curves: tuple[Floats | float, ...]
    matrix: Floats | None = None

    def to_srgb(self, values: Values) -> Values:
        """Grey (H, W) or colour (H, W, 3) values, 8 or 16 bits, as sRGB of the same shape and depth."""
        top = 2 ** (8 * values.dtype.itemsize) - 1
        inputs = np.linspace(0.0, 1.0, top + 1)
        light = [_light(curve, inputs) for curve in self.curves]
        if values.ndim == 2:
            table = np.round(_encoded(light[len(light) // 2]) * top).astype(values.dtype)
            return np.asarray(table[values])
        result = np.empty_like(values)
        light = [part.astype(np.float32) for part in (light if len(light) == 3 else light * 3)]
        for row in range(0, len(values), STRIP):
            strip = values[row : row + STRIP]
            linear = np.stack([light[channel][strip[..., channel]] for channel in range(3)], -1)
            if self.matrix is not None:
                linear = linear @ self.matrix.T.astype(np.float32)
            result[row : row + STRIP] = np.round(_encoded(linear) * top)
        return result

    @property
    def is_srgb(self) -> bool:
        """Whether no value would change by more than two of 255 levels."""
        probe: NDArray[np.uint8] = _PROBE[0][None]
        turned = self.to_srgb(probe).astype(np.int16)
        return bool(np.abs(turned - probe).max() <= 2)


def _light(curve: Floats | float, inputs: Floats) -> Floats:
    if isinstance(curve, float):
        return np.asarray(inputs**curve)
    return np.interp(inputs, np.linspace(0.0, 1.0, len(curve)), curve)


def _encoded(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light to sRGB, 0..1 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def of_gamma(exponent: float, chromaticities: Sequence[float] | None = None) -> Meaning | None:
    """Values with light = value ** exponent, or with sRGB's own curve if the exponent is close to 2.2.

    chromaticities: x and y of white, red, green and blue; None for sRGB's. Returns None for sRGB and for nonsensical values.
    """
    matrix = None if chromaticities is None else _matrix(chromaticities)
    if not 0.1 <= exponent <= 10:
        return None
    curve = _srgb_curve() if 2.1 <= exponent <= 2.3 else float(exponent)  # 5 %, as in libpng
    meaning = Meaning((curve,), matrix)
    return None if meaning.is_srgb else meaning


def of_tables(tables: Sequence[NDArray[np.generic]], chromaticities: Sequence[float] | None = None) -> Meaning | None:
    """Values whose light is given by one or three tables of 16-bit numbers (TIFF's TransferFunction); None for sRGB."""
    matrix = None if chromaticities is None else _matrix(chromaticities)
    meaning = Meaning(tuple(np.asarray(table, np.float64) / 65535 for table in tables), matrix)
    return None if meaning.is_srgb else meaning


@cache
def _srgb_curve() -> Floats:
    values = np.linspace(0.0, 1.0, 65536)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


SRGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _xyz(chromaticities: Sequence[float]) -> Floats:
    """The matrix from linear light in these primaries to XYZ, adapted to sRGB's white (Bradford; Lindbloom)."""
    points = np.array(chromaticities, np.float64).reshape(4, 2)
    white, *primaries = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in points)
    columns = np.array(primaries).T
    matrix = columns * np.linalg.solve(columns, white)
    x, y = SRGB_CHROMATICITIES[:2]
    target = np.array([x / y, 1.0, (1 - x - y) / y])
    scale = (_BRADFORD @ target) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD @ matrix)


def _matrix(chromaticities: Sequence[float]) -> Floats | None:
    """The matrix from linear light in these primaries to sRGB's; None if they are the same or impossible."""
    values = np.array(chromaticities, np.float64)
    if values.shape != (8,) or not np.isfinite(values).all() or (values[1::2] <= 0).any() or (values > 1).any():
        return None
    if np.abs(values - SRGB_CHROMATICITIES).max() < 0.002:
        return None
    try:
        matrix = np.linalg.solve(_xyz(SRGB_CHROMATICITIES), _xyz(chromaticities))
    except np.linalg.LinAlgError:
        return None
    sensible = bool(np.isfinite(matrix).all()) and float(np.abs(matrix).max()) < 20
    return np.asarray(matrix, np.float64) if sensible else None


# --- ICC profiles of curves and a matrix, for 16 bits ----------------------------------------------------

# sRGB's colorants under D50 (IEC 61966-2-1, Bradford), columns red, green, blue
_SRGB_D50 = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def of_icc(data: bytes, grey: bool) -> Meaning | None:
    """The meaning of values according to an ICC profile made of curves and a matrix (ICC.1:2022, 8.3.3 and 8.4.4).

    Raises PictureError for a profile of another kind (tables, another colour space) or a broken one.
    """
    try:
        tags = _icc_tags(data)
        space = data[16:20]
        if space == b"GRAY" and grey:
            meaning = Meaning((_icc_curve(tags[b"kTRC"]),))
        elif space == b"RGB " and (grey or b"A2B0" not in tags):
            curves = tuple(_icc_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
            columns = [_fixed(tags[name][8:], 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
            meaning = Meaning(curves, np.linalg.solve(_SRGB_D50, np.array(columns).T))
        else:
            raise PictureError(f"it is for {space.decode('latin-1').strip()} or made of tables")
        return None if meaning.is_srgb else meaning
    except (KeyError, struct.error, IndexError, ValueError, np.linalg.LinAlgError) as error:
        raise PictureError(f"{type(error).__name__}: {error}") from error


def _icc_tags(data: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack(">I", data[128:132])
    if count > 1000:
        raise PictureError(f"it claims {count} tags")
    entries = [struct.unpack(">4sII", data[132 + 12 * i : 144 + 12 * i]) for i in range(count)]
    return {name: data[offset : offset + size] for name, offset, size in entries}


def _icc_curve(tag: bytes) -> Floats | float:
    """A curve tag: a power, a table, or one of five formulas (ICC.1:2022, 10.6 and 10.18)."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack(">I", tag[8:12])
        if count == 0:
            return 1.0
        if count == 1:
            return float(struct.unpack(">H", tag[12:14])[0]) / 256
        table = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
        if len(table) != count:
            raise PictureError("a curve is cut short")
        return table.astype(np.float64) / 65535
    if tag[:4] != b"para":
        raise PictureError(f"a curve of kind {tag[:4]!r}")
    (kind,) = struct.unpack(">H", tag[8:10])
    return _parametric(kind, _fixed(tag[12:], (1, 3, 4, 5, 7)[kind]))


def _fixed(data: bytes, count: int) -> list[float]:
    return [value / 65536 for value in struct.unpack(f">{count}i", data[: 4 * count])]


def _parametric(kind: int, given: Sequence[float]) -> Floats | float:
    if kind == 0:
        return float(given[0])
    g, a, b, c, d, e, f = [*given, *[0.0] * (7 - len(given))]
    x = np.linspace(0.0, 1.0, 65536)
    power = np.maximum(a * x + b, 0.0) ** g
    if kind in (1, 2):  # below -b/a there is only the constant c
        return np.where(x >= -b / a, power + c, c)
    return np.where(x >= d, power + e, c * x + f)
