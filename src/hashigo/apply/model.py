"""Applying a trained model: `photo → Task.encode → network → Task.decode → photo`, without torch where OpenVINO runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.apply.engines import Engine, EngineName, OpenVinoEngine, TorchEngine, choose_engine
from hashigo.errors import PictureError
from hashigo.image.photo import Photo, photo_of, to_uint8
from hashigo.image.resizing import resize
from hashigo.machine import cores
from hashigo.models.folder import ModelFolder, load_network, open_model
from hashigo.tasks.capabilities import TakesHints, hint_taker, vivid_task
from hashigo.tasks.hints import Hint, parse_hint

Floats = NDArray[np.float32]

STRIP_PIXELS = 1 << 16
"""Pixels of a strip when a large photo is put together: few enough that its arrays stay in the processor's cache."""

TILE = 512
"""Side of the tiles in which a network that works at full size goes over a large photo."""

WHOLE_PIXELS = 1 << 20
"""Photos of at most so many pixels go through such a network whole."""


LONGEST = 16
"""Where a network sees photos reduced to a short side, their long side is at most so many times that."""

DISTORTION = 1.15
"""Most by which a photo's proportions may change for the sake of sides that the network need not pad."""


class Model:
    """A model ready to use on photos, arrays and files; may be called from several threads.

    Args:
        folder: what the model is.
        engine: what runs its network.
        size: short side to which photos are reduced for the network, where the task reduces them; 0 takes the model's.
        vivid: from 0, calm, to 1, vivid, where the task has that choice; None takes the model's.
    """

    def __init__(self, folder: ModelFolder, engine: Engine, size: int = 0, vivid: float | None = None) -> None:
        if size < 0:
            raise PictureError(f"expected a size of at least 1, or 0 for the model's own, got {size}")
        self.folder, self.engine = folder, engine
        self.task = folder.task if vivid is None else vivid_task(folder.task, vivid)
        self.size = size or folder.size
        self._pool = ThreadPoolExecutor(cores(), thread_name_prefix="hashigo-strip")

    def __repr__(self) -> str:
        return f"Model({self.task.name!r}, {str(self.folder.path)!r}, {self.engine.description})"

    def __call__(self, picture: Any, hints: Sequence[Hint | tuple[float, float, str]] = ()) -> Any:
        """The picture as the model gives it back, in the form in which it came.

        picture: a path, bytes or Pillow picture → a Pillow picture; a uint8 array (H, W), (H, W, 3) or (H, W, 4) →
        uint8 (H, W, 3) or (H, W, 4); a float array (3, H, W) or (N, 3, H, W), sRGB 0..1 → float32 of the same shape,
        in steps of 1/255 (photos are 8 bits here). hints: colours that are known, (x, y, "#rrggbb") with x and y in
        pixels of the upright photo, for models that take them.

        Raises:
            PictureError: not a picture, or one that cannot be read. RecipeError: hints that the model does not take.
        """
        known = [one if isinstance(one, Hint) else parse_hint(f"{one[0]},{one[1]},{one[2]}") for one in hints]
        if isinstance(picture, np.ndarray) and picture.dtype.kind == "f":
            if picture.ndim == 4:
                return np.stack([self._floats(one, known) for one in picture])
            return self._floats(picture, known)
        photo = self.apply(photo_of(picture), known)
        if isinstance(picture, Photo):
            return photo
        image = photo.to_pil()
        return np.asarray(image) if isinstance(picture, np.ndarray) else image

    def _floats(self, picture: NDArray[Any], hints: Sequence[Hint]) -> Floats:
        return photo_of(self.apply(photo_of(picture), hints)).rgb()

    def apply(self, photo: Photo, hints: Sequence[Hint] = ()) -> Photo:
        """The photo through the model: same size, alpha and metadata."""
        if self.works_whole(photo.size):
            x = self.prepare(photo, hints)
            return self.finish(photo, self.engine(x[None])[0], x)
        if hints:  # tasks that work at full size take none, and say so
            hint_taker(self.task).check_hints(hints, photo.size)
        return self._tiled(photo)

    def works_whole(self, size: tuple[int, int]) -> bool:
        """Whether a photo of (H, W) goes through the network in one piece: `prepare`, the engine, `finish`."""
        contract = self.folder.contract
        if self.task.reduces or contract.fixed_size is not None or contract.context_pixels is None:
            return True
        return size[0] * size[1] <= WHOLE_PIXELS

    def network_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) at which the network sees a photo of `size` (H, W).

        Where it reduces: multiples that need no padding, unless that would distort a small photo; of a strip at most
        `LONGEST` times its own side, so that no photo takes much memory.
        """
        if self.folder.fixed_size is not None:
            return self.folder.fixed_size
        if not self.task.reduces:
            return size
        scale = min(1.0, self.size / min(size), LONGEST * self.size / max(size)) if self.size else 1.0
        exact = [max(1.0, side * scale) for side in size]
        step = self.folder.multiple
        fitting = [max(step, round(side / step) * step) for side in exact]
        stretched = fitting[0] / exact[0] * exact[1] / fitting[1]
        if max(stretched, 1 / stretched) > DISTORTION:
            return round(exact[0]), round(exact[1])
        return fitting[0], fitting[1]

    def prepare(self, photo: Photo, hints: Sequence[Hint] = ()) -> Floats:
        """The network's input for a photo: float32 (C, h, w) with (h, w) = `network_size`."""
        size = self.network_size(photo.size)
        encoded: Floats = self.task.encode(photo.rgb() if size == photo.size else photo.resized(*size))
        if hints:
            encoded = hint_taker(self.task).with_hints(encoded, hints, photo.size)
        return np.ascontiguousarray(encoded, np.float32)

    def finish(self, photo: Photo, output: Floats, x: Floats) -> Photo:
        """The photo with the network's output (C, h, w) for `x`, as `prepare` gave it, put back at the photo's own size.

        The answer is scaled up and decoded strip by strip, on all cores: no float copy of a large photo is made.
        """
        height, width = photo.size
        answer = self.task.answer(output)
        if isinstance(self.task, TakesHints):
            answer = self.task.follow_hints(answer, x)
        pixels = np.empty((height, width, 3), np.uint8)
        rows = max(1, STRIP_PIXELS // width)
        list(self._pool.map(lambda top: self._finish_strip(photo, answer, pixels, top, rows), range(0, height, rows)))
        return photo.with_pixels(pixels)

    def _finish_strip(self, photo: Photo, answer: Floats, pixels: NDArray[np.uint8], top: int, rows: int) -> None:
        height, width = photo.size
        bottom = min(height, top + rows)
        if answer.shape[1:] == photo.size:
            part = answer[:, top:bottom]
        else:
            part = resize(answer, height, width, rows=(top, bottom))
        to_uint8(self.task.restore(self.task.decoder_input(photo.rgb(top, bottom)), part), out=pixels[top:bottom])

    def _tiled(self, photo: Photo) -> Photo:
        """Tile by tile with a margin of context around each, of which only the inner part is kept."""
        height, width = photo.size
        step = self.folder.multiple
        margin = -(-(self.folder.contract.context_pixels or 0) // step) * step
        tile = max(1, TILE // step) * step  # edges at multiples, as the network's own poolings have them
        pixels = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, tile):
            first, last = max(0, top - margin), min(height, top + tile + margin)
            band = self.task.encode(photo.rgb(first, last))
            for left in range(0, width, tile):
                start, end = max(0, left - margin), min(width, left + tile + margin)
                x = np.ascontiguousarray(band[:, :, start:end], np.float32)
                result = self.task.restore(x, self.engine(x[None])[0])
                inner = result[:, top - first : top - first + tile, left - start : left - start + tile]
                to_uint8(inner, out=pixels[top : top + tile, left : left + tile])
        return photo.with_pixels(pixels)


def load(
    name_or_path: str | Path = "colorizer",
    *,
    engine: EngineName = "auto",
    size: int = 0,
    precision: str = "auto",
    threads: int = 0,
    vivid: float | None = None,
) -> Model:
    """A model by name ("colorizer") or by the folder of a model or a training run, ready to be called on pictures.

    Args:
        name_or_path: what to load.
        engine: "openvino" (needs no torch), "torch", or "auto".
        size: short side to which photos are reduced for the network; 0 takes the model's own.
        precision: "auto" (bfloat16 where the hardware has it), "bf16" or "f32".
        threads: most CPU threads of the engine; 0 takes all.
        vivid: from 0, calm, to 1, vivid, for models that have that choice; None takes the model's own.

    Raises:
        ModelError: no such model. MissingExtraError: the engine's packages are missing.
    """
    folder = open_model(name_or_path)
    makers: dict[str, Callable[[], Engine]] = {
        "openvino": lambda: OpenVinoEngine(folder.onnx, precision=precision, threads=threads),
        "torch": lambda: TorchEngine(load_network(folder), precision=precision),
    }
    return Model(folder, makers[choose_engine(engine, folder.onnx.is_file())](), size, vivid)
