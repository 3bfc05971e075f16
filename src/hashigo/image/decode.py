"""From a file of any allowed format to plain uint8 arrays; the half of `hashigo.image` that reads.

Nothing here changes Pillow's global state, so many threads may read at once.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from hashigo.errors import PictureError

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
}
"""Every format that is read and written, by Pillow's name, with its suffixes; the first is the usual one."""

STRIP = 64
"""Rows that are converted at once: small enough for the processor's cache, so large photos stay fast."""

ORIENTATION = int(ExifTags.Base.Orientation)

# What IFD 0 of a TIFF file says about its own pixels (and ICC, Photoshop blocks, XMP), TIFF 6.0 section 8.
STRUCTURAL_TAGS = frozenset(
    {*range(254, 260), 262, 263, 266, 273, 277, 278, 279, *range(280, 282), 284, 317, 318, 319, 320}
    | {*range(322, 326), 330, 332, 338, 339, 340, 341, 347, *range(512, 533), 700, 34377, 34675, 37724}
)


Metadata = dict[str, Any]  # bytes, numbers and texts, by what Pillow calls them
"""What a file carries beside its pixels, by Pillow's names."""


class Decoded(NamedTuple):
    """What a file held: `hashigo.image.Photo` in plain parts."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    format: str
    metadata: Metadata
    warnings: tuple[str, ...]


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF reader without its own bomb check at loading, which warns below our bound."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


# The formats' own readers instead of Image.open: its bomb check warns through global state, which no
# thread may silence for the others, and it names formats by suffix.
_READERS: dict[str, Callable[[BinaryIO, str], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": _TiffFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def open_image(stream: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """The picture in a seekable `stream`, its header read and its pixels not yet decoded.

    Raises PictureError for a format that is not in `FORMATS` (by its first bytes) and for more than
    `max_pixels` pixels; Pillow's own errors (of many kinds) pass through.
    """
    stream.seek(0)
    prefix = stream.read(16)
    stream.seek(0)
    if not prefix:
        raise PictureError("expected a picture, found an empty file (0 bytes)")
    kind = next((name for name in FORMATS if _accepts(name, prefix)), None)
    if kind is None:
        raise PictureError(f"expected one of {', '.join(FORMATS)}, found a file that begins with {prefix[:8]!r}")
    image: ImageFile.ImageFile = _READERS[kind](stream, "")
    width, height = image.size
    if width * height > max_pixels:
        measured = f"{width} x {height} = {width * height / 1e6:.1f} megapixels"
        remedy = "make the picture smaller or raise max_pixels"
        raise PictureError(f"expected at most {max_pixels / 1e6:g} megapixels, found {measured}; {remedy}")
    return image


def _accepts(kind: str, prefix: bytes) -> bool:
    accept = Image.OPEN[kind][1]
    return accept is not None and accept(prefix) is True


def decode(image: Image.Image) -> Decoded:
    """All that `hashigo` keeps of a Pillow picture: upright, in sRGB or grey, with 8 bits, alpha apart.

    Raises PictureError for values that are not finite; Pillow's own errors (of many kinds) pass through.
    """
    warnings: list[str] = []
    profile = image.info.get("icc_profile")
    animated = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    if animated:
        what = "pages" if image.format == "TIFF" else "frames"
        warnings.append(f"several {what}: only the first is used")
    image.load()
    metadata, orientation = _metadata(image, warnings)
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    basic = _in_basic_mode(image, warnings)
    mask = basic.getchannel("A") if basic.mode in ("LA", "RGBA") else None
    if mask is not None:
        basic = basic.convert(basic.mode[:-1])
    colour = _srgb(basic, profile, warnings)
    alpha = None if mask is None else to_array(mask, orientation)
    if profile and not any(warning.startswith(_IGNORED) for warning in warnings):
        metadata["icc_profile"] = srgb_profile()
    return Decoded(to_array(colour, orientation), alpha, kind, metadata, tuple(warnings))


# --- pixels -----------------------------------------------------------------------------------------

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
    """The pixels of an "L" or "RGB" picture, uint8 (H, W) or (H, W, 3), turned upright.

    Strip by strip: four times as fast as NumPy's own conversion and without a second full-size copy.
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
        pixels[(slice(None), where) if turned else where] = np.asarray(strip)
    return pixels


_BASIC_MODES = {"1": "L", "PA": "RGBA", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}


