"""The resident loader: uint8 pictures stay in memory or on the GPU, where batches are gathered, cropped and flipped.

Packs larger than memory stay on the disk: only each batch's pixels are read.

There are no worker processes: one indexed read makes a whole batch. Order depends on (seed, epoch), crop and flip on
(seed, epoch, index), so a loader started anywhere gives the same batches as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hashigo.data import PictureSet
from hashigo.data.pictures import evenly
from hashigo.errors import RecipeError
from hashigo.machine import free_memory
from hashigo.randomness import PictureRng

SHARE = 0.5
"""Largest share of a GPU's free memory for pictures; the rest is for training."""

FINEST = 4
"""A pixel of a zoomed crop is the mean of at most this many points squared."""


class Batch(NamedTuple):
    """A batch: `rgb` float32 (N, 3, h, w) in 0..1, channels last in memory, with its origin.

    version: of the pictures' crops and other random variations: the epoch, unless there are only a few versions.
    features: of a network's backbone, if they are known. opinion: of its teachers, if it is known.
    """

    rgb: Tensor
    indices: Tensor
    epoch: int
    number: int
    version: int
    features: Tensor | None = None
    opinion: Tensor | None = None


class ResidentPictures:
    """A `PictureSet` on a device, from which batches are gathered.

    pictures: the set; grey ones become three equal channels. device: where batches are needed. The pixels are kept and gathered there too, unless they would fill more than `SHARE` of a
    GPU's free memory: then they stay where they are, and each batch is copied to the GPU.
    """

    def __init__(self, pictures: PictureSet, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.is_elsewhere = pictures.nbytes > SHARE * free_memory(self.device)
        self._home = torch.device("cpu") if self.is_elsewhere else self.device
        if self._home.type != "cpu":
            pictures = pictures.compact()
        self.pixels = torch.from_numpy(_unlocked(pictures.pixels)).to(self._home)
        self._sizes = torch.from_numpy(np.asarray(pictures.sizes, dtype=np.int64)).to(self._home)
        self._offsets = torch.from_numpy(np.asarray(pictures.offsets, dtype=np.int64)).to(self._home)
        self.sizes = self._sizes.to(self.device)
        self.uniform = pictures.uniform

    def gather(self, indices: Tensor, top: Tensor, left: Tensor, flip: Tensor, height: int, width: int) -> Tensor:
        """Crops of the pictures `indices` (N,), from `top` and `left` (N,), mirrored where `flip` (N,) is true.

        A crop that reaches beyond its picture repeats the edge. Returns float32 (N, 3, height, width), 0..1.
        """
        indices, top, left, flip = (value.to(self._home) for value in (indices, top, left, flip))
        rows = torch.arange(height, device=self._home)
        columns = torch.arange(width, device=self._home)
        columns = torch.where(flip[:, None], columns.flip(0), columns)
        sizes = self._sizes[indices]
        y = torch.minimum(top[:, None] + rows, sizes[:, :1] - 1)
        x = torch.minimum(left[:, None] + columns, sizes[:, 1:] - 1)
        start = self._offsets[indices][:, None] + y * sizes[:, 1:]
        pixels = self.pixels[start[:, :, None] + x[:, None, :]].to(self.device)
        return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0).expand(-1, 3, -1, -1)

    def gather_scaled(
        self, indices: Tensor, top: Tensor, left: Tensor, flip: Tensor, scale: Tensor, height: int, width: int
    ) -> Tensor:
        """Like `gather`, with pixels spaced `scale` (N,) of the pictures' own pixels apart, interpolated bilinearly."""
        indices, top, left, flip, scale = (value.to(self._home) for value in (indices, top, left, flip, scale))
        sizes = self._sizes[indices]
        places = []
        for start, side, length, mirrored in ((top, 0, height, None), (left, 1, width, flip)):
            at = torch.arange(length, device=self._home).expand(len(indices), -1)
            if mirrored is not None:
                at = torch.where(mirrored[:, None], at.flip(1), at)
            place = (start[:, None] + (at + 0.5) * scale[:, None] - 0.5).clamp(min=0)
            last = (sizes[:, side] - 1)[:, None]
            low = torch.minimum(place.floor().long(), last)
            places.append((low, torch.minimum(low + 1, last), (place - low).clamp(0, 1)))
        (above, below, down), (before, after, right) = places
        first = self._offsets[indices][:, None, None]
        stride = sizes[:, 1][:, None, None]

        def at_rows(rows: Tensor) -> Tensor:
            start = first + rows[:, :, None] * stride
            parts = [self.pixels[start + columns[:, None, :]].float() for columns in (before, after)]
            return torch.lerp(parts[0], parts[1], right[:, None, :, None])

        pixels = torch.lerp(at_rows(above), at_rows(below), down[:, :, None, None]).to(self.device)
        return pixels.permute(0, 3, 1, 2).div_(255.0).expand(-1, 3, -1, -1)

    def centre(self, indices: Tensor, height: int, width: int) -> Tensor:
        """The central (height, width) of the pictures `indices`, not mirrored: float32 (N, 3, height, width)."""
        sizes = self.sizes[indices]
        top = (sizes[:, 0] - height).clamp(min=0) // 2
        left = (sizes[:, 1] - width).clamp(min=0) // 2
        return self.gather(indices, top, left, torch.zeros_like(top, dtype=torch.bool), height, width)


