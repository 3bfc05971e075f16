"""hashigo.loader: what is gathered, in which order, resumed and dealt out among processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hashigo.data.loader as loader_module
from hashigo.data import PictureSet
from hashigo.data.loader import Batch, Loader, ResidentPictures
from hashigo.data.packfile import PackWriter
from hashigo.data.splitting import split_off
from hashigo.errors import RecipeError
from photos import PHOTOS, pixels

SIZES = [(40, 64), (33, 33), (64, 17), (9, 50), (1, 1), (50, 50), (48, 31)]


def ragged(channels: int = 3) -> PictureSet:
    """Cuts of real photos, each of another size."""
    cuts = [pixels(PHOTOS[i % 4])[100 + i : 100 + i + h, 120 : 120 + w, :channels] for i, (h, w) in enumerate(SIZES)]
    parts = np.concatenate([cut.reshape(-1, channels) for cut in cuts])
    return PictureSet(parts, np.array(SIZES, np.int32), None, [str(i) for i in range(len(SIZES))])


def coordinates(count: int, height: int, width: int) -> PictureSet:
    """Pictures whose pixels say where they are: (row, column, number of the picture)."""
    row, column = np.mgrid[:height, :width]
    return PictureSet.from_array(
        np.stack([np.dstack([row, column, row * 0 + i]) for i in range(count)]).astype(np.uint8)
    )


def by_slicing(picture: np.ndarray, top: int, left: int, flip: bool, height: int, width: int) -> np.ndarray:
    """The crop by NumPy: the picture continued at its edges, cut, mirrored; float32 (3, height, width)."""
    grown = np.pad(picture, ((0, top + height), (0, left + width), (0, 0)), mode="edge")
    cut = grown[top : top + height, left : left + width]
    cut = cut[:, ::-1] if flip else cut
    return np.broadcast_to(cut.transpose(2, 0, 1).astype(np.float32) / 255, (3, height, width))


def loader(pictures: PictureSet, **options) -> Loader:
    return Loader(ResidentPictures(pictures), **{"batch_size": 2, "crop": 8, "training": True, **options})


def seen(batches: list[Batch]) -> list[int]:
    return [int(i) for batch in batches for i in batch.indices]


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.rgb, y.rgb) and torch.equal(x.indices, y.indices) and (x.epoch, x.number) == (y.epoch, y.number)
        for x, y in zip(a, b, strict=True)
    )


# --- gathering ------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]))
def test_gather_is_slicing(data: st.DataObject, height: int, width: int, channels: int) -> None:
    pictures = ragged(channels)
    chosen = data.draw(st.lists(st.integers(0, len(SIZES) - 1), min_size=1, max_size=5))
    top = [data.draw(st.integers(0, SIZES[i][0] - 1)) for i in chosen]
    left = [data.draw(st.integers(0, SIZES[i][1] - 1)) for i in chosen]
    flip = [data.draw(st.booleans()) for _ in chosen]
    got = ResidentPictures(pictures).gather(*map(torch.tensor, (chosen, top, left, flip)), height, width)
    assert got.dtype == torch.float32
    assert got.shape == (len(chosen), 3, height, width)
    for crop, i, t, le, f in zip(got.numpy(), chosen, top, left, flip, strict=True):
        np.testing.assert_allclose(crop, by_slicing(pictures.picture(i), t, le, f, height, width), atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"zoom": 0.5}, {"training": False}])
def test_pictures_that_do_not_fit_on_a_gpu_give_the_same_batches(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    usual = list(
        Loader(ResidentPictures(ragged(), device), **{"batch_size": 2, "crop": 8, "training": True, **options})
    )
    monkeypatch.setattr(loader_module, "free_memory", lambda _: 1000.0)
    resident = ResidentPictures(ragged(), device)
    assert resident.is_elsewhere
    assert resident.pixels.device.type == "cpu"
    other = list(Loader(resident, **{"batch_size": 2, "crop": 8, "training": True, **options}))
    assert len(usual) == len(other) > 0
    for one, same in zip(usual, other, strict=True):
        assert torch.equal(one.rgb, same.rgb)
        assert one.rgb.device == same.rgb.device


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's figures of memory")
def test_of_a_pack_larger_than_memory_only_the_batches_are_read(tmp_path: Path) -> None:
    """A pack of 40 GB, which is nearly all hole, is opened, split, and read for a while without being copied."""
    count, side = 40_000, 577

    def private() -> int:
        line = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert line is not None
        return 1000 * int(line[1])

    with (tmp_path / "big.safetensors").open("w+b") as file:
        writer = PackWriter(file, (), "")
        first = file.tell()
        file.seek(count * side * side * 3, 1)
        writer.pixel_bytes = count * side * side * 3
        writer.finish(3, np.full((count, 2), side, np.int32), None, [str(i) for i in range(count)])
        for i in range(count):  # the first pixel says which picture it is
            file.seek(first + i * side * side * 3)
            file.write(bytes([i % 251] * 3))
    before = private()
    training, validation = split_off(PictureSet.open(tmp_path / "big.safetensors"), 0.1)
    assert (len(training), len(validation)) == (36_000, 4_000)
    source = Loader(ResidentPictures(training), batch_size=4, crop=side, training=False)
    for number in (0, 7, len(source) - 1):
        batch = source.batch(0, number)
        shown = (batch.rgb[:, 0, 0, 0] * 255).round().int().tolist()
        assert shown == [int(training.names[i]) % 251 for i in batch.indices.tolist()]
    assert private() - before < 1e9  # a copy would take 36 GB; batches take some, too


@pytest.mark.parametrize("side", [1, 8, 33, 70])
def test_centre_is_the_middle(side: int) -> None:
    pictures = ragged()
    got = ResidentPictures(pictures).centre(torch.arange(len(SIZES)), side, side)
    for i, (height, width) in enumerate(SIZES):
        top, left = max(0, height - side) // 2, max(0, width - side) // 2
        expected = by_slicing(pictures.picture(i), top, left, False, side, side)
        np.testing.assert_allclose(got[i].numpy(), expected, atol=1e-7)


def test_colour_batches_are_channels_last_in_memory() -> None:
    batch = next(iter(loader(ragged())))
    assert batch.rgb.is_contiguous(memory_format=torch.channels_last)


def test_a_memory_mapped_pack_gives_the_same(tmp_path: Path) -> None:
    ragged().save(tmp_path / "pack.safetensors")
    mapped = PictureSet.open(tmp_path / "pack.safetensors")
    assert isinstance(mapped.pixels, np.memmap)
    assert same(list(loader(mapped)), list(loader(ragged())))


# --- crops and flips ------------------------------------------------------------------------------------


def placed(batches: list[Batch]) -> list[tuple[int, int, int, bool]]:
    """(picture, top, left, flipped) of every crop of `coordinates`, after checking that it is a crop of one picture."""
    found = []
    for batch in batches:
        for index, crop in zip(batch.indices.tolist(), (batch.rgb * 255).round().int().numpy(), strict=True):
            row, column, number = crop
            assert (number == index).all()
            flipped = bool(column[0, 0] > column[0, -1])
            column = column[:, ::-1] if flipped else column
            np.testing.assert_array_equal(row - row[0, 0], np.mgrid[: row.shape[0], : row.shape[1]][0])
            np.testing.assert_array_equal(column - column[0, 0], np.mgrid[: row.shape[0], : row.shape[1]][1])
            found.append((index, int(row[0, 0]), int(column[0, 0]), flipped))
    return found


def all_places(one: Loader, epochs: int) -> list[tuple[int, int, int, bool]]:
    found = []
    for epoch in range(epochs):
        one.set_epoch(epoch)
        found += placed(list(one))
    return found


def test_training_crops_are_anywhere_and_flipped_half_the_time() -> None:
    found = np.array(all_places(loader(coordinates(20, 10, 12), crop=6), 50))
    tops, lefts, flips = found[:, 1], found[:, 2], found[:, 3]
    assert np.bincount(tops).tolist() == pytest.approx([200] * 5, abs=65)  # 0..4: five standard deviations
    assert np.bincount(lefts).tolist() == pytest.approx([1000 / 7] * 7, abs=56)  # 0..6
    assert flips.mean() == pytest.approx(0.5, abs=0.08)
    assert np.abs(np.corrcoef(found[:, 1:].T) - np.eye(3)).max() < 0.16


def test_flip_off_mirrors_nothing() -> None:
    assert not any(flipped for *_, flipped in all_places(loader(coordinates(20, 10, 12), crop=6, flip=False), 3))


def test_a_crop_depends_on_seed_epoch_and_index_only() -> None:
    pictures = coordinates(12, 30, 30)
    small, large = (sorted(placed(list(loader(pictures, batch_size=size, seed=4)))) for size in (2, 6))
    assert small == large
    other = sorted(placed(list(loader(pictures, seed=5))))
    assert sum(a != b for a, b in zip(small, other, strict=True)) > 9
    later = loader(pictures, seed=4)
    later.set_epoch(1)
    assert sum(a != b for a, b in zip(small, sorted(placed(list(later))), strict=True)) > 9


def test_whole_pictures_without_crop() -> None:
    pictures = coordinates(4, 10, 12)
    assert {place[1:3] for place in placed(list(loader(pictures, crop=0)))} == {(0, 0)}
    assert next(iter(loader(pictures, crop=0))).rgb.shape == (2, 3, 10, 12)


# --- order ----------------------------------------------------------------------------------------------


def test_order_comes_from_seed_and_epoch() -> None:
    pictures = coordinates(50, 1, 1)
    one, twin, other = loader(pictures, seed=1), loader(pictures, seed=1), loader(pictures, seed=2)
    orders = [one.order(epoch).tolist() for epoch in range(4)] + [other.order(0).tolist()]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert twin.order(2).tolist() == orders[2]  # without going through the epochs before
    torch.rand(3)
    assert one.order(2).tolist() == orders[2]  # and whatever else draws random numbers


def test_an_epoch_has_every_picture_once_but_the_rest_of_the_last_batch() -> None:
    training = loader(coordinates(23, 8, 8), batch_size=5)
    batches = list(training)
    assert len(batches) == len(training) == 4
    assert [len(batch.rgb) for batch in batches] == [5] * 4
    assert [(batch.epoch, batch.number) for batch in batches] == [(0, i) for i in range(4)]
    assert seen(batches) == training.order(0).tolist()[:20]


def test_validation_is_in_order_whole_and_the_same_in_every_epoch() -> None:
    validation = loader(ragged(), training=False, batch_size=3)
    batches = list(validation)
    assert seen(batches) == list(range(len(SIZES)))
    assert [len(batch.rgb) for batch in batches] == [3, 3, 1]
    assert len(validation) == 3
    validation.set_epoch(7)
    assert all(torch.equal(a.rgb, b.rgb) for a, b in zip(batches, validation, strict=True))
    centre = ResidentPictures(ragged()).centre(torch.arange(3), 8, 8)
    assert torch.equal(batches[0].rgb, centre)


def test_fewer_pictures_than_a_batch_make_one_batch() -> None:
    for training in (True, False):
        assert [len(batch.rgb) for batch in loader(ragged(), batch_size=100, training=training)] == [len(SIZES)]


# --- going on where one was -----------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_state_taken_mid_epoch_gives_the_same_rest(stop: int) -> None:
    def fresh() -> Loader:
        return loader(coordinates(17, 20, 20), seed=3)

    whole = fresh()
    whole.set_epoch(2)
    expected = list(whole)
    first = fresh()
    first.set_epoch(2)
    stream = iter(first)
    head = [next(stream) for _ in range(stop)]
    state = first.state_dict()
    resumed = fresh()
    resumed.load_state_dict(state)
    assert same(head + list(resumed), expected)
    assert same(head + list(stream), expected)  # taking the state disturbs nothing
    resumed.set_epoch(3)
    whole.set_epoch(3)
    assert same(list(resumed), list(whole))  # and the next epoch is a whole one


def test_a_state_taken_at_an_epochs_end_starts_a_whole_epoch() -> None:
    first, resumed = loader(coordinates(8, 9, 9)), loader(coordinates(8, 9, 9))
    assert len(list(first)) == 4
    resumed.load_state_dict(first.state_dict())
    resumed.set_epoch(1)
    first.set_epoch(1)
    assert same(list(resumed), list(first))


def test_a_batch_can_be_asked_for_by_number() -> None:
    one = loader(coordinates(9, 12, 12))
    assert same([one.batch(0, number) for number in range(4)], list(one))


# --- several processes ----------------------------------------------------------------------------------


def shards(world: int, **options) -> list[Loader]:
    loaders = [loader(coordinates(23, 9, 9), **options) for _ in range(world)]
    for rank, one in enumerate(loaders):
        one.shard(rank, world)
    return loaders


@pytest.mark.parametrize("world", [2, 3])
def test_training_steps_are_shared_out(world: int) -> None:
    shares = [list(one) for one in shards(world, batch_size=6)]
    together = list(loader(coordinates(23, 9, 9), batch_size=6))
    assert {len(batches) for batches in shares} == {
        len(together)
    }  # as many steps for each, or they would wait for ever
    for step, whole in enumerate(together):
        parts = [batches[step] for batches in shares]
        assert [len(part.rgb) for part in parts] == [6 // world] * world
        crops = {int(i): rgb for part in parts for i, rgb in zip(part.indices, part.rgb, strict=True)}
        assert sorted(crops) == sorted(whole.indices.tolist())  # together the step that one process would have made
        assert all(torch.equal(crops[int(i)], rgb) for i, rgb in zip(whole.indices, whole.rgb, strict=True))


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 11])
@pytest.mark.parametrize("world", [2, 3])
def test_validation_over_processes_covers_every_picture_once(world: int, batch_size: int) -> None:
    dealt = [list(one) for one in shards(world, training=False, batch_size=batch_size)]
    assert sorted(seen([batch for batches in dealt for batch in batches])) == list(range(23))
    assert all(batches for batches in dealt)  # who has nothing to validate does not come to where the others wait
    assert all(len(batch.rgb) for batches in dealt for batch in batches)  # the mean of an empty batch is not a number
    for one, batches in zip(shards(world, training=False, batch_size=batch_size), dealt, strict=True):
        assert len(one) == len(batches)


@pytest.mark.parametrize(("count", "batch_size", "world"), [(7, 3, 2), (3, 8, 2), (50, 8, 3)])
def test_steps_that_cannot_be_shared_out_are_refused(count: int, batch_size: int, world: int) -> None:
    odd = loader(coordinates(count, 9, 9), batch_size=batch_size)
    step = min(batch_size, count)
    with pytest.raises(RecipeError, match=rf"batch_size: expected a multiple of {world}.*got {step}"):
        odd.shard(0, world)
    assert len(odd) == count // step, "it is what it was"
    loader(coordinates(count, 9, 9), batch_size=batch_size, training=False).shard(0, world)


# --- errors ---------------------------------------------------------------------------------------------


def test_pictures_of_several_sizes_need_a_crop() -> None:
    with pytest.raises(RecipeError, match=r"data\.crop"):
        loader(ragged(), crop=0)


@pytest.mark.parametrize("crop", [0, 8])
def test_no_pictures(crop: int) -> None:
    empty = PictureSet.from_array(np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(RecipeError, match="at least one picture"):
        loader(empty, crop=crop)