def _in_basic_mode(image: Image.Image, warnings: list[str]) -> Image.Image:
    """The picture in one of the modes L, LA, RGB, RGBA, CMYK and LAB (8 bits each)."""
    mode = image.mode
    if mode[0] in "IF":
        return _scaled(image, warnings)
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


def _scaled(image: Image.Image, warnings: list[str]) -> Image.Image:
    """A grey picture of 16 or 32 bits or floats as 8 bits, scaled and not clipped; "L", or "LA" with tRNS."""
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
        np.subtract(255, grey, out=grey)
    scaled = Image.fromarray(grey)
    if isinstance(key := image.info.get("transparency"), int):
        scaled.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return scaled


def _from_uint16(values: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """round(v * 255 / (2**bits - 1)), by a table; strip by strip, since an index takes eight bytes."""
    full = 2**bits - 1
    table = ((np.arange(full + 1) * 255 + full // 2) // full).astype(np.uint8)
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), STRIP):
        np.take(table, values[top : top + STRIP], mode="clip", out=grey[top : top + STRIP])
    return grey


def _from_range(values: NDArray[np.generic], warnings: list[str]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise PictureError("expected finite values, found NaN or infinity; replace them first")
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        warnings.append(f"values from {low:g} to {high:g}: scaled so that the lowest is black and the highest white")
    scaled = values.astype(np.float64)  # float32 cannot hold all 32-bit integers, nor the spread of all floats
    scaled -= low
    scaled *= 255 / ((high - low) or 1)
    scaled += 0.5
    return scaled.astype(np.uint8)


_IGNORED = "colour profile ignored"


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, to which the pixels of a file with a profile are brought."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- colour profiles --------------------------------------------------------------------------------

Profile = ImageCms.ImageCmsProfile
_SPACES = {"RGB": ("RGB ",), "L": ("GRAY", "RGB "), "CMYK": ("CMYK",)}
_LEVELS = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255], np.uint8)
_PROBE = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), -1).reshape(1, -1, 3)


def _srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    """An L, RGB, CMYK or LAB picture as L or RGB in sRGB, by its profile; a broken one gives a warning."""
    if image.mode == "LAB":
        return _apply(image, _transform(Profile(ImageCms.createProfile("LAB")), "LAB"))
    if profile:
        try:
            return _by_profile(image, profile)
        except (ImageCms.PyCMSError, PictureError, OSError, ValueError, TypeError) as error:
            warnings.append(f"{_IGNORED}: {error}")
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
    if np.abs(probed - _PROBE).max() <= 2:  # sRGB under any name: what differs is its rounding
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


# --- metadata ---------------------------------------------------------------------------------------


def _metadata(image: Image.Image, warnings: list[str]) -> tuple[Metadata, int]:
    """What to write back (exif, xmp, dpi, comment, text), and the EXIF orientation, 1 to 8."""
    exif, orientation = _exif(image, warnings)
    metadata: Metadata = {"exif": exif} if exif else {}
    xmp = image.info.get("xmp")
    if isinstance(xmp, (bytes, str)):
        data = xmp.encode() if isinstance(xmp, str) else xmp
        metadata["xmp"] = re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", data)
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(0 < float(value) < 65536 for value in dpi):
        metadata["dpi"] = (float(dpi[0]), float(dpi[1]))
    comment = image.info.get("comment")
    if isinstance(comment, (bytes, str)) and comment:
        metadata["comment"] = comment.encode() if isinstance(comment, str) else comment
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    carried = {key: str(value) for key, value in texts.items() if not key.startswith(("XML:com.adobe", "Raw profile"))}
    return metadata | ({"text": carried} if carried else {}), orientation


def _exif(image: Image.Image, warnings: list[str]) -> tuple[bytes, int]:
    """EXIF to write back, orientation 1 and without its thumbnail (which shows the old picture)."""
    try:
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
        cleaned = Image.Exif()
        cleaned.load(exif.tobytes())
        for tag in [tag for tag in cleaned if tag in STRUCTURAL_TAGS]:
            del cleaned[tag]
        if len(cleaned) == 0:
            return b"", orientation if orientation in _TRANSPOSE else 1
        cleaned[ORIENTATION] = 1
        return cleaned.tobytes(), orientation if orientation in _TRANSPOSE else 1
    except Exception as error:  # Pillow raises a dozen kinds; a photo is worth more than its EXIF
        warnings.append(f"EXIF ignored: {type(error).__name__}: {error}")
        return b"", 1
