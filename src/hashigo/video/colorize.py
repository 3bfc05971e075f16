"""A film through a colorizer: frames in, the same frames with steady colours out, with sound and everything else the file has.

The result is made in parts of some seconds, in a hidden folder beside it, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashigo.apply.call import Call
from hashigo.apply.model import Model
from hashigo.apply.record import options_of, source_of
from hashigo.errors import PictureError, RecipeError, StorageError
from hashigo.files import atomic_path, clear_leftovers, locked
from hashigo.image.photo import Photo
from hashigo.machine import cores
from hashigo.tasks.capabilities import TakesHints
from hashigo.tasks.hints import Hint, TimedHint, hint_text
from hashigo.video.chroma import chroma_planes
from hashigo.video.film import Film, check_ffmpeg, probe, program
from hashigo.video.frames import Encoder, Frame, Plane, read_frames
from hashigo.video.steady import AHEAD, Floats, Look, Motion, State, steadied
from hashigo.video.tracking import tracked

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK, BATCH = 16, 4
"""Frames that are averaged at a time, and frames that the network sees at a time."""

PART_SECONDS = 30
"""About how much of the film a part has."""

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Formats of results, by suffix, with ffmpeg's names; films of other kinds become `.mkv`, which takes any sound and subtitles."""

Progress = Callable[[int], object]


@dataclass(frozen=True)
class FilmReport:
    """What became of a film. frames: how many it has. notes: what people should know."""

    target: Path
    frames: int
    notes: tuple[str, ...] = ()


def result_suffix(suffix: str) -> str:
    """The suffix of the result of a film with `suffix`."""
    return suffix if suffix.lower() in CONTAINERS else ".mkv"


def colorize_film(
    model: Model,
    source: Path,
    target: Path,
    *,
    hints: Sequence[TimedHint] = (),
    quality: int = 17,
    progress: Progress = lambda _: None,
) -> FilmReport:
    """Colorizes a film, or goes on where an earlier run was stopped.

    hints: colours in single frames, which hold through their scenes. quality: x264's constant rate factor: lower is better and larger. progress: called with the number of frames that are done.

    Raises:
        PictureError: it is no film, or one with a high dynamic range. RecipeError: the model is no colorizer, or a hint is
            outside the film. StorageError: the disk is full.
        BusyError: another process works on it. MissingExtraError: ffmpeg or OpenCV is not installed.
    """
    if not (model.task.adds_colour and model.task.reduces):
        raise RecipeError(f"films: expected a colorizer, got a model of the task {model.task.name!r}")
    if model.first is not None:
        raise RecipeError("--restore: expected photos, got a film; films cannot be restored")
    check_ffmpeg(program("ffmpeg"))
    film = probe(source)
    call = model.call(whole=True)
    about = source_of(source)
    known = tracked(film, hints, Motion()) if hints else {}
    texts = [f"{hint_text(hint)}@{seconds:g}" for hint, seconds in hints]
    key = [options_of(model.folder, call, quality), about.size, about.crc, *texts]
    folder = target.parent / f".{target.name}.parts"
    clear_leftovers(target.parent)
    with locked(folder / "lock", f"{target}: another process is working on this film"):
        parts = _Parts(folder, key)
        try:
            with ThreadPoolExecutor(cores(), thread_name_prefix="hashigo-frame") as pool:
                _Run(model, call, film, parts, quality, known, pool, progress).finish()
            notes = _join(film, parts, source, target)
        except BaseException:
            if not parts.done:
                _empty(folder)  # nothing to go on with
            raise
        frames = parts.frames
        _empty(folder)
    return FilmReport(target, frames, (*_notes(film, source, target, frames), *notes))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "lock":  # which goes, with the folder, when it is released
            path.unlink()


