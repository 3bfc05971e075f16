"""Metadata: EXIF, IPTC, XMP, resolution, comments, and statements about the file's own colours."""

from __future__ import annotations

import contextlib
import re
import struct
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

Metadata = dict[str, Any]  # bytes, numbers and texts, by what Pillow calls them
"""A file's metadata, by Pillow's names."""

ORIENTATION = int(ExifTags.Base.Orientation)
IPTC_TAG = 33723
XMP_TAG = 700
_GAMMA_TAG = int(ExifTags.Base.Gamma)

# Tags in IFD 0 of a TIFF file that describe its own pixels (and ICC, Photoshop blocks, XMP, IPTC), TIFF 6.0 section 8.
STRUCTURAL_TAGS = frozenset(
    {*range(254, 260), 262, 263, 266, 273, 277, 278, 279, *range(280, 282), 284, 301, 317, 318, 319, 320}
    | {*range(322, 326), 330, 332, 338, 339, 340, 341, 347, *range(512, 533), XMP_TAG, IPTC_TAG, 34377, 34675, 37724}
)


def metadata_of(image: Image.Image, warnings: list[str]) -> tuple[Metadata, int]:
    """The metadata to write back (exif, iptc, xmp, dpi, comment, text), and the EXIF orientation, 1 to 8."""
    exif, orientation = _exif(image, warnings)
    metadata: Metadata = {"exif": exif} if exif else {}
    if iptc := _iptc(image):
        metadata["iptc"] = iptc
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
    return metadata | _texts(image), orientation


def _texts(image: Image.Image) -> Metadata:
    """The texts of a PNG file; its EXIF, XMP and comment are stored separately."""
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    left_out = (
        "XML:com.adobe",
        "Raw profile type exif",
        "Raw profile type xmp",
        "Raw profile type APP1",
        "Raw profile type icc",
    )
    carried = {key: str(value) for key, value in texts.items() if not key.startswith(left_out)}
    comment = carried.pop("Comment", "")
    return ({"text": carried} if carried else {}) | ({"comment": comment.encode()} if comment else {})


def _exif(image: Image.Image, warnings: list[str]) -> tuple[bytes, int]:
    """EXIF to write back, with orientation 1 and without the thumbnail (which shows the old picture)."""
    try:
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
        orientation = orientation if orientation in range(2, 9) else 1
        cleaned = Image.Exif()
        cleaned.load(exif.tobytes())
        for tag in [tag for tag in cleaned if tag in STRUCTURAL_TAGS]:
            del cleaned[tag]
        if len(cleaned) == 0:
            return b"", orientation
        cleaned[ORIENTATION] = 1
        return cleaned.tobytes(), orientation
    except Exception as error:  # Pillow raises a dozen kinds; a photo is worth more than its EXIF
        warnings.append(f"EXIF ignored: {type(error).__name__}: {error}")
        return b"", 1


# --- IPTC ---------------------------------------------------------------------------------------------

_IPTC_RESOURCE = 0x0404


def _iptc(image: Image.Image) -> bytes:
    """The IPTC record in a JPEG's APP13 segment or a TIFF's tag; b"" if there is none."""
    resources = image.info.get("photoshop")
    if isinstance(resources, dict) and isinstance(record := resources.get(_IPTC_RESOURCE), bytes):
        return record
    # The bytes as in the file, even if the tag calls them LONGs; Pillow itself keeps only the first number.
    record = getattr(getattr(image, "tag_v2", None), "_tagdata", {}).get(IPTC_TAG, b"")
    return record.rstrip(b"\0") if isinstance(record, bytes) else b""


def photoshop_block(iptc: bytes) -> bytes:
    """An IPTC record as the contents of a JPEG's APP13 segment (Adobe, Photoshop File Formats, "Image Resources")."""
    head = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\0" * (len(iptc) % 2)


# --- further pictures in a file -------------------------------------------------------------------------


MOST_COUNTED = 1000
"""Largest number of pages that are counted."""


def further_pictures(image: Image.Image) -> str:
    """The contents of a file besides its first picture, for people; "" if there are none."""
    frames = _frames_of(image) if getattr(image, "is_animated", False) else 1
    if image.format == "MPO":
        if _has_gain_map(image):
            return "its gain map (HDR) is not kept"
        return f"only the first of its {frames} pictures is kept" if frames > 1 else ""
    if frames > 1:
        what = "pages" if image.format == "TIFF" else "frames"
        if frames > MOST_COUNTED:
            return f"only the first of its {MOST_COUNTED:,} or more {what} is used"
        return f"only the first of its {frames} {what} is used"
    return "its gain map (HDR) is not kept" if image.format == "JPEG" and _has_gain_map(image) else ""


def has_unread_pages(warning: str) -> bool:
    """Whether a warning by `further_pictures` says that pages were left out that can be read."""
    return bool(re.fullmatch(r"only the first of its .+ is used", warning))


def _frames_of(image: Image.Image) -> int:
    """Number of pictures in a file; above `MOST_COUNTED` they are not counted, because files can have millions of empty pages."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    with contextlib.suppress(EOFError):
        while count <= MOST_COUNTED:
            image.seek(count)  # one by one: after a jump beyond the end, Pillow 13 counts wrongly
            count += 1
    image.seek(0)
    return count


def _has_gain_map(image: Image.Image) -> bool:
    xmp = image.info.get("xmp", b"")
    data = xmp.encode() if isinstance(xmp, str) else xmp
    return isinstance(data, bytes) and any(name in data for name in (b"hdrgm:Version", b"HDRGainMap", b"hdr-gain-map"))


def has_extended_xmp(image: Image.Image) -> bool:
    """Whether a JPEG's XMP continues in further segments, which Pillow does not read."""
    return any(
        kind == "APP1" and data.startswith(b"http://ns.adobe.com/xmp/extension/")
        for kind, data in getattr(image, "applist", ())
    )


# --- statements about colours ----------------------------------------------------------------------------


def exif_gamma(image: Image.Image) -> float | None:
    """The exponent from values to light according to EXIF's Gamma tag; None if there is none."""
    try:
        value = image.getexif().get_ifd(ExifTags.IFD.Exif).get(_GAMMA_TAG)
        return None if value is None else float(value)
    except Exception:  # faults of EXIF are reported elsewhere
        return None


def tiff_chromaticities(image: Image.Image) -> tuple[float, ...] | None:
    """x and y of white, red, green and blue from a TIFF's tags WhitePoint and PrimaryChromaticities; None without both."""
    tags = getattr(image, "tag_v2", {})
    try:
        values = tuple(float(value) for tag in (318, 319) for value in tags.get(tag, ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return values if len(values) == 8 else None


def with_resolution(exif: bytes, dpi: tuple[float, float]) -> bytes:
    """EXIF with the resolution, for formats that have no other place for it."""
    tags = Image.Exif()
    tags.load(exif)
    if ExifTags.Base.XResolution not in tags:
        rationals = (TiffImagePlugin.IFDRational(round(value * 100), 100) for value in dpi)
        tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = rationals
        tags[ExifTags.Base.ResolutionUnit] = 2
    return tags.tobytes()
