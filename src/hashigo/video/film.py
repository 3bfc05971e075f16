"""What a film's file says about itself, asked of the `ffprobe` program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from hashigo.errors import MissingExtraError, PictureError

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".vob"}
)  # fmt: skip
"""Suffixes of films, lower case with dot."""

HOW_TO_INSTALL = "install it with 'apt install ffmpeg' (Debian, Ubuntu), 'dnf install ffmpeg' from RPM Fusion (Fedora), 'brew install ffmpeg' (macOS) or 'winget install ffmpeg' (Windows)"

HDR = {"smpte2084": "HDR10 (PQ)", "arib-std-b67": "HLG"}
"""Transfer functions of films with a high dynamic range."""

MATRICES = {"bt709": (0.2126, 0.0722), "bt470bg": (0.299, 0.114), "smpte170m": (0.299, 0.114), "fcc": (0.30, 0.11),
            "smpte240m": (0.212, 0.087), "bt2020nc": (0.2627, 0.0593)}  # fmt: skip
"""Shares of red and blue in the luma, by ffmpeg's name of the colour matrix (ITU-T H.273)."""


@dataclass(frozen=True)
class Film:
    """A film's video stream.

    Args:
        path: Its file.
        width: Of the upright frames, in pixels.
        height: Of the upright frames.
        depth: Bits per value.
        subsampling: Chroma planes are reduced by (across, down): (2, 2) for 4:2:0.
        full_range: Whether luma takes all values, or only 16 to 235 of 255.
        matrix: Name of the colour matrix in `MATRICES`.
        colour: ffmpeg's options for what the file says about its colours.
        aspect: Width of a pixel divided by its height.
        time_base: Duration of a tick.
        rate: Frames per second on average.
        frames: How many, about; 0 if unknown.
        counted: Whether the file says so itself.
        duration: In seconds, about; 0 if unknown.
        streams: All other streams, in the file's order: (kind, codec).
        is_rgb: Whether the file has red, green and blue in place of luma and chroma; frames then travel as luma and chroma of BT.709.
        reduced: Bits per value in the file, if they are more than the result can have.
        fields: Of an interlaced film, which field comes first: "tff" or "bff"; else "".
    """

    path: Path
    width: int
    height: int
    depth: int = 8
    subsampling: tuple[int, int] = (2, 2)
    full_range: bool = False
    matrix: str = "bt709"
    colour: tuple[str, ...] = ()
    aspect: Fraction = Fraction(1)
    time_base: Fraction = Fraction(1, 90_000)
    rate: Fraction = Fraction(25)
    frames: int = 0
    counted: bool = False
    duration: float = 0.0
    streams: tuple[tuple[str, str], ...] = ()
    is_rgb: bool = False
    reduced: int = 0
    fields: str = ""

    @property
    def pixel_format(self) -> str:
        """ffmpeg's name of the format in which frames travel and are stored; grey films become 4:2:0."""
        kind = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}[self.subsampling]
        full = "j" if self.full_range and self.depth == 8 else ""
        return f"yuv{full}{kind}p{'' if self.depth == 8 else f'{self.depth}le'}"

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) of the result: even where chroma planes are reduced, as H.264 needs it, also in each field."""
        across, down = self.subsampling
        rows = 2 * down if self.fields else down
        return -(-self.height // rows) * rows, -(-self.width // across) * across

    @property
    def chroma_size(self) -> tuple[int, int]:
        """(height, width) of a chroma plane."""
        across, down = self.subsampling
        return -(-self.height // down), -(-self.width // across)


def program(name: str) -> str:
    """The path of `ffmpeg` or `ffprobe`.

    Raises:
        MissingExtraError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingProgramError(f"films need the program '{name}', which was not found; {HOW_TO_INSTALL}")
    return path


