"""Applying a trained model: `photo → Task.encode → network → Task.restore → photo`. With OpenVINO, torch is not needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashigo.apply.batches import Line
from hashigo.apply.call import Call, Output
from hashigo.apply.engines import (
    Engine,
    EngineName,
    OpenVinoEngine,
    Precision,
    TorchEngine,
    check_precision,
    choose_engine,
)
from hashigo.apply.tiling import tiled
from hashigo.apply.views import Seen, View, canvas, picture, views, whole
from hashigo.errors import ModelError, PictureError, RecipeError
from hashigo.image.arrays import Layout, layout_of
from hashigo.image.photo import MAX_PIXELS, Photo, photo_of
from hashigo.image.pillow import Picture, to_pillow
from hashigo.image.pixels import to_pixels
from hashigo.machine import cores
from hashigo.metrics import is_coloured
from hashigo.models.folder import ModelFolder, load_network, open_model
from hashigo.networks.contract import LARGEST_SIDE, is_whole
from hashigo.tasks.capabilities import TakesHints, hint_taker, vivid_task
from hashigo.tasks.enlarging import enlarged
from hashigo.tasks.hints import Hint, parse_hint

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
"""Pictures as uint8."""
Real = NDArray[np.floating]
"""Pictures as floats, 0..1."""
File = str | PathLike[str] | bytes | Image.Image
"""Input that returns a Pillow picture: a path, a file's bytes, or a Pillow picture."""
Known = Hint | tuple[float, float, str]
"""A colour hint: a `Hint`, or (x, y, "#rrggbb")."""

STRIP_PIXELS = 1 << 16
"""Pixels per strip when a large photo is finished: few enough for its arrays to stay in the processor's cache."""

WHOLE_PIXELS = 1 << 20
"""Networks that work at full size process photos of up to this many pixels whole, larger ones in tiles."""

LONGEST = 16
"""If a network sees photos reduced to a short side, their long side is at most this many times the short side."""

DISTORTION = 1.15
"""Largest change of a photo's proportions to get sides that need no padding."""


