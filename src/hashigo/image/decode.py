"""The reading half of `hashigo.image`: files of all known formats to plain arrays.

Nothing here changes Pillow's global state, so many threads may read at once.
"""

from __future__ import annotations

import math
import sys
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.errors import PictureError
from hashigo.image import profiles
from hashigo.image.formats import open_image
from hashigo.image.metadata import (
    Metadata,
    exif_gamma,
    further_pictures,
    has_extended_xmp,
    metadata_of,
    tiff_chromaticities,
)
from hashigo.image.pixels import to_8_bits
from hashigo.image.profiles import IGNORED, STRIP, Meaning, Values


class Decoded(NamedTuple):
    """The contents of a file: `hashigo.image.Photo` in plain parts."""

    pixels: Values
    alpha: NDArray[np.uint8] | None
    format: str
    metadata: Metadata
    warnings: tuple[str, ...]


def decode(image: Image.Image, stream: BinaryIO | None = None, *, first_of_several: bool = True) -> Decoded:
    """Everything that `hashigo` keeps of a Pillow picture: upright, in sRGB or grey, with 8 or 16 bits, alpha separate.

    stream: the seekable file from which `image` was opened, for 16-bit colour, of which Pillow reads only 8.
    first_of_several: whether to warn that further pages or frames are left out.

    Raises PictureError for values that are not finite; Pillow's own errors (many kinds) pass through.
    """
    warnings = [more] if first_of_several and (more := further_pictures(image)) else []
    low = _low_bytes(image, stream)  # before loading, which forgets how the file's values are packed
    packed = _packed_as(image)
    image.load()
    metadata, orientation = metadata_of(image, warnings)
    if has_extended_xmp(image):
        warnings.append("not kept: the part of its XMP beyond 64 kB")
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    pixels, mask, applied = _deep(image, low, orientation, warnings) or _shallow(image, orientation, warnings)
    if pixels.dtype == np.uint8 and (bits := _bits(image, packed)) > 8:
        warnings.append(f"read with 8 of its {bits} bits per channel")
    if applied:
        metadata["icc_profile"] = profiles.srgb_profile()
    return Decoded(pixels, mask, kind, metadata, tuple(warnings))


def _bits(image: Image.Image, packed: str) -> int:
    """Bits per channel in the file, however many Pillow returns."""
    return 16 if ";16" in packed else int(image.info.get("bit_depth") or 8)


Layers = tuple[Values, NDArray[np.uint8] | None, bool]
"""Grey or sRGB values, alpha, both upright, and whether a colour profile was applied."""


def _shallow(image: Image.Image, orientation: int, warnings: list[str]) -> Layers:
    """8 bits."""
    profile = image.info.get("icc_profile")
    basic = _in_basic_mode(image)
    mask = to_array(basic.getchannel("A"), orientation) if basic.mode in ("LA", "RGBA") else None
    if basic.mode in ("LA", "RGBA") and (profile or basic.mode == "LA"):
        basic = basic.convert(basic.mode[:-1])
    before = len(warnings)
    if basic.mode != "RGBA":
        basic = profiles.to_srgb(basic, profile, warnings)
    pixels: Values = to_array(basic, orientation)
    applied = bool(profile) and len(warnings) == before
    meaning = None if profile else stated_meaning(image)
    return (pixels if meaning is None else meaning.to_srgb(pixels)), mask, applied


def _deep(image: Image.Image, low: Image.Image | None, orientation: int, warnings: list[str]) -> Layers | None:
    """16 bits; None for a picture that has only 8."""
    if low is not None:
        values = np.left_shift(to_array(image, orientation), 8, dtype=np.uint16)
        np.bitwise_or(values, to_array(low, orientation), out=values)
        mask = to_array(image.getchannel("A"), orientation) if image.mode == "RGBA" else None
    elif image.mode[0] in "IF":
        values, mask = (upright(layer, orientation) for layer in _scaled(image, warnings))
    else:
        return None
    data = image.info.get("icc_profile")
    try:
        meaning = profiles.of_icc(data, grey=values.ndim == 2) if data else stated_meaning(image)
    except PictureError as error:
        return _without_depth(values, mask, data, error, warnings)
    return (values if meaning is None else meaning.to_srgb(values)), mask, bool(data)


