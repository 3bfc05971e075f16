"""The known picture formats, and opening a file with the reader that matches its first bytes.

Nothing here changes Pillow's global state, so many threads may read at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import PurePath
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from hashigo.errors import PictureError, did_you_mean

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
}
"""All formats that are both read and written, by Pillow's names, with their suffixes, the usual one first."""

READ_ONLY: dict[str, tuple[str, ...]] = {
    "MPO": (".mpo",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TGA": (".tga",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""Formats that are only read; HEIF needs the extra `heic`."""

_INSTEAD = {"MPO": ".jpg", "HEIF": ".jpg", "JPEG2000": ".png", "PPM": ".png", "TGA": ".png", "GIF": ".png"}

WRITE_SUFFIXES: frozenset[str] = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""The suffixes of formats that can be written, lower case with dot."""

SUFFIXES: frozenset[str] = WRITE_SUFFIXES | {suffix for suffixes in READ_ONLY.values() for suffix in suffixes}
"""The suffixes of formats that can be read, lower case with dot."""


@lru_cache(1024)
def suffix_for_output(suffix: str) -> str:
    """The suffix of the result for a file with `suffix`: the same if that format can be written.

    A GIF becomes a PNG, since 256 colours are too few for a coloured photo.

    >>> suffix_for_output(".JPG"), suffix_for_output(".heic"), suffix_for_output(".gif"), suffix_for_output(".dat")
    ('.JPG', '.jpg', '.png', '.png')
    """
    lower = suffix.lower()
    for kind, other in _INSTEAD.items():
        if lower in {**FORMATS, **READ_ONLY}[kind]:
            return other
    return suffix if lower in WRITE_SUFFIXES else ".png"


def format_for_output(kind: str) -> str:
    """The default output format, by Pillow's name, for a photo read from `kind`.

    >>> format_for_output("JPEG"), format_for_output("HEIF"), format_for_output("")
    ('JPEG', 'JPEG', 'PNG')
    """
    if kind in _INSTEAD:
        return format_of(_INSTEAD[kind])
    return kind if kind in FORMATS else "PNG"


def format_of(name: str) -> str:
    """Pillow's name of a format that can be written, given that name or a suffix, with or without dot, in any case.

    Raises PictureError, listing what can be written.

    >>> format_of(".jpg"), format_of("png")
    ('JPEG', 'PNG')
    """
    wanted = name.strip().lower().removeprefix(".")
    for kind, suffixes in FORMATS.items():
        if wanted == kind.lower() or f".{wanted}" in suffixes:
            return kind
    known = [suffix for suffixes in FORMATS.values() for suffix in suffixes]
    given = f"'{name}'" if name else "no suffix"
    raise PictureError(f"expected the suffix of a picture format, got {given}; {did_you_mean('.' + wanted, known)}")


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF reader without its own check for decompression bombs, which warns below our limit."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


def _heif(stream: BinaryIO, _name: str) -> ImageFile.ImageFile:
    try:
        from pi_heif.as_plugin import HeifImageFile  # takes 20 ms to import, and few need it
    except ImportError as error:
        raise PictureError(
            "expected a picture that this installation can read, got HEIC/HEIF, which needs an extra: "
            "pip install 'hashigo[heic]'"
        ) from error
    image: ImageFile.ImageFile = HeifImageFile(stream)
    return image


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
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
    "HEIF": _heif,
}

_PREFIXES = {
    "PPM": tuple(b"P%d" % digit for digit in range(1, 7)),
    "HEIF": tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")),
}  # fmt: skip
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


def kind_of(stream: BinaryIO) -> str:
    """The format of the file in a seekable `stream` by its first bytes (TGA has none: by its last ones or its name).

    Raises PictureError for an empty file and for a format that is not read.
    """
    stream.seek(0)
    prefix = stream.read(16)
    stream.seek(0)
    if not prefix:
        raise PictureError("expected a picture, got an empty file (0 bytes)")
    for kind in _READERS:
        if kind != "TGA" and _accepts(kind, prefix):
            return kind
    if _is_tga(stream):
        return "TGA"
    known = ", ".join([*FORMATS, *(kind for kind in READ_ONLY if kind != "MPO")])
    raise PictureError(f"expected one of {known}, got a file that begins with {prefix[:8]!r}")


def _accepts(kind: str, prefix: bytes) -> bool:
    if kind == "HEIF":
        return prefix[4:].startswith(_PREFIXES[kind])
    if kind in _PREFIXES:
        return prefix.startswith(_PREFIXES[kind]) and prefix[2:3].isspace()
    accept = Image.OPEN[kind][1]
    return accept is not None and accept(prefix) is True


def _is_tga(stream: BinaryIO) -> bool:
    name = getattr(stream, "name", "")
    if isinstance(name, str) and PurePath(name).suffix.lower() == ".tga":
        return True
    stream.seek(0, 2)
    stream.seek(max(0, stream.tell() - len(_TGA_FOOTER)))
    is_tga = stream.read() == _TGA_FOOTER
    stream.seek(0)
    return is_tga


def open_image(stream: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """The picture in a seekable `stream`, its header read and its pixels not yet decoded.

    Raises PictureError for a format that is not read and for more than `max_pixels` pixels; Pillow's own errors (of many
    kinds) pass through.
    """
    image = _READERS[kind_of(stream)](stream, "")
    check_pixels(image.size, max_pixels)
    return image


LONGEST_SIDE = 1 << 20
"""No scanner or panorama makes longer pictures; only files made to exhaust memory do."""


def check_pixels(size: tuple[int, int], max_pixels: int, pixels: int = 0) -> None:
    """Raises PictureError for more than `max_pixels` pixels or a side beyond `LONGEST_SIDE`; `size` is (width, height).

    pixels: those of this page and the ones before it, where a file has several.
    """
    width, height = size
    if max(size) > LONGEST_SIDE and min(size) > 0:
        raise PictureError(
            f"expected at most {LONGEST_SIDE:,} rows and columns, got {width:,} x {height:,} pixels; cut the picture into parts"
        )
    if (pixels or width * height) > max_pixels:
        measured = f"{width} x {height} = {width * height / 1e6:.1f} megapixels"
        if pixels > width * height:
            measured = f"pages of {pixels / 1e6:.1f} megapixels together"
        remedy = (
            "make the picture smaller, or raise the limit (--max-megapixels on the command line, max_pixels in Python)"
        )
        raise PictureError(f"expected at most {max_pixels / 1e6:g} megapixels, got {measured}; {remedy}")