def _notes(film: Film, source: Path, target: Path, frames: int) -> Iterator[str]:
    if film.stored_size != (film.height, film.width):
        height, width = film.stored_size
        yield f"{film.width} × {film.height} pixels became {width} × {height}, because H.264 needs even numbers; the last rows or columns are repeated"
    if film.fields:
        yield "its frames are interlaced; both fields of a frame are coloured together"
    if film.reduced:
        yield f"{film.reduced} bits per value became 10, the most that H.264 has"
    if film.counted and frames < 0.98 * film.frames:
        yield f"the file says that it has {film.frames:,} frames, and {frames:,} can be read: it is damaged"
    if source.suffix.lower() not in CONTAINERS and target.suffix.lower() == ".mkv":
        yield f"{source.suffix} cannot hold the result, so it is a .mkv file"


# --- parts ------------------------------------------------------------------------------------------


class _Parts:
    """The finished parts of a film. Each has a line in `parts.jsonl`, written when its file is complete."""

    def __init__(self, folder: Path, key: object) -> None:
        self.folder, self._list = folder, folder / "parts.jsonl"
        self.done: list[dict[str, object]] = []
        head = json.dumps(key)
        lines = self._list.read_text(encoding="utf-8").splitlines() if self._list.is_file() else []
        if lines[:1] == [head]:
            self.done = [json.loads(line) for line in lines[1:]]
        else:  # none, or of another film, model or option
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if path.name != "lock":
                    path.unlink()
            self._lines([head])
        self._head = head

    def _lines(self, lines: Sequence[str]) -> None:
        with atomic_path(self._list) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def frames(self) -> int:
        """Frames in all finished parts."""
        return sum(int(str(part["frames"])) for part in self.done)

    @property
    def next(self) -> Path:
        """The file of the part after these."""
        return self.folder / f"{len(self.done):05d}.mp4"

    def add(self, frames: int, start: Fraction, end: Fraction, state: State) -> None:
        """Notes that the next part is complete. state: with which the part after it begins."""
        with atomic_path(self.folder / f"{len(self.done):05d}.npz") as temporary:
            state.save(temporary)
        self.done.append({"frames": frames, "start": str(start), "end": str(end)})
        self._lines([self._head, *map(json.dumps, self.done)])

    def state(self) -> State:
        """The state with which the next part begins."""
        return State.load(self.folder / f"{len(self.done) - 1:05d}.npz") if self.done else State()


# --- the run ----------------------------------------------------------------------------------------


@dataclass
class _Seen:
    """A frame on its way. luma: 8 bits. x, features: the network's input, and what it tells besides its output, if there are hints."""

    frame: Frame
    luma: NDArray[np.uint8]
    look: Look
    x: Floats
    features: Floats | None