@lru_cache(maxsize=4)
def check_ffmpeg(path: str) -> str:
    """The version of this ffmpeg.

    Raises:
        MissingExtraError: it is too old, or cannot write H.264.
    """
    version = subprocess.run(
        [path, "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    ).stdout
    number = re.match(r"ffmpeg version n?(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < (5, 1):
        raise MissingProgramError(f"films need ffmpeg 5.1 or newer, found {number[1]}.{number[2]}; {HOW_TO_INSTALL}")
    listed = [path, "-hide_banner", "-encoders"]
    if (
        "libx264"
        not in subprocess.run(listed, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False).stdout
    ):
        raise MissingProgramError(f"films need an ffmpeg with the encoder libx264, found one without; {HOW_TO_INSTALL}")
    words = version.split()
    return words[2] if len(words) > 2 else "of an unknown version"


class MissingProgramError(MissingExtraError):
    """The program `ffmpeg` is not installed, or cannot be used."""

    def __init__(self, message: str) -> None:
        ImportError.__init__(self, message)
        self.extra = "ffmpeg"


def probe(path: Path) -> Film:
    """What a film's file says about itself.

    Raises:
        PictureError: it is no film, or one with a high dynamic range. MissingExtraError: ffmpeg is not installed.
    """
    asked = ["-v", "error", "-of", "json", "-show_format", "-show_streams"]
    done = subprocess.run(
        [program("ffprobe"), *asked, f"file:{path}"], capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    try:
        about = json.loads(done.stdout or b"{}")
        streams = about.get("streams", [])
        video = next(
            stream for stream in streams if stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")
        )  # fmt: skip
        return _film(path, video, streams, about.get("format", {}))
    except PictureError:
        raise
    except (StopIteration, KeyError, ValueError, TypeError) as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else "it has no video stream"
        raise PictureError(f"{path}: expected a film, got a file that ffmpeg cannot read as one ({reason})") from error


def _film(path: Path, video: dict[str, Any], streams: list[dict[str, Any]], container: dict[str, Any]) -> Film:
    transfer = video.get("color_transfer", "")
    dolby = any("DOVI" in side.get("side_data_type", "") for side in video.get("side_data_list", []))
    if transfer in HDR or dolby:
        kind = HDR.get(transfer, "Dolby Vision")
        raise PictureError(
            f"{path}: expected a film with a standard dynamic range, got {kind}; convert it first, for instance with ffmpeg's filter tonemap"
        )
    matrix = str(video.get("color_space", "unknown"))
    name = video.get("pix_fmt", "")
    is_rgb = name.startswith(RGB)
    if not is_rgb and matrix not in (*MATRICES, "unknown", "reserved", "gbr"):
        raise PictureError(
            f"{path}: expected a film whose colour matrix is one of {', '.join(MATRICES)}, got {matrix}; convert it first"
        )
    width, height = int(video["width"]), int(video["height"])
    if _turned(video):
        width, height = height, width
    bits, subsampling = _format(name)
    matrix = "bt709" if is_rgb else matrix if matrix in MATRICES else _usual_matrix(width, height)
    return Film(
        path, width, height, min(bits, 10), subsampling,
        full_range=video["color_range"] == "pc" if video.get("color_range") in ("pc", "tv") and not is_rgb else name.startswith(("yuvj", "gray")),
        matrix=matrix,
        colour=("-colorspace", matrix, *(
            word
            for option, key in (("-color_primaries", "color_primaries"), ("-color_trc", "color_transfer"))
            if video.get(key, "unknown") not in ("unknown", "reserved")
            for word in (option, TRANSFERS.get(str(video[key]), str(video[key])) if key == "color_transfer" else str(video[key]))
        )),
        aspect=_fraction(video.get("sample_aspect_ratio", "1:1").replace(":", "/"), Fraction(1)) ** (-1 if _turned(video) else 1),
        time_base=_fraction(video["time_base"], Fraction(1, 90_000)),
        rate=_fraction(video.get("avg_frame_rate", ""), Fraction(25)),
        frames=_count(video, container),
        counted=str(video.get("nb_frames", "")).isdigit(),
        duration=float(video.get("duration") or container.get("duration") or 0),
        streams=tuple(
            ("attached picture" if stream.get("disposition", {}).get("attached_pic") else stream.get("codec_type", "unknown"), stream.get("codec_name", "unknown"))
            for stream in streams if stream is not video
        ),
        is_rgb=is_rgb,
        reduced=bits if bits > 10 else 0,
        fields={"tt": "tff", "bt": "tff", "bb": "bff", "tb": "bff"}.get(video.get("field_order", ""), ""),
    )  # fmt: skip


def _turned(video: dict[str, Any]) -> bool:
    """Whether width and height change places, because the film was taken with the camera on its side."""
    turns = [side.get("rotation", 0) for side in video.get("side_data_list", [])]
    turns.append(video.get("tags", {}).get("rotate", 0))
    return any(round(float(turn)) % 180 == 90 for turn in turns)


RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8")
"""Beginnings of ffmpeg's names of formats with red, green and blue."""

TRANSFERS = {"bt470m": "gamma22", "bt470bg": "gamma28"}
"""Transfer functions that ffmpeg's options call otherwise than ffprobe does."""


def _format(name: str) -> tuple[int, tuple[int, int]]:
    """Bits per value, and how much smaller the chroma planes are. Formats that are rare in films travel as 4:2:0 or 4:4:4."""
    found = re.search(r"(?:p|gray|rgb|p0|p2|p4)(9|10|12|14|16)(?:le|be)?$", name)
    bits = (
        int(found[1])
        if found
        else 16
        if re.search(r"(48|64)(le|be)$", name)
        else 10
        if name.startswith(("x2", "v210"))
        else 8
    )
    if "422" in name or name.startswith("p2") or name in ("yuyv422", "uyvy422"):
        return bits, (2, 1)
    if "444" in name or name.startswith((*RGB, "p4")):
        return bits, (1, 1)
    return bits, (2, 2)


def _usual_matrix(width: int, height: int) -> str:
    """The colour matrix that players take where a file says nothing; the result says it."""
    return "bt709" if width >= 1280 or height > 576 else "smpte170m"


def _count(video: dict[str, Any], container: dict[str, Any]) -> int:
    if str(video.get("nb_frames", "")).isdigit():
        return int(video["nb_frames"])
    seconds = float(video.get("duration") or container.get("duration") or 0)
    return round(seconds * float(_fraction(video.get("avg_frame_rate", "0"), Fraction(0))))


def _fraction(text: str, otherwise: Fraction) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return otherwise
    return value if value > 0 else otherwise
