"""Latents: the output of a network's middle, or of any other layer, as one row of numbers per picture.

`features` accepts any kind of pictures and returns an array for scikit-learn; `extract` does this for a network and a
`PictureSet`; `gather` does it for several sets and keeps their names and labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hashigo.apply.model import Model
from hashigo.data import PictureSet
from hashigo.data.build import preparer
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.data.opening import at_size
from hashigo.errors import DataError, ModelError, RecipeError, did_you_mean, plural
from hashigo.image.photo import photo_of
from hashigo.image.pixels import to_uint8
from hashigo.machine import cores, quarter_of_memory
from hashigo.models.folder import ModelFolder, load_network, open_model
from hashigo.networks.base import Network
from hashigo.tasks import Task

LATENT = "latent"
"""The layer that `encode` of a network gives."""

BATCH_PIXELS = 1 << 20
"""Most pixels per batch: 256 large pictures at once would need gigabytes and be no faster."""

ModelLike = str | Path | ModelFolder | Model | tuple[nn.Module, Task]


@dataclass(frozen=True, eq=False)
class Latents:
    """A layer's output for N pictures, with the pictures' names and labels."""

    features: NDArray[np.float32]
    """(N, D): a row per picture; the layer flattened (channels first), or its means over height and width."""
    names: tuple[str, ...]
    """N names from the pictures' sources."""
    labels: NDArray[np.int64] | None
    """(N,): each picture's index in `classes`, -1 if unknown; None if all are unknown."""
    classes: tuple[str, ...]
    """What the labels mean."""
    layer: str
    """Name of the layer."""
    shape: tuple[int, ...]
    """The layer's own shape without N, such as (16, 7, 7); before pooling."""


# --- layers -----------------------------------------------------------------------------------------


def layer_names(network: nn.Module) -> list[str]:
    """All layers whose output can be extracted: "latent" first, then the network's submodules in their order.

    Submodules that only contain others, such as lists of blocks, have no output and are left out.
    """
    runs = [name for name, module in network.named_modules() if name and type(module).forward is not nn.Module.forward]
    return list(dict.fromkeys([LATENT, *runs]))


def check_layer(network: nn.Module, layer: str) -> None:
    """Raises RecipeError with the right names unless the network has the layer."""
    names = layer_names(network)
    if layer not in names:
        raise RecipeError(f"the network has no layer {layer!r}; {did_you_mean(layer, names)}")


@contextmanager
def _reader(network: nn.Module, layer: str) -> Iterator[Callable[[Tensor], Tensor]]:
    """A function from the network's input to the layer's output: (N, C, H, W) → (N, …)."""
    if layer == LATENT:
        if not isinstance(network, Network):
            raise RecipeError(
                f"expected a network of hashigo.networks with a latent, got {type(network).__name__}; name another layer"
            )
        yield network.latent
        return
    caught: list[object] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        # a copy, because what follows may work in place, as many activations do
        caught[:] = [output.clone() if isinstance(output, Tensor) else output]

    def read(x: Tensor) -> Tensor:
        caught.clear()
        network(x)
        if not caught:
            raise RecipeError(f"the layer {layer!r} is not used when the network runs; choose another")
        output = caught[0]
        if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(x):
            given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise RecipeError(f"expected a layer that gives (N, …) for N pictures; {layer!r} gives {given}")
        return output

    handle = network.get_submodule(layer).register_forward_hook(keep)
    try:
        yield read
    finally:
        handle.remove()


@contextmanager
def evaluating(network: nn.Module, device: torch.device) -> Iterator[None]:
    """The network on `device`, in evaluation mode, without gradients, in float32; afterwards its state is restored."""
    modes = [(module, module.training) for module in network.modules()]
    home = next((value.device for value in network.parameters()), device)
    try:
        network.to(device).eval()
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        network.to(home)
        for module, training in modes:
            module.training = training


# --- extracting -------------------------------------------------------------------------------------


