"""Photos: the only place that knows about files, uint8, rows of pixels, EXIF, colour profiles and alpha.

Everywhere else a *picture* is float32, shape (3, H, W), sRGB, values 0..1. Here a file becomes a `Photo`
(uint8, small in memory); a photo gives pictures, whole or in strips, and becomes a file again.

>>> photo = photo_of(np.zeros((2, 4), np.uint8))
>>> photo.size, photo.is_grey, photo.rgb().shape
((2, 4), True, (3, 2, 4))
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hashigo.errors import PictureError
from hashigo.files import atomic_path, open_file
from hashigo.image.by_strips import BY_STRIPS, Layers, write_by_strips
from hashigo.image.decode import decode
from hashigo.image.encode import DEEP, OPAQUE, PAGED, encode_image
from hashigo.image.encode import lost as lost_metadata
from hashigo.image.formats import SUFFIXES, WRITE_SUFFIXES, check_pixels, format_of, open_image
from hashigo.image.metadata import Metadata
from hashigo.image.pixels import check_values, from_pixels, from_uint8, to_8_bits, to_pixels, to_uint8
from hashigo.image.profiles import Values
from hashigo.image.resizing import block_means, check_size
from hashigo.image.scan import Box

__all__ = [
    "MAX_PIXELS", "SUFFIXES", "WRITE_SUFFIXES", "Photo", "encode", "from_pixels", "from_uint8", "losses", "photo_of", "pixels_in", "read",
    "to_pixels", "to_uint8", "write",
]  # fmt: skip

MAX_PIXELS = 178_000_000
"""The largest photo that is read by default; a file of two hundred bytes can claim more pixels than fit in memory."""

Pages = Literal["first", "all"]
"""Which pages or frames of a file are read."""

MOST_PAGES = 10_000

_RANGE = (-0.01, 1.01)


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as read from a file: upright, 8 or 16 bits, grey or sRGB, alpha separate.

    Raises PictureError if the arrays have another type or shape.
    """

    pixels: Values
    """uint8 or uint16, (H, W) for grey or (H, W, 3) for sRGB."""
    alpha: NDArray[np.uint8] | None = None
    """uint8 (H, W), 255 is opaque; None without alpha."""
    format: str = ""
    """Pillow's name of the file's format, "" for a photo made from an array."""
    metadata: Metadata = field(default_factory=dict)
    """Metadata to write back if the format allows: exif, iptc, xmp, comment (bytes), dpi (two floats), text (dict), and for several
    frames duration (milliseconds) and loop; icc_profile is sRGB's if the file had a profile, for `image.pillow.Picture`."""
    warnings: tuple[str, ...] = ()
    """Warnings for the user, for instance that only the first frame of an animation is used."""
    further: tuple[Photo, ...] = ()
    """The file's further pages or frames, if all were read."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        check_values(self.pixels)
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]):
            raise PictureError(f"expected uint8 alpha {shape[:2]}, got {self.alpha.dtype} {self.alpha.shape}")

    def __repr__(self) -> str:
        kind = ("grey" if self.is_grey else "sRGB") + (" of 16 bits" if self.is_deep else "")
        parts = [f"{self.width} × {self.height} pixels, {kind}", *(["with alpha"] if self.alpha is not None else [])]
        parts += [self.format] if self.format else []
        return f"Photo({', '.join([*parts, *sorted(self.metadata)])})"

    def _repr_png_(self) -> bytes:
        """PNG bytes, which notebooks display."""
        return encode(self, "PNG")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def is_grey(self) -> bool:
        """Whether the file held one channel; a grey-looking RGB file is not grey here."""
        return self.pixels.ndim == 2

    @property
    def is_deep(self) -> bool:
        """Whether it has 16 bits per channel."""
        return bool(self.pixels.dtype == np.uint16)

    def rgb(self, top: int = 0, bottom: int | None = None) -> NDArray[np.float32]:
        """The rows from `top` to `bottom` (all by default) as a picture: float32 (3, rows, W), 0..1; read-only if grey."""
        return from_pixels(self.pixels[top:bottom])

    def resized(self, height: int, width: int, box: Box | None = None, blur: float = 0.0) -> NDArray[np.float32]:
        """The photo, or the part `box` of it, at another size, antialiased and with 8 bits: float32 (3, height, width), 0..1.

        Much larger photos are first averaged over whole blocks to about twice the size, then resized with Lanczos. blur: the standard
        deviation of a Gaussian, in pixels of the photo, applied before the size is changed.
        """
        check_size(height, width)
        pixels = self.pixels if box is None else self.pixels[box.top : box.bottom, box.left : box.right]
        high, wide = pixels.shape[:2]
        most = max(1, int(blur)) if blur else max(high, wide)  # blocks larger than that would not be blurred, but alias
        down, across = (min(most, max(1, side // (2 * wanted))) for side, wanted in ((high, height), (wide, width)))
        image = Image.fromarray(block_means(to_8_bits(pixels), down, across))
        if blur:
            image = image.filter(ImageFilter.GaussianBlur((blur / across, blur / down)))
        part = (0.0, 0.0, wide / across, high / down)
        return from_uint8(np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, part)))

    def blocks(self, box: Box | None = None, step: int = 1) -> NDArray[np.float32]:
        """The photo, or the part `box` of it, as means over blocks of `step` × `step` pixels: float32 (3, ceil(H / step), ceil(W / step)), 0..1."""
        pixels = self.pixels if box is None else self.pixels[box.top : box.bottom, box.left : box.right]
        return from_uint8(block_means(to_8_bits(pixels), step, step))

    def sample(self, side: int = 64) -> NDArray[np.float32]:
        """A rough small picture of at most `side` rows and columns, float32 (3, h, w), 0..1: each pixel is the mean of up to 16 spread
        over its area. Much faster than `resized`, for questions about the photo as a whole."""
        down, across = (max(1, -(-length // side)) for length in self.size)
        offsets = [(row, column) for row in _spread(down) for column in _spread(across)]
        height, width = (length // step for length, step in zip(self.size, (down, across), strict=True))
        parts = (self.pixels[row::down, column::across][:height, :width] for row, column in offsets)
        mean: NDArray[np.float32] = np.mean([from_pixels(part) for part in parts], axis=0, dtype=np.float32)
        return mean

    def with_rgb(self, picture: NDArray[np.floating]) -> Photo:
        """A photo from `picture` (float, (3, H, W), 0..1) with this photo's depth, alpha and metadata."""
        return self.with_pixels(to_pixels(picture, self.empty(*picture.shape[1:])))

    def empty(self, height: int, width: int) -> Values:
        """An empty array for sRGB pixels of this photo's depth: (height, width, 3)."""
        return np.empty((height, width, 3), self.pixels.dtype)

    def with_pixels(self, pixels: Values) -> Photo:
        """A photo from `pixels` (uint8 or uint16, (H, W, 3) or (H, W)) with this photo's alpha and metadata.

        Alpha is resized if the pixels have another size.
        """
        alpha = self.alpha
        if alpha is not None and alpha.shape != pixels.shape[:2]:
            alpha = np.array(Image.fromarray(alpha).resize((pixels.shape[1], pixels.shape[0])))
        return replace(self, pixels=pixels, alpha=alpha)

    def on_white(self) -> NDArray[np.uint8]:
        """The pixels, with 8 bits, on white: the values of transparent pixels are arbitrary."""
        pixels = to_8_bits(self.pixels)
        if self.alpha is None:
            return pixels
        cover = (self.alpha if self.is_grey else self.alpha[..., None]).astype(np.uint16)
        return ((pixels * cover + 255 * (255 - cover) + 127) // 255).astype(np.uint8)

    def to_pil(self) -> Image.Image:
        """A Pillow picture of mode L, LA, RGB or RGBA, 8 bits, without metadata."""
        image = Image.fromarray(to_8_bits(self.pixels))
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        return image


def _spread(step: int) -> list[int]:
    """Up to four positions spread over `step`."""
    return sorted({step * (2 * i + 1) // 8 for i in range(4)})


# --- files ------------------------------------------------------------------------------------------


def read(source: str | Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS, pages: Pages = "first") -> Photo:
    """The photo in a file (path), in bytes or in an open binary stream (which stays open).

    The first bytes decide the format, not the name; see `SUFFIXES` for the known ones. The size is checked
    in the header before anything is decoded (above 178.9 megapixels WebP is refused whatever `max_pixels`
    is: Pillow's own limit). EXIF orientation is applied; colour profiles, and a gamma or primaries stated in the file, are
    converted to sRGB; 10 to 32 bits become 16. pages: with "all" the photo's `further` holds the pages or frames after the first;
    together they may have `max_pixels` pixels. Thread-safe.

    Raises PictureError, and nothing else, if the file is missing, unreadable, too large, truncated or not a picture.
    """
    name = _name_of(source)
    try:
        with _stream_of(source) as stream, open_image(stream, max_pixels) as image:
            if pages == "first" or image.format == "MPO" or not getattr(image, "is_animated", False):
                return Photo(*decode(image, stream))
            return _all_pages(image, stream, max_pixels)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error
    except MemoryError as error:
        raise PictureError(
            f"{name}: expected a picture that fits in memory, got none ({error or 'out of memory'})"
        ) from error
    except Exception as error:  # the one boundary: Pillow raises a dozen kinds for broken files
        raise PictureError(f"{name}: expected a complete picture file, {_reason(error)}") from error


def pixels_in(source: str | Path | bytes) -> int:
    """The number of pixels of a file's first picture according to its header; 0 if unknown."""
    try:
        with _stream_of(source) as stream, open_image(stream, sys.maxsize) as image:
            return int(image.width * image.height)
    except Exception:  # as in `read`, which will say why
        return 0


def _all_pages(image: Image.Image, stream: BinaryIO, max_pixels: int) -> Photo:
    """The first page with the others as its `further`. They are counted while reading, because a header may claim any number."""
    photos: list[Photo] = []
    durations: list[int] = []
    pixels = 0
    for page in range(MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        pixels += image.width * image.height
        check_pixels(image.size, max_pixels, pixels)
        photos.append(Photo(*decode(image, stream, first_of_several=False)))
        durations.append(round(image.info.get("duration") or 0))
    first, *others = photos
    times = {"duration": durations, "loop": int(image.info.get("loop", 0))} if any(durations) else {}
    warnings = tuple(dict.fromkeys(warning for photo in photos for warning in photo.warnings))
    return replace(first, further=tuple(others), metadata=first.metadata | times, warnings=warnings)


def _name_of(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "picture in memory"


def _stream_of(source: str | Path | bytes | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """A seekable stream; it is closed at the end only if it was opened here."""
    if isinstance(source, (str, os.PathLike)):
        return open_file(Path(os.fsdecode(source)))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    if not hasattr(source, "read"):
        raise PictureError(f"expected a path, bytes or a binary stream, got {type(source).__name__}")
    return nullcontext(source if source.seekable() else io.BytesIO(source.read()))


def _reason(error: Exception) -> str:
    """An error message for people: the system's for missing files, otherwise Pillow's."""
    if isinstance(error, OSError) and error.strerror:
        return f"got none that can be opened: {error.strerror}"
    return f"got one that is damaged or cut short ({type(error).__name__}: {error})"


def photo_of(picture: object) -> Photo:
    """A photo from any kind of picture.

    Accepts a `Photo` (unchanged), a Pillow picture, a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), a float
    array (3, H, W) with values 0..1, a path, bytes or a binary stream.

    Raises PictureError for anything else.
    """
    if isinstance(picture, Photo):
        return picture
    if isinstance(picture, np.ndarray):
        return _photo_of_array(picture)
    if isinstance(picture, Image.Image):
        try:
            return Photo(*decode(picture))
        except PictureError:
            raise
        except Exception as error:  # a lazily opened file fails here, in as many ways as in `read`
            raise PictureError(f"Pillow picture: expected a whole one, {_reason(error)}") from error
    if isinstance(picture, (str, os.PathLike, bytes, bytearray)) or hasattr(picture, "read"):
        return read(cast(BinaryIO, picture))
    raise PictureError(f"expected a path, bytes, a Pillow picture or an array, got {type(picture).__name__}")


def _photo_of_array(array: NDArray[Any]) -> Photo:  # of any type; the checks here narrow it
    if array.dtype in (np.uint8, np.uint16) and array.ndim == 3 and array.shape[2] == 1:
        return Photo(array[:, :, 0])
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 4:
        return Photo(np.ascontiguousarray(array[:, :, :3]), np.ascontiguousarray(array[:, :, 3]))
    if array.dtype.kind == "f" and array.ndim == 3 and array.shape[0] == 3 and array.size:
        low, high = float(array.min()), float(array.max())
        if not (_RANGE[0] <= low and high <= _RANGE[1]):
            raise PictureError(f"expected float values 0..1, got {low:g} to {high:g}; divide 8-bit values by 255")
        return Photo(to_uint8(array))
    if array.dtype in (np.uint8, np.uint16):
        return Photo(array)
    expected = "uint8 or uint16 (H, W) or (H, W, 3), uint8 (H, W, 4), or float (3, H, W)"
    raise PictureError(f"expected an array of {expected}, got {array.dtype} {array.shape}")


def encode(photo: Photo, format: str, quality: int = 92) -> bytes:
    """The photo as the bytes of a file; `format` is "JPEG", "PNG", … or a suffix, `quality` is 1..100.

    Depth, metadata, alpha and further pages are kept if the format allows (`losses` lists the others); JPEG and BMP are composed on
    white. GIF keeps 256 colours.

    Raises PictureError for an unknown format and for a photo that the format cannot hold (a JPEG has at
    most 65,535 rows and columns).
    """
    stream = io.BytesIO()
    _encode_into(stream, photo, format_of(format), quality)
    return stream.getvalue()


LARGE = 1 << 26
"""From this many pixels, about 67 million, photos are written in strips if the format allows: less memory, same pixels."""


def _encode_into(stream: BinaryIO, photo: Photo, kind: str, quality: int) -> None:
    if not 1 <= quality <= 100:
        raise PictureError(f"expected a quality from 1 to 100, got {quality}")
    try:
        large = photo.width * photo.height >= LARGE and kind in BY_STRIPS and not (photo.further and kind in PAGED)
        if large or _keeps_depth(photo, kind):
            layers = Layers(photo.on_white(), None) if kind in OPAQUE else Layers(photo.pixels, photo.alpha)
            write_by_strips(layers, kind, quality, photo.metadata, stream)
            return
        further = [page.to_pil() for page in photo.further] if kind in PAGED else []
        image = photo.to_pil() if kind not in OPAQUE else Image.fromarray(photo.on_white())
        stream.write(encode_image(image, kind, quality, photo.metadata, further))
    except OSError as error:
        if error.errno is not None and isinstance(stream, io.BufferedWriter):
            raise  # of the disk, not of the encoder
        raise _cannot_hold(photo, kind, error) from error
    except Exception as error:  # the other boundary: encoders raise OSError, ValueError, struct.error, …
        raise _cannot_hold(photo, kind, error) from error


def _cannot_hold(photo: Photo, kind: str, error: Exception) -> PictureError:
    problem = f"{photo.width} x {photo.height} pixels ({type(error).__name__}: {error})"
    return PictureError(f"expected a photo that {kind} can hold, got {problem}")


def _keeps_depth(photo: Photo, kind: str) -> bool:
    return photo.is_deep and kind in DEEP and not photo.further


def losses(photo: Photo, format: str) -> str:
    """What a format cannot keep of a photo, as a line for people; "" if it keeps everything.

    Raises PictureError for an unknown format.

    >>> losses(Photo(np.zeros((2, 4), np.uint16), metadata={"xmp": b"x"}), "BMP")
    'BMP cannot keep: XMP, 16 bits per channel'
    """
    kind = format_of(format)
    missing = lost_metadata(kind, photo.metadata)
    if photo.is_deep and not _keeps_depth(photo, kind):
        missing.append("16 bits per channel" + (" of several pages" if kind in DEEP else ""))
    if photo.alpha is not None and kind in OPAQUE and int(photo.alpha.min()) < 255:
        missing.append("transparency (put on white)")
    if photo.further and kind not in PAGED:
        missing.append(f"{len(photo.further)} further pages")
    return f"{kind} cannot keep: {', '.join(missing)}" if missing else ""


def write(photo: Photo, path: str | Path, *, quality: int = 92, format: str | None = None) -> None:
    """Writes the photo to `path`, whole or not at all; the format follows from the suffix unless given.

    See `encode` for what is kept. Folders are created as needed.

    Raises PictureError for a wrong suffix, a photo that the format cannot hold, or a failing disk.
    """
    path = Path(path)
    try:
        kind = format_of(format or path.suffix)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            _encode_into(file, photo, kind, quality)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except OSError as error:
        raise PictureError(f"{path}: expected a place to write to, got: {error.strerror or error}") from error