def _without_depth(
    values: NDArray[np.uint16], mask: NDArray[np.uint8] | None, profile: bytes | None, error: PictureError, warnings: list[str]
) -> Layers:  # fmt: skip
    """8 bits of a picture whose profile only LittleCMS can apply; all 16 if it cannot either."""
    said: list[str] = []  # the values are upright already
    turned = to_array(profiles.to_srgb(Image.fromarray(to_8_bits(values)), profile, said))
    if said:
        warnings.append(f"{IGNORED}: {error}")
        return values, mask, False
    return turned, mask, True


def stated_meaning(image: Image.Image) -> Meaning | None:
    """The colour space of a file without a profile (PNG's gAMA and cHRM, TIFF's and EXIF's tags); None for sRGB."""
    info, tags = image.info, getattr(image, "tag_v2", {})
    if image.format == "PNG":
        if "srgb" in info or not ("gamma" in info or "chromaticity" in info):
            return None
        gamma = float(info.get("gamma") or 1 / 2.2)
        return profiles.of_gamma(1 / gamma, info.get("chromaticity"))
    chromaticities = tiff_chromaticities(image)
    if tables := _transfer_tables(tags.get(301, ())):
        return profiles.of_tables(tables, chromaticities)
    exponent = exif_gamma(image)
    if exponent is None and chromaticities is None:
        return None
    return profiles.of_gamma(2.2 if exponent is None else exponent, chromaticities)