class _Run:
    """Makes the parts that are missing."""

    def __init__(
        self, model: Model, call: Call, film: Film, parts: _Parts, quality: int, hints: Mapping[int, Sequence[Hint]],
        pool: ThreadPoolExecutor, progress: Progress,
    ) -> None:  # fmt: skip
        self.model, self.call, self.film, self.parts, self.quality = model, call, film, parts, quality
        self.hints, self.pool, self.progress = hints, pool, progress
        self.motion = Motion()
        self.state = parts.state()
        self.scenes = self.state.scenes()
        self.done = self.seen = parts.frames

    def finish(self) -> None:
        """Goes through the rest of the film.

        While the network sees the frames after a chunk, another thread averages the chunk, makes its planes and passes them on.
        """
        frames = read_frames(self.film, self.done)
        buffer: list[_Seen] = []
        writer = _PartWriter(self)
        finishing: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="hashigo-steady") as steady:
            try:
                for seen in self._seen(frames):
                    buffer += seen
                    while len(buffer) >= CHUNK + AHEAD:
                        finishing = _after(
                            finishing, steady.submit(self._chunk, buffer[:CHUNK], buffer[CHUNK:], writer)
                        )
                        buffer = buffer[CHUNK:]
                finishing = _after(finishing, steady.submit(self._chunk, buffer, [], writer))
                _after(finishing, None)
                writer.close()
            except BaseException:
                steady.shutdown(wait=True, cancel_futures=True)
                writer.abandon()
                raise
            finally:
                frames.close()

    def _seen(self, frames: Iterator[Frame]) -> Iterator[list[_Seen]]:
        """The frames as the network sees them, some at a time."""
        batch: list[Frame] = []
        for frame in frames:
            batch.append(frame)
            if len(batch) == BATCH:
                yield self._look(batch)
                batch = []
        if batch:
            yield self._look(batch)

    def _look(self, batch: Sequence[Frame]) -> list[_Seen]:
        calls = [
            replace(self.call, hints=tuple(self.hints.get(number, ())))
            for number in range(self.seen, self.seen + len(batch))
        ]
        self.seen += len(batch)
        lumas = list(self.pool.map(lambda frame: frame.luma_8(self.film), batch))
        inputs = list(
            self.pool.map(
                lambda pair: self.model.prepare(Photo(pair[0]), pair[1]).inputs[0], zip(lumas, calls, strict=True)
            )
        )
        outputs = self.model.outputs(np.stack(inputs), calls)
        seen = []
        for frame, luma, x, output in zip(batch, lumas, inputs, outputs, strict=True):
            small = self.motion.reduced(luma)
            is_cut = self.scenes.begins(small)
            seen.append(_Seen(frame, luma, Look(small, output.values, is_cut, self.scenes.change), x, output.features))
        return seen

    def _chunk(self, chunk: Sequence[_Seen], ahead: Sequence[_Seen], writer: _PartWriter) -> None:
        outputs = steadied([seen.look for seen in chunk], [seen.look for seen in ahead], self.state, self.motion)
        pairs = zip(chunk, outputs, strict=True)
        planes = self.pool.map(lambda pair: chroma_planes(self.film, pair[0].luma, self._answer(*pair)), pairs)
        for seen, chroma in zip(chunk, planes, strict=True):
            writer.write(seen.frame, chroma)
            self.done += 1
        writer.end_of_chunk()
        self.progress(self.done)

    def _answer(self, seen: _Seen, output: Floats) -> Floats:
        task = self.call.task
        answer: Floats = task.answer(output)
        if isinstance(task, TakesHints):
            answer = task.follow_hints(answer, seen.x, output, seen.features)
        return answer


def _after(before: Future[None] | None, now: Future[None] | None) -> Future[None] | None:
    """Waits for the one before, so that no more than two chunks are in memory. Raises what it raised."""
    if before is not None:
        before.result()
    return now


class _PartWriter:
    """Writes frames into parts, which end with a chunk."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._encoder: Encoder | None = None
        self._first = self._last = Fraction(0)
        self._gap = Fraction(1, 25)
        self._state = State()
        self._frames = 0

    def write(self, frame: Frame, chroma: Sequence[Plane]) -> None:
        """Adds a frame with its chroma planes."""
        if self._encoder is not None and self._frames and self._is_full:
            self._complete(frame.time)
        if self._encoder is None:
            self._encoder = Encoder(self._run.film, self._run.parts.next, frame.time, self._run.quality)
            self._first, self._frames = frame.time, 0
        if self._frames:
            self._gap = frame.time - self._last
        self._last = frame.time
        self._frames += 1
        self._encoder.write(frame.time, [frame.luma, *chroma])

    _is_full = False

    def end_of_chunk(self) -> None:
        """Lets the part end here if it is long enough: the mean is known that the next one begins with."""
        if self._last - self._first >= PART_SECONDS:
            self._is_full = True
            self._state = self._run.state.copy()

    def _complete(self, end: Fraction) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._run.parts.add(self._frames, self._first, end, self._state)
        self._encoder, self._is_full = None, False

    def close(self) -> None:
        """Completes the last part."""
        self._state = State()
        self._complete(self._last + self._gap)

    def abandon(self) -> None:
        """Leaves the present part incomplete."""
        if self._encoder is not None:
            self._encoder.abandon()


# --- the result -------------------------------------------------------------------------------------


TEXT = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}
"""Subtitles that are text, by ffmpeg's names of codecs."""

