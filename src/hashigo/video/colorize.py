"""A film through a colorizer: frames in, the same frames with steady colours out, with sound and everything else the file has.

The result is made in parts of some seconds, in a hidden folder beside it, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashigo.apply.call import Call
from hashigo.apply.model import Model
from hashigo.apply.record import options_of, source_of
from hashigo.errors import RecipeError
from hashigo.files import clear_leftovers, locked
from hashigo.image.photo import Photo
from hashigo.machine import cores
from hashigo.tasks.capabilities import TakesHints
from hashigo.tasks.hints import Hint, TimedHint, hint_text
from hashigo.video.between import VERSION, Coloured, KeyFrames, Placed, coloured
from hashigo.video.chroma import chroma_planes
from hashigo.video.film import Film, check_ffmpeg, probe, program
from hashigo.video.frames import Frame, read_frames
from hashigo.video.joining import CONTAINERS, join
from hashigo.video.parts import Parts, PartWriter
from hashigo.video.steady import Floats, Look, Motion, steadied
from hashigo.video.tracking import tracked

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK, AHEAD, BATCH = 4, 4, 4
"""Key frames that are averaged at a time, those after them that they are averaged with, and key frames that the network sees at a time: a divisor of the first, so that a run that goes on after
any chunk shows it the same frames together."""

Progress = Callable[[int], object]


@dataclass(frozen=True)
class FilmReport:
    """What became of a film. frames: how many it has. notes: what people should know."""

    target: Path
    frames: int
    notes: tuple[str, ...] = ()


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
        raise RecipeError("--restore-with: expected photos, got a film; films cannot be restored")
    check_ffmpeg(program("ffmpeg"))
    film = probe(source)
    call = model.call(whole=True)
    about = source_of(source)
    known = tracked(film, hints, Motion()) if hints else {}
    texts = [f"{hint_text(hint)}@{seconds:g}" for hint, seconds in hints]
    key = [VERSION, options_of(model.folder, call, quality), about.size, about.crc, *texts]
    folder = target.parent / f".{target.name}.parts"
    clear_leftovers(target.parent)
    with locked(folder / "lock", f"{target}: another process is working on this film"):
        parts = Parts(folder, key)
        try:
            with ThreadPoolExecutor(cores(), thread_name_prefix="hashigo-frame") as pool:
                _Run(model, call, film, parts, quality, known, pool, progress).finish()
            notes = join(film, parts, source, target)
        except BaseException:
            if not parts.done:
                parts.clear()  # nothing to go on with
            raise
        frames = parts.frames
        parts.clear()
    return FilmReport(target, frames, (*_notes(film, source, target, frames), *notes))


def _notes(film: Film, source: Path, target: Path, frames: int) -> Iterator[str]:
    if film.stored_size != (film.height, film.width):
        height, width = film.stored_size
        yield f"{film.width} × {film.height} pixels became {width} × {height}, because H.264 needs even numbers; the last rows or columns are repeated"
    if film.fields:
        yield "its frames are interlaced; both fields of a frame are coloured together"
    if film.reduced:
        yield f"{film.reduced} bits per value became 10, the most that the encoder writes"
    if film.counted and frames < 0.98 * film.frames:
        yield f"the file says that it has {film.frames:,} frames, and {frames:,} can be read: it is damaged"
    if source.suffix.lower() not in CONTAINERS and target.suffix.lower() == ".mkv":
        yield f"{source.suffix} cannot hold the result, so it is a .mkv file"


@dataclass
class _Seen(Placed):
    """A frame on its way.

    luma: 8 bits. change: see `Scenes`. call: with its hints. Of key frames only: look; x, the network's input; features, what the network tells besides its output, if
    there are hints.
    """

    frame: Frame
    luma: NDArray[np.uint8]
    change: float
    call: Call
    look: Look | None = None
    x: Floats | None = None
    features: Floats | None = None


class _Run:
    """Makes the parts that are missing."""

    def __init__(
        self, model: Model, call: Call, film: Film, parts: Parts, quality: int, hints: Mapping[int, Sequence[Hint]],
        pool: ThreadPoolExecutor, progress: Progress,
    ) -> None:  # fmt: skip
        self.model, self.call, self.film, self.parts, self.quality = model, call, film, parts, quality
        self.hints, self.pool, self.progress = hints, pool, progress
        self.motion, self.key_motion = Motion(), Motion()  # for one thread each
        self.state = parts.state()
        self.scenes = self.state.scenes()
        self.done = self.seen = parts.frames
        last = hints.get(self.done - 1, ())
        self.keys = KeyFrames(self.state.mean.luma, [hint.rgb for hint in last])

    def finish(self) -> None:
        """Goes through the rest of the film.

        While the network sees the frames after a chunk, another thread averages the chunk, makes its planes and passes them on.
        """
        frames = read_frames(self.film, self.done)
        buffer: list[_Seen] = []
        writer = PartWriter(self.film, self.parts, self.quality)
        finishing: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="hashigo-steady") as steady:
            try:
                for seen in self._seen(frames):
                    buffer += seen
                    while len(keys := [at for at, one in enumerate(buffer) if one.look]) >= CHUNK + AHEAD:
                        end = keys[CHUNK - 1] + 1
                        ahead = [buffer[at] for at in keys[CHUNK : CHUNK + AHEAD]]
                        if finishing is not None:
                            finishing.result()  # nothing follows a chunk that failed
                        finishing = steady.submit(self._chunk, buffer[:end], ahead, writer)
                        buffer = buffer[end:]
                if finishing is not None:
                    finishing.result()
                self._chunk(buffer, [], writer)
                writer.close()
            except BaseException:
                steady.shutdown(wait=True, cancel_futures=True)
                writer.abandon()
                raise
            finally:
                frames.close()

    def _seen(self, frames: Iterator[Frame]) -> Iterator[list[_Seen]]:
        """The frames in order, some at a time, after the network has seen the key frames among them."""
        waiting: list[_Seen] = []
        for frame in frames:
            waiting.append(self._chosen(frame))
            if sum(seen.match is None for seen in waiting) == BATCH:
                self._look([seen for seen in waiting if seen.match is None])
                yield waiting
                waiting = []
        self._look([seen for seen in waiting if seen.match is None])
        yield waiting

    def _chosen(self, frame: Frame) -> _Seen:
        """The frame, and whether it is a key frame."""
        hints = tuple(self.hints.get(self.seen, ()))
        self.seen += 1
        luma = frame.luma_8(self.film)
        small = self.key_motion.reduced(luma)
        is_cut = self.scenes.begins(small)
        match = self.keys.choose(small, self.key_motion, is_cut=is_cut, hints=[hint.rgb for hint in hints])
        return _Seen(
            float(frame.time), small, is_cut, match, frame, luma, self.scenes.change, replace(self.call, hints=hints)
        )

    def _look(self, keys: Sequence[_Seen]) -> None:
        """Shows the network key frames."""
        if not keys:
            return
        prepared = self.pool.map(lambda seen: self.model.prepare(Photo(seen.luma), seen.call).inputs[0], keys)
        inputs = list(prepared)
        outputs = self.model.outputs(np.stack(inputs), [seen.call for seen in keys])
        for seen, x, output in zip(keys, inputs, outputs, strict=True):
            seen.look = Look(seen.small, output.values, seen.is_cut, seen.change)
            seen.x, seen.features = x, output.features

    def _chunk(self, chunk: Sequence[_Seen], ahead: Sequence[_Seen], writer: PartWriter) -> None:
        """Colours frames and passes them on. The chunk ends with a key frame, or with the film. ahead: the next key frames."""
        looks, following = ([seen.look for seen in part if seen.look] for part in (chunk, ahead))
        previous = self.state.mean.luma
        answer = self.state.answer
        before = None if previous is None or answer is None else Coloured(previous, answer, self.state.time)
        outputs = steadied(looks, following, self.state, self.motion)
        keys = [seen for seen in chunk if seen.look]
        answers = list(self.pool.map(self._answer, keys, outputs))
        if answers:
            self.state.answer, self.state.time = answers[-1], keys[-1].time
        colours = coloured(chunk, answers, before, self.motion)
        planes = self.pool.map(
            lambda pair: chroma_planes(self.film, pair[0].luma, pair[1]), zip(chunk, colours, strict=True)
        )
        for seen, chroma in zip(chunk, planes, strict=True):
            writer.write(seen.frame, chroma)
            self.done += 1
        writer.end_of_chunk(self.state)
        self.progress(self.done)

    def _answer(self, seen: _Seen, output: Floats) -> Floats:
        task = self.call.task
        answer: Floats = task.answer(output)
        if isinstance(task, TakesHints) and seen.x is not None:
            answer = task.follow_hints(answer, seen.x, output, seen.features)
        return answer