def extract(
    network: nn.Module,
    task: Task,
    pictures: PictureSet,
    *,
    layer: str = LATENT,
    pool: bool = False,
    size: int = 0,
    batch_size: int = 256,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Runs the pictures through `task.encode` and the network, which is not changed: one row of float32 per picture.

    Args:
        network: any network; its mode and device are restored.
        task: the network's task; its damage (`degrade`) is not applied.
        pictures: grey or colour.
        layer: "latent", which is `network.latent(x)`, or the dotted name of a submodule, whose output in
            `network(x)` is used; if a submodule runs several times, its last output.
        pool: use each channel's mean over height and width instead of all values.
        size: side of the central square of each picture; smaller pictures are padded by repeating the edge. 0: whole pictures.
        batch_size: most pictures per batch; large pictures have smaller batches.
        device: a torch device. On GPUs, torch's own setting decides whether convolutions may use TF32.
        progress: called with the number of pictures after each batch.

    Returns:
        features (N, D), and the layer's own shape without N: (C, h, w), or (units,) for a bottleneck, pooled or not. If
        not pooled, `features.reshape(N, *shape)` undoes the flattening; otherwise D is C.

    Raises:
        RecipeError: no such layer, no height and width to pool over, pictures of several sizes without `size`, or
        sizes or channels that the network does not accept.
    """
    latents = gather(
        network, task, [pictures], layer=layer, pool=pool, size=size, resize=False,
        batch_size=batch_size, device=device, progress=progress,
    )  # fmt: skip
    return latents.features, latents.shape


def gather(
    network: nn.Module,
    task: Task,
    sets: Sequence[PictureSet],
    *,
    layer: str = LATENT,
    pool: bool = False,
    size: int = 0,
    resize: bool = True,
    batch_size: int = 256,
    device: str = "",
    progress: Callable[[int], None] | None = None,
) -> Latents:
    """The features of several sets, one after another, with names and labels.

    `resize`: resizes the short side of each picture to `size` first, so that its central square
    shows as much of it as possible. `device`: empty takes the GPU if there is one. Otherwise as for `extract`.

    Raises:
        DataError: the sets have different classes. RecipeError: see `extract`, or a size for which memory is too small.
    """
    check_layer(network, layer)
    _check_settings(network, task, size, batch_size)
    labels, classes = _labels(sets)
    if size and resize:
        _check_memory(sets, size)
        sets = [at_size(pictures, size, enlarge=True) for pictures in sets]
    height, width = _common_size(sets, size)
    where = _device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    most = max(1, min(batch_size, BATCH_PIXELS // (height * width)))
    loaders = (
        Loader(ResidentPictures(pictures, where), batch_size=most, crop=size, training=False) for pictures in sets
    )
    rows, done = np.empty((0, 0), np.float32), 0
    shape: tuple[int, ...] = ()
    with evaluating(network, where), _reader(network, layer) as read:
        for batch in chain.from_iterable(loaders):
            # channels last suits convolutions on the CPU too; values stay the same up to rounding
            output = read(task.encode(batch.rgb).contiguous(memory_format=torch.channels_last))
            flat = (_pooled(output, layer) if pool else output).flatten(1).float().cpu().numpy()
            if not done:
                rows, shape = empty_rows(sum(map(len, sets)), flat.shape[1]), tuple(output.shape[1:])
            rows[done : done + len(flat)] = flat
            done += len(flat)
            if progress is not None:
                progress(len(flat))
    return Latents(
        rows, tuple(str(name) for pictures in sets for name in pictures.names), labels, classes, layer, shape
    )


BYTES_PER_PIXEL = 256
"""Approximate bytes that a network needs per pixel: 64 channels of float32, as in the article's first level."""


def _check_memory(sets: Sequence[PictureSet], size: int) -> None:
    """Raises RecipeError if pictures with a short side of `size` would not fit into memory."""
    sides = np.concatenate([pictures.sizes for pictures in sets]).astype(np.float64)
    stored = 3 * float((sides * (size / sides.min(axis=1, keepdims=True))).prod(axis=1).sum())
    needed, there = stored + BYTES_PER_PIXEL * size**2, 4 * quarter_of_memory()
    if needed > there:
        raise RecipeError(
            f"size: {len(sides):,} pictures brought to {size} pixels would take about {needed / 1e9:,.0f} GB, "
            f"this computer has {there / 1e9:,.0f} GB; use a smaller --size, or --limit"
        )


def _check_settings(network: nn.Module, task: Task, size: int, batch_size: int) -> None:
    if size < 0 or batch_size < 1:
        raise RecipeError(f"expected size >= 0 and batch_size >= 1, got {size} and {batch_size}")
    channels = getattr(network, "in_channels", task.in_channels)
    if channels != task.in_channels:
        raise RecipeError(
            f"expected a network with {plural(task.in_channels, 'input channel')} for the task {task.name!r}, got {channels}; "
            "give the task that the network was trained for"
        )


def _common_size(sets: Sequence[PictureSet], size: int) -> tuple[int, int]:
    """The (H, W) that the network sees. Raises RecipeError without pictures, or for several sizes and no `size`."""
    if not sets or not all(map(len, sets)):
        raise RecipeError("expected at least one picture, got none")
    if size:
        return size, size
    sizes = {pictures.uniform for pictures in sets}
    common = sizes.pop()
    if common is None or sizes:
        raise RecipeError("expected pictures of one size, got several: give the side of squares (size=96, --size 96)")
    return common


def _device(name: str) -> torch.device:
    """The torch device of that name. Raises RecipeError if there is none."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise RecipeError(f"expected a torch device such as cpu or cuda, got {name!r}: {error}") from error


def _pooled(output: Tensor, layer: str) -> Tensor:
    """(N, C, h, w) → (N, C): global average pooling."""
    if output.ndim != 4:
        raise RecipeError(
            f"expected a layer (C, H, W) to pool over, got {layer!r}, {tuple(output.shape[1:])}; leave pooling out, or "
            "choose another layer"
        )
    return output.float().mean(dim=(2, 3))


def empty_rows(count: int, values: int) -> NDArray[np.float32]:
    """An empty array, float32 (count, values): in memory, or in a temporary file that is deleted with the array if it would take
    more than a quarter of the machine's memory. k-means reads such an array in blocks (`cluster`'s "minibatch")."""
    if 4 * count * values <= quarter_of_memory():
        return np.empty((count, values), np.float32)
    with tempfile.TemporaryFile(prefix="hashigo-") as file:
        return np.memmap(file, np.float32, "w+", shape=(count, values))


# --- models and pictures in any form ----------------------------------------------------------------


def features(
    model: ModelLike,
    pictures: PictureSet | NDArray[np.generic] | Sequence[object],
    *,
    layer: str = LATENT,
    pool: bool = False,
    size: int = 0,
    batch_size: int = 256,
    device: str = "",
) -> NDArray[np.float32]:
    """The features of pictures: an array (N, D), float32, ready for scikit-learn.

    Args:
        model: name or folder of a model, folder of a training run, an opened model, or a (network, task) pair.
        pictures: a `PictureSet`; an array (N, H, W) or (N, H, W, 3), uint8 or float 0..1 (rounded to 8 bits), or a float
            batch (N, 3, H, W); or a list of paths, Pillow pictures or single arrays as `hashigo.load(…)` takes them.
        layer, pool, batch_size: see `extract`.
        size: each picture is resized to this short side and its central square is used; 0: the size that the
            model was trained on, or whole pictures if that is unknown, as for a pair.
        device: a torch device; empty takes the GPU if there is one.

    Raises:
        ModelError: no such model. PictureError, DataError: no pictures, or unreadable ones. RecipeError: see
        `extract`. MissingExtraError: torch is not installed.
    """
    network, task, side = opened(model, size)
    check_layer(network, layer)  # before files are read
    latents = gather(
        network, task, [_set_of(pictures, side)],
        layer=layer, pool=pool, size=side, batch_size=batch_size, device=device,
    )  # fmt: skip
    return latents.features


def side_of(folder: ModelFolder, size: int = 0) -> int:
    """Side of the squares that a model sees: `size`, else the size it was trained on, else 0 for whole pictures."""
    if size or folder.fixed_size is None:
        return size or folder.size
    height, width = folder.fixed_size
    return height if height == width else 0


def opened(model: ModelLike, size: int) -> tuple[nn.Module, Task, int]:
    """Network, task and side."""
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], nn.Module):
        return model[0], model[1], size
    if isinstance(model, Model):
        model = model.folder
    if isinstance(model, str | Path):
        model = open_model(model)
    if not isinstance(model, ModelFolder):
        raise ModelError(f"expected a model's name or folder, or a pair (network, task), got {type(model).__name__}")
    return load_network(model), model.task, side_of(model, size)


def _labels(sets: Sequence[PictureSet]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels (N,) over all sets, and their classes; None if no picture has a label."""
    known = [pictures for pictures in sets if pictures.labels is not None and (pictures.labels >= 0).any()]
    if not known:
        return None, ()
    for other in known[1:]:
        if other.classes != known[0].classes:
            raise DataError(
                f"expected inputs with the same classes, got {_with_classes(known[0])} and {_with_classes(other)}; "
                "extract their features one after the other, into files of their own"
            )
    parts = [np.full(len(pictures), -1, np.int64) if pictures.labels is None else pictures.labels for pictures in sets]
    return np.concatenate(parts, dtype=np.int64), known[0].classes