def _unlocked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Read-only pixels, such as those of a memory-mapped pack, in a form that torch accepts without a warning: they are only read here.

    Filtering the warning is no option: filters are global to the process, and studies run in threads.
    """
    return pixels if pixels.flags.writeable else np.asarray(_Unlocked(pixels))


class _Unlocked:
    """A read-only array's memory, without its lock, for `np.asarray`, whose result keeps the array alive."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


class Loader:
    """Batches of a set, an epoch per iteration.

    Args:
        resident: the pictures.
        batch_size: pictures per training step, shared out among processes; in validation, pictures per batch of each process.
        crop: side of the square crops, or 0 for whole pictures of one size.
        training: random order, crops and flips, and an incomplete last batch is skipped (so every step takes the
            same time and a compiled network is compiled once); otherwise order and crops are fixed and nothing is skipped.
        flip: whether training pictures are mirrored at random.
        seed: together with the epoch determines order, crops and flips.
        zoom: random-resized crop, with a side between `zoom` × the crop and the short side; 0: all
            of the crop's size.
        variants: show each picture in this many versions, in turn; 0: in a new one in each epoch.

    Raises:
        RecipeError: no crop although the pictures differ in size, or no pictures.
    """

    def __init__(
        self,
        resident: ResidentPictures,
        *,
        batch_size: int,
        crop: int,
        training: bool,
        flip: bool = True,
        seed: int = 0,
        zoom: float = 0.0,
        variants: int = 0,
    ) -> None:
        self.variants = variants if training else 1
        self.features: Callable[[int, Tensor], Tensor] | None = None
        """(version, indices) → the features of a network's backbone, if they are known."""
        self.opinion: Callable[[int, Tensor], Tensor] | None = None
        """The same for the opinion of its teachers."""
        self.resident, self.training, self.flip, self.seed, self.zoom = resident, training, flip, seed, zoom
        self.count = len(resident.sizes)
        self.batch_size = min(batch_size, self.count)
        self.size = (crop, crop) if crop else resident.uniform
        if self.count == 0:
            raise RecipeError("expected at least one picture, got none; look at data.train and data.limit")
        if self.size is None:
            raise RecipeError(
                "expected pictures of one size, got several sizes: set data.crop to the side of the crops to train on"
            )
        self._coarsest = 1
        if zoom:  # scales reach from the crop to the largest short side
            widest = int(resident.sizes.amin(dim=1).amax())
            self._coarsest = max(1, min(FINEST, widest // min(self.size)))
        self.epoch = 0
        self.rank, self.world = 0, 1
        self._first = self._next = 0

    def shard(self, rank: int, world: int) -> None:
        """Makes this the loader of process `rank` of `world`. In training, each step has the same pictures for any number of processes, which share them out.

        In validation a process may have one batch fewer than another, but none is empty.

        Raises:
            RecipeError: a training step's pictures cannot be shared out evenly.
        """
        if self.training and self.batch_size % world:
            raise RecipeError(
                f"batch_size: expected a multiple of {world}, the number of processes (machine.devices × machine.nodes), because they share the pictures "
                f"of each step; got {self.batch_size}"
            )
        self.rank, self.world = rank, world

    @property
    def sampler(self) -> Loader:
        """The object whose `set_epoch` Lightning calls before each epoch."""
        return self

    @property
    def batch_sampler(self) -> None:
        """None; Lightning asks every loader with a sampler for this too."""
        return None

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next iteration, counted from 0."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """The loader's position: the epoch and the number of the next batch."""
        return {"epoch": self.epoch, "next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration continue from `state`."""
        self.epoch = state["epoch"]
        self._first = state["next"] if state["next"] < len(self) else 0

    def __len__(self) -> int:
        if self.training:
            return self.count // self.batch_size
        return math.ceil(len(range(self.rank, self.count, self.world)) / self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """The indices of all pictures in the order of `epoch`: int64 (N,), on the CPU."""
        if not self.training:
            return torch.arange(self.count)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        return torch.randperm(self.count, generator=generator)

    def batch(self, epoch: int, number: int, order: Tensor | None = None) -> Batch:
        """Batch `number` of `epoch`; always the same."""
        order = self.order(epoch) if order is None else order
        step = self.batch_size * (1 if self.training else self.world)
        chosen = order[number * step : (number + 1) * step][self.rank :: self.world]
        indices = chosen.to(self.resident.device)
        version = epoch % self.variants if self.variants else epoch
        features = None if self.features is None else self.features(version, indices)
        opinion = None if self.opinion is None else self.opinion(version, indices)
        return Batch(self.crops(version, indices), indices, epoch, number, version, features, opinion)

    def crops(self, version: int, indices: Tensor) -> Tensor:
        """A version of the pictures `indices` (n,): float32 (n, 3, h, w), 0..1."""
        height, width = self.size or (0, 0)
        if not self.training:
            return self.resident.centre(indices, height, width)
        rng = PictureRng(self.seed ^ 0x5EED, version, indices)
        if self.zoom:
            return self._zoomed(indices, rng, height, width)
        room = (self.resident.sizes[indices] - torch.tensor([height, width], device=indices.device)).clamp(min=0) + 1
        top = rng.integers(high=room[:, 0])
        left = rng.integers(high=room[:, 1])
        flip = rng.uniform() < (0.5 if self.flip else 0.0)
        return self.resident.gather(indices, top, left, flip, height, width)

    def sample(self, most: int) -> Iterator[Tensor]:
        """The central crops of at most `most` pictures, evenly spread: batches float32 (N, 3, h, w), 0..1."""
        height, width = self.size or (0, 0)
        chosen = torch.from_numpy(evenly(self.count, most)).to(self.resident.device)
        for first in range(0, len(chosen), 256):
            yield self.resident.centre(chosen[first : first + 256], height, width)

    def _zoomed(self, indices: Tensor, rng: PictureRng, height: int, width: int) -> Tensor:
        """Crops of random size and position, resized to (height, width)."""
        sizes = self.resident.sizes[indices].float()
        largest = torch.minimum(sizes[:, 0] / height, sizes[:, 1] / width)
        least = largest.clamp(max=self.zoom)
        scale = least * (largest / least) ** rng.uniform()
        top = rng.uniform() * (sizes[:, 0] - scale * height).clamp(min=0)
        left = rng.uniform() * (sizes[:, 1] - scale * width).clamp(min=0)
        flip = rng.uniform() < (0.5 if self.flip else 0.0)
        if self._coarsest == 1:
            return self.resident.gather_scaled(indices, top, left, flip, scale, height, width)
        crops = torch.empty((len(indices), 3, height, width), device=scale.device, memory_format=torch.channels_last)
        steps = scale.long().clamp(1, self._coarsest)
        for step in range(1, self._coarsest + 1):  # pixels `step` apart are means of those between them
            some = (steps == step).nonzero()[:, 0]
            if len(some):
                fine = self.resident.gather_scaled(
                    indices[some], top[some], left[some], flip[some], scale[some] / step, height * step, width * step
                )
                crops[some] = torch.nn.functional.avg_pool2d(fine, step)
        return crops

    def __iter__(self) -> Iterator[Batch]:
        order, epoch = self.order(self.epoch), self.epoch
        first, self._first = self._first, 0
        for number in range(first, len(self)):
            self._next = number + 1
            yield self.batch(epoch, number, order)