def _transfer_tables(values: object) -> list[NDArray[np.generic]]:
    """TIFF's TransferFunction: one table of 2 ** bits numbers, or three."""
    if not isinstance(values, tuple) or len(values) < 2:
        return []
    size = 2 ** int(math.log2(len(values)))
    if len(values) not in (size, 3 * size // 2):
        return []
    count = 1 if len(values) == size else 3
    return list(np.split(np.asarray(values, np.float64), count))


# --- pixels -----------------------------------------------------------------------------------------


def upright(pixels: Any, orientation: int) -> Any:
    """Pixels (H, W) or (H, W, 3) turned according to EXIF's orientation, 1 to 8."""
    if orientation == 1 or pixels is None:
        return pixels
    turned = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels[::-1].swapaxes(0, 1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: pixels[:, ::-1].swapaxes(0, 1),
    }[orientation]
    return np.ascontiguousarray(turned)


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_array(image: Image.Image, orientation: int = 1) -> NDArray[np.uint8]:
    """The pixels of an "L", "RGB" or "RGBA" picture, uint8 (H, W) or (H, W, 3), turned upright, without alpha.

    Converts in strips: four times as fast as NumPy's own conversion and without a second full-size copy.
    """
    width, height = image.size
    turned = orientation >= 5
    shape = (width, height) if turned else (height, width)
    pixels = np.empty(shape if image.mode == "L" else (*shape, 3), np.uint8)
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        strip = image.crop((0, top, width, bottom))
        if orientation in _TRANSPOSE:
            strip = strip.transpose(_TRANSPOSE[orientation])
        where = slice(height - bottom, height - top) if orientation in (3, 4, 6, 7) else slice(top, bottom)
        values = np.asarray(strip)
        pixels[(slice(None), where) if turned else where] = values[..., :3] if image.mode == "RGBA" else values
    return pixels


_BASIC_MODES = {"1": "L", "PA": "RGBA", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}


def _in_basic_mode(image: Image.Image) -> Image.Image:
    """The picture in one of the modes L, LA, RGB, RGBA, CMYK and LAB (8 bits each)."""
    mode = image.mode
    target = _BASIC_MODES.get(mode, mode)
    if mode == "P":
        target = "L" if _grey_palette(image) else "RGB"
    if "transparency" in image.info and target in ("L", "RGB"):
        return _with_transparency(image, target + "A")
    return image if target == mode else image.convert(target)


def _with_transparency(image: Image.Image, target: str) -> Image.Image:
    """tRNS of PNG and GIF: one colour, or one alpha per palette entry."""
    key = image.info["transparency"]
    if isinstance(key, tuple) and max(key) > 255:  # of 16-bit pictures Pillow keeps the high bytes only
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode == "P":  # Pillow warns for P to LA with transparency bytes, not for P to RGBA
        rgba = image.convert("RGBA")
        return rgba if target == "RGBA" else rgba.convert("LA")
    return image.convert(target)


def _grey_palette(image: Image.Image) -> bool:
    palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


# --- 16 bits ------------------------------------------------------------------------------------------


def _low_bytes(image: Image.Image, stream: BinaryIO | None) -> Image.Image | None:
    """The low bytes of a 16-bit colour picture, of which Pillow reads the high ones; None for other pictures.

    If the byte order is reversed, Pillow takes the low bytes for the high ones.
    """
    if stream is None or image.format not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA"):
        return None
    if not _swapped_tiles(image) or "transparency" in image.info:
        return None
    place = stream.tell()
    low = open_image(stream, image.width * image.height)
    if page := image.tell():
        low.seek(page)
    low.tile = _swapped_tiles(low)
    low.load()
    stream.seek(place)
    return low if (low.size, low.mode) == (image.size, image.mode) else None


_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def _swapped_tiles(image: Image.Image) -> list[Any]:
    """The picture's tiles with the byte order of its values reversed; [] if it does not have 16 bits."""
    packed = _packed_as(image)
    if packed[:-1] not in ("RGB;16", "RGBA;16", "RGBX;16"):
        return []
    swapped = packed[:-1] + _OTHER_ORDER[packed[-1]]
    return [
        tile._replace(args=(swapped, *tile.args[1:]) if isinstance(tile.args, tuple) else swapped)
        for tile in getattr(image, "tile", [])
    ]


def _packed_as(image: Image.Image) -> str:
    """Pillow's name for the packing of a file's values before it is loaded, for instance "RGB;16B"; "" if unknown."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0].args if tiles else ""
    packed = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return packed if isinstance(packed, str) else ""


def _scaled(image: Image.Image, warnings: list[str]) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None]:
    """A grey picture of 16 or 32 bits or floats as 16 bits, scaled and not clipped, and its alpha by tRNS."""
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        bits = int(tags.get(258, (16,))[0])  # BitsPerSample: 12-bit scans come as I;16 as well
        grey = _from_uint16(values, bits if 8 < bits < 16 else 16)
    elif image.mode == "I" and values.min() >= 0 and values.max() <= 65535:
        grey = _from_uint16(values, 16)  # 32-bit integers nearly always hold 16-bit data
    else:
        grey = _from_range(values, warnings)
    if tags.get(262) == 0:  # PhotometricInterpretation: white is zero; Pillow inverts 8 bits only
        grey = np.subtract(65535, grey)
    key = image.info.get("transparency")
    mask = np.where(values == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    return grey, mask


def _from_uint16(values: NDArray[np.integer], bits: int) -> NDArray[np.uint16]:
    """Scales numbers with this many bits to 16 bits."""
    if bits == 16:
        return values.astype(np.uint16)
    full = 2**bits - 1
    table = ((np.arange(full + 1) * 65535 + full // 2) // full).astype(np.uint16)
    return np.take(table, values, mode="clip")


def _from_range(values: NDArray[np.generic], warnings: list[str]) -> NDArray[np.uint16]:
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise PictureError("expected finite values, got NaN or infinity; replace them first")
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        warnings.append(f"values from {low:g} to {high:g}: scaled so that the lowest is black and the highest white")
    scaled = values.astype(np.float64)  # float32 cannot hold all 32-bit integers, nor the spread of all floats
    scaled -= low
    scaled *= 65535 / ((high - low) or 1)
    scaled += 0.5
    return scaled.astype(np.uint16)
