"""Frames from a film's file and into one, through pipes to `ffmpeg`."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import PictureError, StorageError
from hashigo.video.film import Film, program
from hashigo.video.matroska import FrameWriter

Plane = NDArray[Any]
"""uint8, or uint16 of more than 8 bits."""

QUEUED = 16
"""Frames that wait between ffmpeg and us."""

PRESET = "faster"
"""x264's preset: takes half as long as its default, `medium`, for files of the same size and nearly the same quality (docs/benchmarks.md, "Films")."""

FOURCC = {(8, (2, 2)): b"I420", (8, (2, 1)): b"Y42B", (8, (1, 1)): b"444P", (10, (2, 2)): b"Y3\x0b\x0a", (10, (2, 1)): b"Y3\x0a\x0a",
          (10, (1, 1)): b"Y3\x00\x0a"}  # fmt: skip
"""ffmpeg's tags of raw formats, by depth and subsampling."""


@dataclass(frozen=True)
class Frame:
    """A frame.

    time: when it is shown, in seconds. luma: (H, W), as stored. chroma: both planes, (2, h, w), as stored.
    """

    time: Fraction
    luma: Plane
    chroma: Plane

    def luma_8(self, film: Film) -> NDArray[np.uint8]:
        """The luma with 8 bits, 0 to 255 for black to white."""
        shift = film.depth - 8
        if film.full_range:
            return (self.luma >> shift).astype(np.uint8) if shift else self.luma.astype(np.uint8, copy=False)
        values = np.arange(1 << film.depth)
        table = np.clip(np.rint((values / (1 << shift) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
        return table[self.luma]


def read_frames(film: Film, first: int = 0) -> Generator[Frame, None, None]:
    """The film's frames, upright, from number `first`. Closing the generator ends ffmpeg.

    Raises:
        PictureError: ffmpeg cannot go on; frames before that have been yielded.
    """
    height, width = film.height, film.width
    down, across = film.chroma_size
    wide = 2 if film.depth > 8 else 1
    size = (height * width + 2 * down * across) * wide
    told = "pc" if film.full_range else "tv"
    matrix = ":out_color_matrix=bt709" if film.is_rgb else ""
    # frames of other sizes or formats in the middle of a film become like the others
    filters = f"scale={width}:{height}:out_range={told}{matrix},format={film.pixel_format},showinfo=checksum=0"
    for number, (time, content) in enumerate(_raw(film, filters, film.pixel_format, size)):
        if number < first:
            continue
        values = np.frombuffer(content, np.uint16 if wide == 2 else np.uint8)
        luma = values[: height * width].reshape(height, width)
        yield Frame(time, luma, values[height * width :].reshape(2, down, across))


def read_small(film: Film, size: tuple[int, int]) -> Generator[tuple[Fraction, NDArray[np.uint8]], None, None]:
    """The time and luma (h, w) of all frames, reduced to `size`. Raises as `read_frames` does."""
    height, width = size
    filters = f"scale={width}:{height}:flags=area,format=gray,showinfo=checksum=0"
    for time, content in _raw(film, filters, "gray", height * width):
        yield time, np.frombuffer(content, np.uint8).reshape(size)


def _raw(film: Film, filters: str, pixel_format: str, size: int) -> Generator[tuple[Fraction, bytes], None, None]:
    """The time and the `size` bytes of each frame that leaves the filters."""
    command = [
        program("ffmpeg"), "-hide_banner", "-nostdin", "-nostats", "-v", "info", "-i", f"file:{film.path}", "-map", "0:V:0", "-an", "-sn", "-dn",
        "-copyts", "-fps_mode", "passthrough", "-vf", filters, "-f", "rawvideo", "-pix_fmt", pixel_format, "pipe:1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told = _Told(process.stderr, film)
    frames: queue.Queue[bytes | None] = queue.Queue(QUEUED)
    ended = threading.Event()

    def fetch() -> None:
        with process.stdout:  # type: ignore[union-attr]  # a pipe was asked for
            while not ended.is_set():
                content = process.stdout.read(size)  # type: ignore[union-attr]
                frames.put(content if len(content) == size else None)
                if len(content) < size:
                    return

    thread = threading.Thread(target=fetch, name="hashigo-film", daemon=True)
    thread.start()
    try:
        while (content := frames.get()) is not None:
            yield told.next(), content
        if process.wait() != 0:
            raise PictureError(
                f"{film.path}: expected a whole film, got one that ffmpeg cannot read to its end ({told.last})"
            )
    finally:
        ended.set()
        process.kill()
        while thread.is_alive():  # it may be waiting for room
            with suppress(queue.Empty):
                frames.get(timeout=0.01)
        process.wait()


class _Told:
    """What ffmpeg says on standard error: the frames' times."""

    _FRAME = re.compile(rb"showinfo.*\bn: *\d+ +pts: *(-?\d+|NOPTS)")

    def __init__(self, stream: IO[bytes] | None, film: Film) -> None:
        self._stream, self._film = stream, film
        self._times: queue.Queue[Fraction | str | None] = queue.Queue()
        self._before: Fraction | None = None
        self._shift = Fraction(0)
        self._lines: deque[str] = deque(maxlen=1)
        threading.Thread(target=self._listen, name="hashigo-film", daemon=True).start()

    def _listen(self) -> None:
        if self._stream is not None:
            with self._stream:
                for line in self._stream:
                    if match := self._FRAME.search(line):
                        self._times.put(None if match[1] == b"NOPTS" else int(match[1]) * self._film.time_base)
                    elif b"showinfo" not in line and line.strip():
                        self._lines.append(line.decode(errors="replace").strip())
        self._times.put("end")

    @property
    def last(self) -> str:
        """The last line that is not about a frame."""
        return self._lines[-1] if self._lines else "no reason was given"

    def next(self) -> Fraction:
        """The next frame's time. Where the film's clock jumps back, as after a cut on a DVD, it goes on from there.

        Raises:
            PictureError: ffmpeg has ended without it.
        """
        time = self._times.get()
        if isinstance(time, str):
            raise PictureError(
                f"{self._film.path}: expected a whole film, got one that ffmpeg cannot read to its end ({self.last})"
            )
        step = 1 / self._film.rate
        if time is None:
            time = Fraction(0) if self._before is None else self._before + step
        else:
            time += self._shift
            if self._before is not None and time < self._before:
                self._shift += self._before + step - time
                time = self._before + step
        self._before = time
        return time


class Encoder:
    """Writes frames into a file as H.264, with the film's own times and what it says about its colours.

    Args:
        film: The film.
        path: The file, `.mp4`.
        start: Time of the first frame, which the file counts from.
        quality: x264's constant rate factor: lower is better and larger.
    """

    def __init__(self, film: Film, path: Path, start: Fraction, quality: int = 17) -> None:
        self.path, self._film, self._start = path, film, start
        path.unlink(missing_ok=True)  # an encoder of a run that was killed may still be writing it
        about = ["-color_range", "pc" if film.full_range else "tv", *film.colour]
        ticks = film.time_base.denominator
        scale = ticks if ticks >= 1_000 else ticks * (1_000 // ticks + 1)
        fields = ["-flags", "+ilme+ildct", "-x264-params", f"{film.fields}=1"] if film.fields else []
        command = [
            program("ffmpeg"), "-hide_banner", "-nostats", "-v", "error", "-y", *about, "-f", "matroska", "-i", "pipe:0", "-fps_mode", "passthrough",
            "-enc_time_base", f"{film.time_base.numerator}:{film.time_base.denominator}", "-vf", f"setsar={film.aspect.numerator}/{film.aspect.denominator}",
            "-c:v", "libx264", "-preset", PRESET, "-crf", str(quality), *fields, "-pix_fmt", film.pixel_format, *about,
            "-video_track_timescale", str(scale), f"file:{path}",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self._frames: queue.Queue[tuple[Fraction, Sequence[bytes]] | None] = queue.Queue(QUEUED)
        self._problem = ""
        self._thread = threading.Thread(target=self._write, name="hashigo-film", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        """Passes frames on; after an error, only takes them, so that nobody waits for room."""
        film, stream = self._film, self._process.stdin
        try:
            writer = FrameWriter(stream, FOURCC[film.depth, film.subsampling], film.stored_size, float(1 / film.rate))  # type: ignore[arg-type]
            while (item := self._frames.get()) is not None:
                writer.write(float(item[0] - self._start), item[1])  # type: ignore[arg-type]
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
            return
        except Exception as error:  # a broken pipe, if ffmpeg has ended
            self._problem = f"{type(error).__name__}: {error}"
        while self._frames.get() is not None:
            pass
        with suppress(OSError):
            stream.close()  # type: ignore[union-attr]

    def write(self, time: Fraction, planes: Sequence[Plane]) -> None:
        """Adds a frame: its planes Y, Cb and Cr, as stored. The last rows and columns are repeated where the format needs more of them.

        Raises:
            StorageError: ffmpeg could not write it.
        """
        if self._problem:
            self.close()
        luma, *chroma = planes
        height, width = self._film.stored_size
        if luma.shape != (height, width):
            luma = np.pad(luma, ((0, height - luma.shape[0]), (0, width - luma.shape[1])), mode="edge")
        across, down = self._film.subsampling
        chroma = [
            np.pad(plane, ((0, height // down - plane.shape[0]), (0, width // across - plane.shape[1])), mode="edge")
            for plane in chroma
        ]
        self._frames.put((time, [luma.tobytes(), *(plane.tobytes() for plane in chroma)]))

    def close(self) -> None:
        """Completes the file.

        Raises:
            StorageError: ffmpeg could not write it.
        """
        self._frames.put(None)
        self._thread.join()
        said = self._process.stderr.read().decode(errors="replace").strip() if self._process.stderr else ""
        self._end()
        if self._process.returncode or self._problem:
            said = said or self._problem
            raise StorageError(
                f"{self.path}: ffmpeg could not write the film: {said.splitlines()[-1] if said else 'no reason was given'}"
            )

    def abandon(self) -> None:
        """Ends ffmpeg; the file is of no use."""
        self._process.kill()
        self._frames.put(None)
        self._thread.join()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