_IN_MP4 = {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"}
"""Sound that `.mp4` can hold; `.mov` also holds PCM, and `.mkv` nearly everything."""


def stream_options(film: Film, container: str) -> tuple[list[str], list[str]]:
    """ffmpeg's options that keep all sound and subtitles, converted where the container cannot hold them, and notes about what changes or is lost.

    The options are for a second input, the film's file.
    """
    words: list[str] = []
    notes: list[str] = []
    numbers = {"audio": 0, "subtitle": 0}
    places = {"audio": 0, "subtitle": 0}
    for kind, codec in film.streams:
        if kind in numbers:
            option = _sound(codec, container) if kind == "audio" else _subtitles(codec, container)
            letter = kind[0]
            if option:
                words += ["-map", f"1:{letter}:{places[kind]}", f"-c:{letter}:{numbers[kind]}", option]
                numbers[kind] += 1
                if option != "copy":
                    notes.append(f"{'sound' if kind == 'audio' else 'subtitles'} of the kind {codec} became {option}")
            else:
                notes.append(
                    f"{'sound' if kind == 'audio' else 'subtitles'} of the kind {codec} cannot be stored in this file and were left out"
                )
            places[kind] += 1
        elif kind == "attachment" and container == "matroska":
            words += [] if "1:t" in words else ["-map", "1:t", "-c:t", "copy"]
        elif codec not in ("tmcd", "bin_data"):
            notes.append(f"a stream of the kind {kind} ({codec}) was left out")
    return words, list(dict.fromkeys(notes))


def _sound(codec: str, container: str) -> str:
    if codec.startswith("pcm_"):
        if container == "mp4":
            return "alac"
        return "pcm_s24le" if codec in ("pcm_bluray", "pcm_dvd") else "copy"
    return "copy" if container != "mp4" or codec in _IN_MP4 else "aac"


def _subtitles(codec: str, container: str) -> str:
    if container == "matroska":
        return "srt" if codec == "mov_text" else "" if codec.startswith("eia_") else "copy"
    return "copy" if codec == "mov_text" else "mov_text" if codec in TEXT else ""


def _join(film: Film, parts: _Parts, source: Path, target: Path) -> list[str]:
    """The parts as one film, with everything but the picture of the original.

    Raises:
        StorageError: ffmpeg could not write it, or not all of it; the parts stay.
    """
    if not parts.done:
        raise PictureError(f"{source}: expected frames, got none")
    lines = ["ffconcat version 1.0"]
    for number, part in enumerate(parts.done):
        length = Fraction(str(part["end"])) - Fraction(str(part["start"]))
        lines += [f"file {number:05d}.mp4", f"duration {float(length):.6f}"]
    (parts.folder / "parts.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    offset = float(Fraction(str(parts.done[0]["start"])))
    container = CONTAINERS[target.suffix.lower()]
    streams, notes = stream_options(film, container)
    flags = [] if container == "matroska" else ["-movflags", "+faststart+use_metadata_tags"]
    with atomic_path(target) as temporary:
        # in the parts' folder, because ffmpeg takes the list's own path for an address in which ? and # mean something
        command = [
            program("ffmpeg"), "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", "-itsoffset", f"{offset:.6f}", "-f", "concat", "-i", "parts.txt",
            "-copyts", "-i", f"file:{source.absolute()}", "-map", "0:v", "-c:v", "copy", *streams, "-map_metadata", "1", "-map_chapters", "1",
            "-map_metadata:s:v:0", "1:s:v:0", *flags, "-avoid_negative_ts", "disabled", "-f", container, f"file:{temporary.absolute()}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd=parts.folder, check=False)
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode:
            raise StorageError(
                f"{target}: ffmpeg could not write the film: {said[-1] if said else 'no reason was given'}"
            )
        _check_whole(temporary, parts.frames, target)
    return notes


def _check_whole(path: Path, frames: int, target: Path) -> None:
    """Raises StorageError where a file does not have as many frames as were made."""
    asked = [
        "-v",
        "error",
        "-select_streams",
        "V:0",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
        "-of",
        "csv=p=0",
    ]
    command = [program("ffprobe"), *asked, f"file:{path.absolute()}"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = done.stdout.strip().strip(",")
    if found != str(frames):
        raise StorageError(
            f"{target}: expected a film of {frames:,} frames from ffmpeg, got {found or 'none'}; the parts stay, run again"
        )