def _with_classes(pictures: PictureSet, most: int = 5) -> str:
    shown = ", ".join(pictures.classes[:most]) + (" …" if len(pictures.classes) > most else "")
    return f"{pictures.source or 'a set'} ({shown or 'labels without names'})"


def _set_of(pictures: PictureSet | NDArray[np.generic] | Sequence[object], side: int) -> PictureSet:
    if isinstance(pictures, PictureSet):
        return pictures
    if isinstance(pictures, np.ndarray):
        return PictureSet.from_array(_bytes_of(pictures))
    if isinstance(pictures, str | Path) or not isinstance(pictures, Sequence):
        raise DataError(
            f"expected a PictureSet, an array (N, H, W) or (N, H, W, 3) or a list of pictures, got "
            f"{type(pictures).__name__}; open folders and named sets with hashigo.open_dataset"
        )
    return _set_of_list(pictures, side)


def _bytes_of(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Arrays that `features` accepts, as uint8 (N, H, W) or (N, H, W, 3)."""
    floats = array.dtype.kind == "f"
    if floats and array.ndim == 4 and array.shape[1] == 3 and array.shape[3] not in (1, 3):
        array = np.moveaxis(array, 1, 3)
    fits = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3))
    if not fits or array.size == 0 or not (floats or array.dtype == np.uint8):
        raise DataError(
            f"expected pictures as an array (N, H, W) or (N, H, W, 3), uint8 or float 0..1, got {array.dtype} "
            f"{array.shape}; a single picture needs array[None]"
        )
    if not floats:
        return np.ascontiguousarray(array)
    low, high = float(array.min()), float(array.max())
    if not (low >= -0.01 and high <= 1.01):
        raise DataError(f"expected float values 0..1, got {low:g} to {high:g}; divide them by their largest value")
    # all pictures below one another as a single one of three planes
    channels = array.shape[3] if array.ndim == 4 else 1
    column = array.reshape(-1, array.shape[2], channels).transpose(2, 0, 1)
    result = to_uint8(np.broadcast_to(column, (3, *column.shape[1:])))
    return np.ascontiguousarray(result[..., :channels]).reshape(array.shape)


def _set_of_list(pictures: Sequence[object], side: int) -> PictureSet:
    """Reads files in threads and reduces them immediately, so that only small pictures are in memory."""
    if not pictures:
        raise DataError("expected at least one picture, got an empty list")
    prepare = preparer(side if side > 0 else None)
    with ThreadPoolExecutor(cores(), "hashigo-read") as pool:
        arrays = list(pool.map(lambda picture: prepare(photo_of(picture)), pictures))
    channels = max(1 if array.ndim == 2 else 3 for array in arrays)
    flat = [np.repeat(array[..., None], channels, axis=2) if array.ndim == 2 else array for array in arrays]
    sizes = np.array([array.shape[:2] for array in arrays], np.int32)
    pixels = np.concatenate([array.reshape(-1, channels) for array in flat])
    return PictureSet(pixels, sizes, None, tuple(f"{i:06d}" for i in range(len(arrays))))