class Model:
    """A model ready to use on photos, arrays and files; may be called from several threads.

    Args:
        folder: what the model is.
        engine: runs its network.
        size: short side to which photos are reduced for the network, if the task reduces them; 0 takes the model's.
        vivid: from 0 (muted) to 1 (saturated), if the task has this option; None takes the model's.
        threads: threads that finish a photo; 0 takes all cores.
        whole: see all of a photo as one picture, even if it looks like a page with photos or an empty sheet.
        first: a model that each photo goes through before this one.
    """

    def __init__(
        self, folder: ModelFolder, engine: Engine, size: int = 0, vivid: float | None = None, threads: int = 0,
        whole: bool = False, first: Model | None = None,
    ) -> None:  # fmt: skip
        _check_size(size)
        self.first = first
        self.folder, self.engine = folder, engine
        self.task = folder.task if vivid is None else vivid_task(folder.task, vivid)
        self.size = size or folder.size
        self.whole = whole
        self.threads = threads or cores()
        self._pool, self._process = self._new_pool(), os.getpid()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="hashigo-strip")

    def __repr__(self) -> str:
        return f"Model({self.task.name!r}, {str(self.folder.path)!r}, {self.engine.description})"

    @overload
    def __call__(
        self, picture: File, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Picture: ...  # fmt: skip

    @overload
    def __call__(
        self, picture: Bytes, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Bytes: ...  # fmt: skip

    @overload
    def __call__(
        self, picture: Real, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Floats: ...  # fmt: skip

    @overload
    def __call__(
        self, picture: Photo, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Photo: ...  # fmt: skip

    def __call__(
        self, picture: object, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> object:  # fmt: skip
        """Runs the model on a picture; the result has the same form as the picture.

        A path, bytes or Pillow picture → a Pillow picture, whose `info` and `save` keep what the photo carried. A `Photo` → a
        `Photo`. An array, uint8 or float 0..1, of shape (H, W), (H, W, 3), (H, W, 4), (3, H, W), or (N, …) with one of these →
        an array of the same layout with three channels (four where there were four), uint8 as uint8 and floats as float32 in steps
        of 1/255, since photos are 8 bits here. Where a shape could be two of them, channels last goes before channels first for uint8 and
        after it for floats, and one picture before several.

        hints: colour hints (x, y, "#rrggbb"), x and y in pixels of the upright photo. vivid, size, whole: for this call
        only, see `Model`.

        Raises:
            PictureError: not a picture, or one that cannot be read. RecipeError: hints or a vividness that the model does not take.
        """
        call = self.call(hints, vivid=vivid, size=size, whole=whole)
        if isinstance(picture, np.ndarray):
            layout = layout_of(picture)
            return layout.joined(self._many([photo_of(array) for array in layout.pictures(picture)], call))
        photo = self.apply_call(photo_of(picture), call)
        return photo if isinstance(picture, Photo) else to_pillow(photo)

    @overload
    def apply_many(
        self, pictures: Sequence[Photo], hints: Sequence[Sequence[Known]] = (), *, vivid: float | None = None,
        size: int = 0, whole: bool | None = None, batch_size: int = 8,
    ) -> list[Photo]: ...  # fmt: skip

    @overload
    def apply_many(
        self, pictures: Sequence[File], hints: Sequence[Sequence[Known]] = (), *, vivid: float | None = None,
        size: int = 0, whole: bool | None = None, batch_size: int = 8,
    ) -> list[Picture]: ...  # fmt: skip

    @overload
    def apply_many(
        self, pictures: Sequence[Bytes], hints: Sequence[Sequence[Known]] = (), *, vivid: float | None = None,
        size: int = 0, whole: bool | None = None, batch_size: int = 8,
    ) -> list[Bytes]: ...  # fmt: skip

    @overload
    def apply_many(
        self, pictures: Sequence[Real], hints: Sequence[Sequence[Known]] = (), *, vivid: float | None = None,
        size: int = 0, whole: bool | None = None, batch_size: int = 8,
    ) -> list[Floats]: ...  # fmt: skip

    def apply_many(
        self, pictures: Sequence[object], hints: Sequence[Sequence[Known]] = (), *, vivid: float | None = None,
        size: int = 0, whole: bool | None = None, batch_size: int = 8,
    ) -> Sequence[object]:  # fmt: skip
        """Several pictures, each as a single call would return it, in order. Those that the network sees at the same size are processed
        in batches of at most `batch_size`.

        Arrays are single pictures. hints: a list for each picture, or none at all.

        Raises:
            PictureError, RecipeError: as for a call, of the first picture that fails.
        """
        if isinstance(pictures, str | bytes) or not isinstance(pictures, Sequence):
            raise PictureError(f"expected a list of pictures, got {type(pictures).__name__}; give [picture] for one")
        if not is_whole(batch_size, 1, sys.maxsize):
            raise RecipeError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")
        _check_hints(hints)
        if hints and len(hints) != len(pictures):
            raise RecipeError(
                f"hints: expected a list for each of {len(pictures)} pictures, got {len(hints)}; give () for none"
            )
        calls = [self.call(known, vivid=vivid, size=size, whole=whole) for known in hints or [()] * len(pictures)]
        layouts = [layout_of(picture) if isinstance(picture, np.ndarray) else None for picture in pictures]
        for layout in layouts:
            if layout is not None and layout.several:
                raise PictureError(
                    "apply_many: expected single pictures, got an array of several; give it to the model itself"
                )
        photos = [
            photo_of(picture if layout is None or not isinstance(picture, np.ndarray) else layout.pictures(picture)[0])
            for picture, layout in zip(pictures, layouts, strict=True)
        ]
        results = self._in_batches(photos, calls, batch_size)
        forms = zip(pictures, layouts, results, strict=True)
        return [_in_form(picture, layout, photo) for picture, layout, photo in forms]

    def _many(self, photos: Sequence[Photo], call: Call) -> list[Photo]:
        return self._in_batches(photos, [call] * len(photos), 8)

    def _in_batches(self, photos: Sequence[Photo], calls: Sequence[Call], batch_size: int) -> list[Photo]:
        """The photos' results in order. Photos of equal shape are grouped first, so that neighbours form batches."""
        if len(photos) == 1:
            return [self.apply_call(photos[0], calls[0])]
        order = sorted(range(len(photos)), key=lambda i: self.network_size(photos[i].size, calls[i].size))
        line = Line(self, _InMemory(photos, calls), batch_size=batch_size)
        results = dict(zip(order, line.run(order), strict=True))
        return [results[i] for i in range(len(photos))]

    def call(
        self, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Call:
        """The model's own options, overridden by those of one call.

        Raises:
            PictureError: a size below 0, or a hint of another form. RecipeError: the model has no vividness.
        """
        _check_size(size)
        _check_hints(hints)
        task = self.task if vivid is None else vivid_task(self.task, vivid)
        return Call(
            task, size or self.size, tuple(_hint_of(known) for known in hints), self.whole if whole is None else whole
        )

    def apply(
        self, photo: Photo, hints: Sequence[Known] = (), *, vivid: float | None = None, size: int = 0, whole: bool | None = None
    ) -> Photo:  # fmt: skip
        """The photo through the model: same size (unless the task enlarges), alpha and metadata."""
        return self.apply_call(photo, self.call(hints, vivid=vivid, size=size, whole=whole))

    def apply_call(self, photo: Photo, call: Call) -> Photo:
        """Like `apply`, with options that `call` has put together."""
        return self.restored(self.start(photo, call), call)

    def start(self, photo: Photo, call: Call) -> Photo:
        """The photo as the network gets it: through the model that goes first, and at the result's size.

        Raises:
            PictureError: the result would be too large.
        """
        if self.first is not None:
            photo = self.first.apply(photo)
        scale = call.task.result_scale
        if scale == 1:
            return photo
        height, width = (scale * side for side in photo.size)
        if height * width > MAX_PIXELS:
            raise PictureError(
                f"expected a photo of at most {MAX_PIXELS / scale**2 / 1e6:.0f} megapixels to enlarge by {scale}, got "
                f"{photo.width} × {photo.height}; reduce it first"
            )
        return photo.with_rgb(enlarged(photo.rgb(), height, width))

    def restored(self, photo: Photo, call: Call) -> Photo:
        """Like `apply_call`, for a photo from `start`."""
        if self.works_whole(photo.size):
            seen = self.prepare(photo, call)
            return self.finish(photo, self.each_output(seen, call), seen, call)
        if call.hints:  # tasks that work at full size take none, and say so
            hint_taker(call.task).check_hints(call.hints, photo.size)
        return tiled(photo, call.task, self.engine, self.folder.contract)

    def recolours(self, photo: Photo) -> bool:
        """Whether the photo is already in colour and would get new colours."""
        return self.task.adds_colour and not photo.is_grey and is_coloured(photo.sample())

    def works_whole(self, size: tuple[int, int]) -> bool:
        """Whether a photo from `start` of (H, W) is processed in one piece: `prepare`, engine, `finish`."""
        contract = self.folder.contract
        if self.task.reduces or contract.fixed_size is not None or contract.context_pixels is None:
            return True
        return size[0] * size[1] <= WHOLE_PIXELS

    def network_size(self, size: tuple[int, int], short_side: int = 0) -> tuple[int, int]:
        """(H, W) at which the network sees a photo of `size` (H, W); `short_side`: as the model's `size`, which 0 takes.

        Where it reduces: multiples that need no padding, unless that would distort a small photo; of a strip at most
        `LONGEST` times its own side, so that no photo takes much memory.
        """
        if self.folder.contract.fixed_size is not None:
            return self.folder.contract.fixed_size
        if not self.task.reduces:
            return size
        short = short_side or self.size
        most = float(self.folder.contract.enlarges)
        scale = min(most, short / min(size), LONGEST * short / max(size)) if short else 1.0
        exact = [max(1.0, side * scale) for side in size]
        step = self.folder.contract.multiple
        fitting = [max(step, round(side / step) * step) for side in exact]
        stretched = fitting[0] / exact[0] * exact[1] / fitting[1]
        if max(stretched, 1 / stretched) > DISTORTION:
            return round(exact[0]), round(exact[1])
        return fitting[0], fitting[1]

    def prepare(self, photo: Photo, call: Call | None = None) -> Seen:
        """What the network sees of a photo: float32 (C, h, w) for each view, with (h, w) = `network_size` of the view.

        An ordinary photo has one view, all of it. On a page, each photo is one, and of a long strip, each piece.
        """
        call = call or self.call()
        parts = self._views(photo, call)
        return Seen(parts, tuple(self._input(photo, view, call) for view in parts))

    def _views(self, photo: Photo, call: Call) -> tuple[View, ...]:
        if (
            call.whole
            or not (call.task.reduces and call.task.adds_colour)
            or self.folder.contract.fixed_size is not None
        ):
            return (whole(photo),)
        parts = views(photo)
        if call.hints:
            hint_taker(call.task).check_hints(call.hints, photo.size)
            if not all(any(_lies_in(hint, view) for view in parts) for hint in call.hints):
                return (whole(photo),)  # somebody wants colour on the paper
        return tuple(parts)

    def _input(self, photo: Photo, view: View, call: Call) -> Floats:
        size = self.network_size((view.box.height, view.box.width), call.size)
        if call.task.adds_colour and call.task.reduces:
            encoded: Floats = call.task.encode(picture(photo, view, *size))
        else:
            encoded = call.task.encode(photo.rgb() if size == photo.size else photo.resized(*size))
        hints = [hint for hint in call.hints if _lies_in(hint, view)]
        if hints:
            box = view.box
            moved = [Hint(hint.x - box.left, hint.y - box.top, hint.rgb) for hint in hints]
            encoded = hint_taker(call.task).with_hints(encoded, moved, (box.height, box.width))
        return np.ascontiguousarray(encoded, np.float32)

    def outputs(self, x: Floats, calls: Sequence[Call]) -> list[Output]:
        """What the network makes of a batch of inputs (N, C, h, w), each with its call. Features are taken only if there are hints, which alone need them."""
        if self.folder.contract.features and any(call.hints for call in calls):
            made, features = self.engine.with_features(x)
            if features is not None:  # an ONNX file from before networks had them has none
                return [Output(*pair) for pair in zip(made, features, strict=True)]
            return [Output(values) for values in made]
        return [Output(values) for values in self.engine(x)]

    def each_output(self, seen: Seen, call: Call) -> list[Output]:
        """What the network makes of each view of a photo, one at a time: they may have different sizes."""
        return [self.outputs(x[None], [call])[0] for x in seen.inputs]

    def finish(self, photo: Photo, outputs: Sequence[Output], seen: Seen, call: Call | None = None) -> Photo:
        """The photo, restored at its own size from what `prepare` returned and the network's outputs for its inputs.

        The answers are enlarged and decoded in strips on all cores, without a float copy of a large photo.
        """
        task = (call or self.call()).task
        height, width = photo.size
        answers = []
        for view, x, output in zip(seen.views, seen.inputs, outputs, strict=True):
            answer = task.answer(output.values)
            if view.content < 1:
                answer = answer * view.content
            answers.append(
                task.follow_hints(answer, x, output.values, output.features) if isinstance(task, TakesHints) else answer
            )
        pixels = photo.empty(height, width)
        rows = max(1, STRIP_PIXELS // width)

        def strip(top: int) -> None:
            bottom = min(height, top + rows)
            part = canvas(photo, seen.views, answers, top, bottom)
            to_pixels(task.restore(task.decoder_input(photo.rgb(top, bottom)), part), out=pixels[top:bottom])

        if self._process != os.getpid():  # forked: the pool's threads stayed with the parent
            self._pool, self._process = self._new_pool(), os.getpid()
        map_strips = map if self.threads == 1 else self._pool.map
        list(map_strips(strip, range(0, height, rows)))
        made = photo.with_pixels(pixels)
        return replace(made, warnings=(*made.warnings, note)) if (note := seen.note(photo)) else made


def _lies_in(hint: Hint, view: View) -> bool:
    box = view.box
    return box.left <= hint.x < box.right and box.top <= hint.y < box.bottom


@dataclass
class _InMemory:
    """Photos already in memory on the assembly line, by their positions."""

    photos: Sequence[Photo]
    calls: Sequence[Call]

    def pixels(self, _place: int) -> int:
        """None in addition: the photo is already in memory."""
        return 0

    def load(self, place: int) -> Photo:
        """The photo."""
        return self.photos[place]

    def call(self, place: int) -> Call:
        """The options of this call."""
        return self.calls[place]

    def finish(self, _place: int, _photo: Photo, result: Photo) -> Photo:
        """The result, unchanged."""
        return result

    def skip(self, place: int) -> Photo:
        """Nothing is skipped."""
        return self.photos[place]

    def fail(self, _place: int, error: Exception) -> Photo:
        """Raises the error."""
        raise error


def _hint_of(known: Known) -> Hint:
    if isinstance(known, Hint):
        return known
    if not isinstance(known, tuple | list) or len(known) != 3 or not isinstance(known[2], str):
        raise PictureError(f'expected a hint as (x, y, "#rrggbb"), for instance (120, 80, "#c03020"), got {known!r}')
    return parse_hint(f"{known[0]},{known[1]},{known[2]}")


def _in_form(picture: object, layout: Layout | None, photo: Photo) -> object:
    """A result in the form of its input."""
    if layout is not None:
        return layout.joined([photo])
    return photo if isinstance(picture, Photo) else to_pillow(photo)


def load(
    name_or_path: str | Path | ModelFolder = "colorizer",
    *,
    engine: EngineName = "auto",
    size: int = 0,
    precision: Precision = "auto",
    threads: int = 0,
    vivid: float | None = None,
    whole: bool = False,
    restore: str | Path | ModelFolder | Literal[False] = False,
) -> Model:
    """A model by name ("colorizer"), or from the folder of a model or training run, ready to be called on pictures.

    Args:
        name_or_path: what to load, or a folder already opened by `open_model`.
        engine: "openvino" (needs no torch), "torch", or "auto".
        size: short side to which photos are reduced for the network; 0 takes the model's own.
        precision: "auto" (bfloat16 if the hardware supports it), "bf16" or "fp32".
        threads: most CPU threads of the engine and for finishing a photo; 0 takes all.
        vivid: from 0 (muted) to 1 (saturated), for models with this option; None takes the model's own.
        whole: see all of a photo as one picture. Otherwise, of a page with photos each is coloured by itself, and paper stays grey.
        restore: a model that photos go through first, such as one that undoes the damage of old photos.

    Raises:
        ModelError: no such model. RecipeError: no such precision, or `restore` enlarges photos. MissingExtraError: the engine's packages are missing.
    """
    check_precision(precision)
    folder = name_or_path if isinstance(name_or_path, ModelFolder) else open_model(name_or_path)
    makers: dict[str, Callable[[], Engine]] = {
        "openvino": lambda: OpenVinoEngine(folder.onnx, precision=precision, threads=threads),
        "torch": lambda: TorchEngine(load_network(folder), precision=precision),
    }
    _check_size(size)
    made = makers[choose_engine(engine, folder.onnx.is_file())]()
    if isinstance(made, OpenVinoEngine):
        _check_channels(made, folder)
    first = load(restore, engine=engine, precision=precision, threads=threads) if restore else None
    if first is not None and first.task.result_scale != 1:
        raise RecipeError(
            f"restore: expected a model whose results are as large as the photo, got one that enlarges them ({first.task.name})"
        )
    return Model(folder, made, size, vivid, threads, whole, first)


def _check_channels(engine: OpenVinoEngine, folder: ModelFolder) -> None:
    """Raises ModelError if an ONNX file does not contain the network that the config.json beside it describes."""
    wanted = folder.task.in_channels, folder.task.network_channels
    if any(has and has != needs for has, needs in zip(engine.channels, wanted, strict=True)):
        raise ModelError(
            f"{folder.onnx}: expected a network with {wanted[0]} input and {wanted[1]} output channels for the task "
            f"{folder.task.name!r}, got {engine.channels[0]} and {engine.channels[1]}; "
            "export it again with 'hashigo export'"
        )


def _check_hints(hints: object) -> None:
    if isinstance(hints, str) or not isinstance(hints, Sequence):
        raise PictureError(f'hints: expected a list such as [(120, 80, "#c03020")], got {hints!r}')


def _check_size(size: object) -> None:
    if not is_whole(int(size) if isinstance(size, np.integer) else size, 0, LARGEST_SIDE):
        raise PictureError(
            f"size: expected a whole number from 1 to {LARGEST_SIDE:,}, or 0 for the model's own, got {size!r}"
        )
