"""Data: every format, read from small files made here and, where it is there, from the shared data."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashigo.data import DATASETS, PictureSet, find_local, open_dataset
from hashigo.data.check import check
from hashigo.data.pack import pack, pack_article
from hashigo.errors import DataError, PictureError, RecipeError

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


def shared(name: str) -> Path:
    """A folder of the shared data; the test is skipped where it is missing."""
    if not (SHARED / name).exists():
        pytest.skip(f"the shared data has no {name}")
    return SHARED / name


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def png_bytes(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def ragged(channels: int = 3) -> PictureSet:
    """Four pictures of different sizes."""
    sizes = np.array([[3, 5], [4, 4], [1, 7], [6, 2]], np.int32)
    pixels = random_pixels(int(sizes.prod(axis=1).sum()), channels)
    names = ("a.png", "sub/ä.png", "c", "d")
    return PictureSet(pixels, sizes, np.array([0, 1, -1, 1]), names, ("cat", "dog"), "made here")


class TestPictureSet:
    def test_pictures_are_views_of_the_pixels(self) -> None:
        pictures = ragged()
        assert pictures.offsets.tolist() == [0, 15, 31, 38]
        assert pictures.picture(1).shape == (4, 4, 3)
        assert np.shares_memory(pictures.picture(-1), pictures.pixels)
        np.testing.assert_array_equal(pictures.picture(2).reshape(-1, 3), pictures.pixels[31:38])
        with pytest.raises(IndexError, match="picture 4"):
            pictures.picture(4)

    def test_array_needs_one_size(self) -> None:
        stack = random_pixels(5, 4, 6, 3)
        uniform = PictureSet.from_array(stack)
        assert uniform.uniform == (4, 6)
        assert np.shares_memory(uniform.array(), stack)
        np.testing.assert_array_equal(uniform.array(), stack)
        with pytest.raises(DataError, match="one size, found 1 to 6 × 2 to 7"):
            ragged().array()

    @pytest.mark.parametrize("chosen", [[3, 0], [1, 2], slice(1, 3), [True, False, False, True], []])
    def test_subset(self, chosen: list[int] | slice) -> None:
        pictures = ragged()
        picked = np.arange(4)[chosen if isinstance(chosen, slice) or chosen else []]
        part = pictures.subset(chosen if isinstance(chosen, slice) or chosen else np.array([], int))
        assert len(part) == len(picked)
        for place, index in enumerate(picked.tolist()):
            np.testing.assert_array_equal(part.picture(place), pictures.picture(index))
            assert part.names[place] == pictures.names[index]
            assert part.labels is not None
            assert part.labels[place] == pictures.labels[index]

    def test_a_run_of_neighbours_is_a_view(self) -> None:
        pictures = ragged()
        assert np.shares_memory(pictures.subset(slice(1, 3)).pixels, pictures.pixels)
        assert not np.shares_memory(pictures.subset([0, 2]).pixels, pictures.pixels)

    @pytest.mark.parametrize("uniform", [False, True])
    def test_a_part_of_a_mapped_set_is_like_one_in_memory(self, uniform: bool, tmp_path: Path) -> None:
        held = PictureSet.from_array(random_pixels(9 * 4 * 6, 3).reshape(9, 4, 6, 3)) if uniform else ragged()
        held.save(tmp_path / "a.safetensors")
        mapped = PictureSet.open(tmp_path / "a.safetensors")
        for chosen in ([3, 0], [0, 2, 3], [1], [0, 1], []):
            one, other = held.subset(np.array(chosen, int)), mapped.subset(np.array(chosen, int))
            for part, same in ((one, other), (one.subset(slice(1, 3)), other.subset(slice(1, 3)))):
                assert part.checksum() == same.checksum()
                assert (part.nbytes, part.names, len(part)) == (same.nbytes, same.names, len(same))
                assert same.compact().starts is None
                np.testing.assert_array_equal(part.pixels, same.compact().pixels)
        part = mapped.subset([3, 0])
        assert part.pixels is mapped.pixels
        part.save(tmp_path / "b.safetensors")
        again = PictureSet.open(tmp_path / "b.safetensors")
        np.testing.assert_array_equal(again.pixels, held.subset([3, 0]).pixels)
        with pytest.raises(DataError, match="found some outside"):
            replace(part, starts=part.offsets + len(part.pixels))

    def test_subset_of_a_uniform_set(self) -> None:
        stack = random_pixels(9, 3, 2, 1)
        np.testing.assert_array_equal(PictureSet.from_array(stack).subset([8, 1, 1]).array(), stack[[8, 1, 1]])

    def test_parts_must_fit(self) -> None:
        pixels, sizes = random_pixels(12, 3), np.array([[3, 4]], np.int32)
        with pytest.raises(DataError, match=r"add up to 12 pixels, found 11"):
            PictureSet(pixels[:11], sizes, None, ("a",))
        with pytest.raises(DataError, match="1 pictures, but 2 names"):
            PictureSet(pixels, sizes, None, ("a", "b"))
        with pytest.raises(DataError, match="uint8 pixels"):
            PictureSet(pixels.astype(np.float32), sizes, None, ("a",))  # type: ignore[arg-type]


class TestPackFile:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_round_trip(self, tmp_path: Path, channels: int) -> None:
        pictures = ragged(channels)
        pictures.save(tmp_path / "deep" / "set.safetensors")
        again = PictureSet.open(tmp_path / "deep" / "set.safetensors")
        assert isinstance(again.pixels, np.memmap)
        assert again.pixels.flags.writeable  # torch warns of arrays that are not
        np.testing.assert_array_equal(again.pixels, pictures.pixels)
        np.testing.assert_array_equal(again.sizes, pictures.sizes)
        np.testing.assert_array_equal(again.labels, pictures.labels)
        assert (again.names, again.classes, again.source) == (pictures.names, pictures.classes, "made here")
        assert isinstance(again.subset(slice(1, 3)).pixels, np.memmap)

    def test_the_safetensors_library_reads_it(self, tmp_path: Path) -> None:
        numpy = pytest.importorskip("safetensors.numpy")
        pictures = ragged()
        pictures.save(tmp_path / "set.safetensors")
        tensors = numpy.load_file(tmp_path / "set.safetensors")
        np.testing.assert_array_equal(tensors["pixels"], pictures.pixels)
        np.testing.assert_array_equal(tensors["labels"], pictures.labels)
        assert set(tensors) == {"pixels", "names", "labels", "sizes", "name_lengths"}

    def test_saving_over_itself(self, tmp_path: Path) -> None:
        path = tmp_path / "set.safetensors"
        ragged().save(path)
        opened = PictureSet.open(path)
        opened.subset([0, 2]).save(path)
        np.testing.assert_array_equal(PictureSet.open(path).picture(1), ragged().picture(2))
        opened.pixels[:] = 0  # copy-on-write: the file is safe
        assert PictureSet.open(path).pixels.any()

    def test_damaged_files(self, tmp_path: Path) -> None:
        path = tmp_path / "set.safetensors"
        ragged().save(path)
        whole = path.read_bytes()
        for cut in (4, 60, len(whole) - 1):
            path.write_bytes(whole[:cut])
            with pytest.raises(DataError):
                PictureSet.open(path)
        header = b'{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(DataError, match="another safetensors file with w"):
            PictureSet.open(path)


def write_idx(folder: Path, count: int = 12, *, zipped: bool) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's four files with few pictures; the test part is the train part backwards."""
    images, labels = random_pixels(count, 28, 28), (np.arange(count) % 10).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for stem, step in (("train", 1), ("t10k", -1)):
        for name, array in (("images-idx3", images[::step]), ("labels-idx1", labels[::step])):
            data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            path = folder / f"{stem}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(data) if zipped else data)
    return images, labels


class TestMnist:
    @pytest.mark.parametrize("zipped", [False, True])
    def test_small_files(self, tmp_path: Path, zipped: bool) -> None:
        images, labels = write_idx(tmp_path / "mnist", zipped=zipped)
        train = open_dataset("mnist", root=tmp_path)
        np.testing.assert_array_equal(train.array()[..., 0], images)
        np.testing.assert_array_equal(train.labels, labels)
        assert isinstance(train.pixels.base, np.memmap) or zipped
        assert train.pixels.flags.writeable
        both = open_dataset(tmp_path / "mnist", split="train+test")
        np.testing.assert_array_equal(both.array()[..., 0], np.concatenate([images, images[::-1]]))
        assert both.names[-1] == "test/00011"
        assert open_dataset("mnist", root=tmp_path, split="val").names[0] == "test/00000"

    def test_errors(self, tmp_path: Path) -> None:
        write_idx(tmp_path / "mnist", zipped=True)
        with pytest.raises(DataError, match="no split 'trian'"):
            open_dataset("mnist", root=tmp_path, split="trian")
        images = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
        images.write_bytes(images.read_bytes()[:-20])
        with pytest.raises(DataError, match="train-images"):
            open_dataset("mnist", root=tmp_path)
        report = check("mnist", tmp_path)
        assert not report.ok
        assert "train-images" in report.problems[0]
        assert report.splits["test"].count == 12

    def test_the_real_one(self) -> None:
        train = open_dataset("mnist", root=shared("mnist").parent)
        test = open_dataset(shared("mnist"), split="test")
        assert (train.array().shape, test.array().shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
        assert train.labels is not None
        assert test.labels is not None
        assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
        report = check("mnist", shared("mnist").parent)
        assert report.ok
        assert report.notes == []  # the contents' checksums are the published ones
        assert report.splits["train"].labels["1"] == 6742


class TestStl10:
    @staticmethod
    def write(folder: Path) -> tuple[np.ndarray, np.ndarray]:
        """Six pictures to learn from, three without labels."""
        pictures, labels = random_pixels(9, 96, 96, 3), np.arange(6, dtype=np.uint8) + 1
        folder.mkdir(parents=True)
        for name, part in (("train", pictures[:6]), ("unlabeled", pictures[6:])):
            (folder / f"{name}_X.bin").write_bytes(part.transpose(0, 3, 2, 1).tobytes())
        (folder / "train_y.bin").write_bytes(labels.tobytes())
        return pictures, labels

    def test_folder_and_archive(self, tmp_path: Path) -> None:
        folder = tmp_path / "stl10" / "stl10_binary"
        pictures, _ = self.write(folder)
        archive = tmp_path / "packed" / "stl10_binary.tar.gz"
        write_tar(archive, {f"stl10_binary/{path.name}": path.read_bytes() for path in folder.iterdir()}, "w:gz")
        for place in (tmp_path / "stl10", folder, archive.parent, archive):
            both = open_dataset(place, split="train+unlabeled")
            np.testing.assert_array_equal(both.array(), pictures)
            assert both.labels is not None
            assert both.labels.tolist() == [0, 1, 2, 3, 4, 5, -1, -1, -1]
            assert open_dataset(place, split="unlabelled").labels is None
            few = open_dataset(place, split="train+unlabelled", limit=3)
            np.testing.assert_array_equal(few.array(), pictures[[0, 3, 6]])
            assert few.names == ("train/00000", "train/00003", "unlabelled/00000")
            with pytest.raises(DataError, match=r"test_X\.bin"):
                open_dataset(place, split="test")

    def test_cut_short(self, tmp_path: Path) -> None:
        self.write(tmp_path / "s")
        (tmp_path / "s" / "train_y.bin").write_bytes(b"\1")
        with pytest.raises(DataError, match="expected 6 labels"):
            open_dataset(tmp_path / "s")
        whole = (tmp_path / "s" / "train_X.bin").read_bytes()
        (tmp_path / "s" / "train_X.bin").write_bytes(whole[:-1])
        with pytest.raises(DataError, match="cut short"):
            open_dataset(tmp_path / "s")

    def test_damaged_archive(self, tmp_path: Path) -> None:
        self.write(tmp_path / "s")
        members = {f"stl10_binary/{path.name}": path.read_bytes() for path in (tmp_path / "s").iterdir()}
        write_tar(tmp_path / "stl10_binary.tar.gz", members, "w:gz")
        whole = (tmp_path / "stl10_binary.tar.gz").read_bytes()
        (tmp_path / "stl10_binary.tar.gz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="damaged or cut short"):
            open_dataset(tmp_path, split="train+unlabelled")

    def test_shared_pictures_are_upright(self) -> None:
        """Pictures from outdoors: the sky is up, so the upper third is the lighter one on average."""
        folder = shared("stl10-like")
        train = open_dataset("stl10", root=folder.parent)
        assert len(train) == 200
        assert np.bincount(train.labels).tolist() == [20] * 10
        chosen = train.subset(np.isin(train.labels, [0, 8])).array().astype(np.float32)  # airplanes, ships
        rows, columns = chosen.mean(axis=(0, 2, 3)), chosen.mean(axis=(0, 1, 3))
        assert rows[:32].mean() > rows[-32:].mean() + 15
        assert abs(columns[:32].mean() - columns[-32:].mean()) < 10
        report = check("stl10", folder.parent)
        assert report.ok
        assert set(report.splits) == {"train", "test"}


class TestCifar10:
    def test_folder_and_archive(self, tmp_path: Path) -> None:
        pictures, labels = random_pixels(12, 32, 32, 3), (np.arange(12) % 10).astype(np.uint8)
        planar = pictures.transpose(0, 3, 1, 2).reshape(12, -1)
        raw = np.concatenate([labels[:, None], planar], axis=1)
        files = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        members = {f"cifar-10-batches-bin/{n}": raw[2 * i : 2 * i + 2].tobytes() for i, n in enumerate(files)}
        shuffled = dict(sorted(members.items(), key=lambda pair: pair[0][::-1]))
        write_tar(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", shuffled, "w:gz")
        with tarfile.open(tmp_path / "cifar10" / "cifar-10-binary.tar.gz") as archive:
            archive.extractall(tmp_path / "plain", filter="data")
        for train in (open_dataset("cifar10", root=tmp_path), open_dataset(tmp_path / "plain")):
            np.testing.assert_array_equal(train.array(), pictures[:10])
            np.testing.assert_array_equal(train.labels, labels[:10])
            assert train.classes[3] == "cat"
        test = open_dataset("cifar10", root=tmp_path, split="test")
        np.testing.assert_array_equal(test.array(), pictures[10:])
        assert check("cifar10", tmp_path).ok


class TestDigits:
    def test_sizes_and_splits(self) -> None:
        pytest.importorskip("sklearn")
        train = open_dataset("digits")
        assert train.array().shape == (1437, 8, 8, 1)
        assert (int(train.pixels.min()), int(train.pixels.max())) == (0, 255)
        assert len(open_dataset("digits", split="train+test")) == 1797
        large = open_dataset("digits", split="test", size=28, limit=10)
        assert large.array().shape == (10, 28, 28, 1)
        assert check("digits").ok


class TestFolder:
    def test_colour_and_grey_and_broken(self, tmp_path: Path) -> None:
        grey, colour = random_pixels(5, 4), random_pixels(6, 7, 3)
        save_png(tmp_path / "a" / "1.png", grey)
        save_png(tmp_path / "b" / "2.png", colour)
        save_png(tmp_path / "b" / "3.png", grey)
        (tmp_path / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
        (tmp_path / "notes.txt").write_text("not a picture")
        calls: list[tuple[int, int]] = []
        pictures = open_dataset(tmp_path, progress=lambda done, total: calls.append((done, total)))
        assert pictures.names == ("a/1.png", "b/2.png", "b/3.png")
        assert pictures.classes == ("a", "b")
        assert pictures.labels is not None
        assert pictures.labels.tolist() == [0, 1, 1]
        np.testing.assert_array_equal(pictures.picture(0), np.repeat(grey[..., None], 3, axis=2))
        np.testing.assert_array_equal(pictures.picture(1), colour)
        assert [name for name, _ in pictures.skipped] == ["b/broken.jpg"]
        assert calls[-1] == (4, 4)
        report = check(tmp_path)
        assert not report.ok
        assert "broken.jpg" in report.problems[0]
        assert report.splits["train"].labels == {"a": 1, "b": 2}

    def test_a_stray_file_takes_nobodys_label(self, tmp_path: Path) -> None:
        for name in ("cat/1.png", "dog/2.png", "dog/more/3.png", "cover.png"):
            save_png(tmp_path / "all" / name, random_pixels(4, 4, 3))
        pictures = open_dataset(tmp_path / "all")
        assert pictures.names == ("cat/1.png", "cover.png", "dog/2.png", "dog/more/3.png")
        assert pictures.classes == ("cat", "dog")
        assert pictures.labels is not None
        assert pictures.labels.tolist() == [0, -1, 1, 1]
        pack([tmp_path / "all"], tmp_path / "all.safetensors")
        again = open_dataset(tmp_path / "all.safetensors")
        assert again.labels is not None
        assert (again.classes, again.labels.tolist()) == (("cat", "dog"), [0, -1, 1, 1])
        for place in ("all", "all.safetensors"):
            report = check(tmp_path / place)
            assert report.ok
            assert report.splits["train"].labels == {"cat": 1, "dog": 2}
            assert "1 of 4 pictures have no label" in report.notes[0]

    @pytest.mark.parametrize("names", [("1.png", "2.png"), ("a/1.png", "a/b/2.png"), ("a/1.png", "2.png"),
                                       ("a/b/1.png", "a/c/2.png")])  # fmt: skip
    def test_one_folder_or_none_is_no_class(self, names: tuple[str, ...], tmp_path: Path) -> None:
        for name in names:
            save_png(tmp_path / name, random_pixels(4, 4, 3))
        pictures = open_dataset(tmp_path)
        assert (pictures.classes, pictures.labels) == ((), None)
        report = check(tmp_path)
        assert (report.splits["train"].labels, report.notes) == ({}, [])

    def test_all_grey_stays_grey(self, tmp_path: Path) -> None:
        save_png(tmp_path / "1.png", random_pixels(5, 4))
        pictures = open_dataset(tmp_path)
        assert pictures.channels == 1
        assert pictures.labels is None

    def test_transparent_pixels_are_white(self, tmp_path: Path) -> None:
        pixels = np.zeros((2, 2, 4), np.uint8)
        pixels[0, :, 3] = 255
        save_png(tmp_path / "1.png", pixels)
        assert open_dataset(tmp_path).picture(0)[:, 0, 0].tolist() == [0, 255]

    def test_size_reduces_and_never_enlarges(self, tmp_path: Path) -> None:
        save_png(tmp_path / "large.png", random_pixels(60, 90, 3))
        save_png(tmp_path / "small.png", random_pixels(10, 20, 3))
        assert open_dataset(tmp_path, size=30).sizes.tolist() == [[30, 45], [10, 20]]
        PictureSet.open(self.packed(tmp_path))
        assert open_dataset(self.packed(tmp_path), size=30).sizes.tolist() == [[30, 45], [10, 20]]

    @staticmethod
    def packed(folder: Path) -> Path:
        """The folder's pictures in a pack outside of it."""
        output = folder.parent / f"{folder.name}.safetensors"
        open_dataset(folder).save(output)
        return output

    def test_glob_and_one_file(self, tmp_path: Path) -> None:
        for name in ("x/1.png", "y/2.png", "y/3.bmp"):
            save_png(tmp_path / name, random_pixels(3, 3, 3))
        assert open_dataset(str(tmp_path / "*" / "*.png")).names == ("x/1.png", "y/2.png")
        assert len(open_dataset(tmp_path / "y" / "3.bmp")) == 1
        assert check(tmp_path / "*" / "*.png").ok
        with pytest.raises(DataError, match="matches none"):
            open_dataset(str(tmp_path / "*.gif"))

    def test_limit_is_evenly_spaced(self, tmp_path: Path) -> None:
        for number in range(10):
            save_png(tmp_path / f"{number}.png", random_pixels(2, 2))
        assert open_dataset(tmp_path, limit=4).names == ("0.png", "2.png", "5.png", "7.png")
        assert len(open_dataset(tmp_path, limit=50)) == 10
        with pytest.raises(DataError, match="at least 1"):
            open_dataset(tmp_path, limit=0)

    def test_split_folders(self, tmp_path: Path) -> None:
        save_png(tmp_path / "train" / "1.png", random_pixels(2, 2))
        save_png(tmp_path / "test" / "2.png", random_pixels(2, 2))
        assert open_dataset(tmp_path).names == ("1.png",)
        assert open_dataset(tmp_path, split="val").names == ("2.png",)
        assert open_dataset(tmp_path / "test", split="test").names == ("2.png",)
        with pytest.raises(DataError, match="has no split 'tset'; did you mean 'test'"):
            open_dataset(tmp_path, split="tset")
        with pytest.raises(DataError, match="it is one set of pictures"):
            open_dataset(tmp_path / "train", split="val")
        assert set(check(tmp_path).splits) == {"train", "test"}

    def test_many_pictures_keep_their_order(self, tmp_path: Path) -> None:
        """More than wait at a time, of growing size: the array has to grow as well."""
        stack = [random_pixels(2 + number // 4, 3, 3, seed=number) for number in range(150)]
        for number, pixels in enumerate(stack):
            save_png(tmp_path / f"{number:03d}.png", pixels)
        pictures = open_dataset(tmp_path)
        assert all((pictures.picture(i) == pixels).all() for i, pixels in enumerate(stack))


class TestTars:
    def test_shards(self, tmp_path: Path) -> None:
        stack = random_pixels(4, 5, 6, 3)
        for shard in range(2):
            names = ("./cat/1.png", "dog/2.png")
            members = {n: png_bytes(stack[2 * shard + i]) for i, n in enumerate(names)}
            extra = {"readme.txt": b"x", ".hidden/3.png": b"x", "cat/._1.png": b"x"}
            write_tar(tmp_path / f"shard-{shard}.tar", members | extra)
        (tmp_path / "index.tsv.gz").write_bytes(gzip.compress(b"shard\tmember\n"))
        pictures = open_dataset(tmp_path)
        np.testing.assert_array_equal(pictures.array(), stack)
        assert pictures.names[2] == "shard-1/cat/1.png"  # the same name is in both shards
        second = open_dataset(tmp_path / "shard-1.tar")
        np.testing.assert_array_equal(second.array(), stack[2:])
        assert second.names == ("cat/1.png", "dog/2.png")
        assert second.classes == ("cat", "dog")
        assert check(tmp_path).ok

    def test_no_tar_and_no_pictures(self, tmp_path: Path) -> None:
        write_tar(tmp_path / "empty.tar", {"a.txt": b"x"})
        with pytest.raises(DataError, match="found none"):
            open_dataset(tmp_path)
        write_tar(tmp_path / "empty.tar", {"a.png": png_bytes(random_pixels(2, 2))}, "w:gz")
        with pytest.raises(DataError, match="uncompressed"):
            open_dataset(tmp_path)

    def test_shared_photos(self) -> None:
        pictures = open_dataset(shared("photos"), split="val", size=96, limit=40)
        assert len(pictures) == 40
        assert pictures.sizes.min() == 96
        assert pictures.channels == 3
        assert len(open_dataset(shared("photos"), limit=20)) == 20


class TestNpz:
    def test_names_and_splits(self, tmp_path: Path) -> None:
        stack, labels = random_pixels(6, 4, 4, 3), np.arange(6, dtype=np.int32)
        path = tmp_path / "set.npz"
        np.savez(path, x_train=stack[:4], y_train=labels[:4], x_test=stack[4:], y_test=labels[4:, None])
        np.testing.assert_array_equal(open_dataset(path).array(), stack[:4])
        test = open_dataset(path, split="test")
        np.testing.assert_array_equal(test.array(), stack[4:])
        assert test.labels is not None
        assert test.labels.tolist() == [4, 5]
        assert set(check(path).splits) == {"train", "test"}

    def test_gray_alone(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "val.npz", gray=random_pixels(3, 5, 5))
        assert open_dataset(tmp_path).channels == 1
        assert open_dataset(tmp_path / "val.npz", split="val").channels == 1

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"weights": np.zeros(3)}, "found weights"),
            ({"images": np.zeros((2, 4, 4, 3))}, "found float64"),
            ({"images": np.zeros((2, 4, 4, 2), np.uint8)}, "expected uint8"),
            ({"images": np.array([{}], object)}, "plain array"),
            (
                {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int)},
                "expected 2 whole numbers",
            ),
        ],
    )
    def test_refused(self, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(DataError, match=message):
            open_dataset(tmp_path / "bad.npz")


class TestPack:
    def test_everything_at_once(self, tmp_path: Path) -> None:
        save_png(tmp_path / "in" / "1.png", random_pixels(8, 8))
        save_png(tmp_path / "in" / "2.png", random_pixels(20, 12, 3))
        save_png(tmp_path / "in" / "3.png", random_pixels(4, 9, 3))
        write_tar(tmp_path / "more.tar", {"cat/4.png": png_bytes(random_pixels(10, 10, 3))})
        inputs = [tmp_path / "in", tmp_path / "more.tar"]
        packed = pack(inputs, tmp_path / "out.safetensors")
        assert packed.sizes.tolist() == [[8, 8], [20, 12], [4, 9], [10, 10]]
        assert packed.channels == 3
        grey = np.asarray(Image.open(tmp_path / "in" / "1.png"))
        np.testing.assert_array_equal(packed.picture(0), np.repeat(grey[..., None], 3, axis=2))
        again = open_dataset(tmp_path / "out.safetensors")
        np.testing.assert_array_equal(again.pixels, packed.pixels)
        cropped = pack(inputs, tmp_path / "crop.safetensors", size=8, crop=8)
        assert cropped.uniform == (8, 8)
        assert [name for name, _ in cropped.skipped] == ["3.png"]
        squares = pack(inputs, tmp_path / "square.safetensors", square_only=True)
        assert squares.names == ("1.png", "cat/4.png")

    def test_widening_a_long_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hashigo.data.packfile._CHUNK", 7)
        grey = random_pixels(5, 6)
        save_png(tmp_path / "in" / "1.png", grey)
        save_png(tmp_path / "in" / "2.png", random_pixels(2, 2, 3))
        packed = pack([tmp_path / "in"], tmp_path / "out.safetensors")
        np.testing.assert_array_equal(packed.picture(0), np.repeat(grey[..., None], 3, axis=2))

    def test_labels_come_from_folders(self, tmp_path: Path) -> None:
        for name in ("cat/1.png", "dog/2.png"):
            save_png(tmp_path / name, random_pixels(3, 3, 3))
        packed = pack([tmp_path], tmp_path / "out.safetensors")
        assert PictureSet.open(tmp_path / "out.safetensors").classes == ("cat", "dog")
        assert packed.labels is not None
        assert packed.labels.tolist() == [0, 1]

    def test_errors_leave_nothing(self, tmp_path: Path) -> None:
        save_png(tmp_path / "1.png", random_pixels(3, 4, 3))
        with pytest.raises(RecipeError, match=r"ends in \.safetensors"):
            pack([tmp_path], tmp_path / "out.zip")
        with pytest.raises(PictureError, match="nowhere"):
            pack([tmp_path / "nowhere"], tmp_path / "out.safetensors")
        with pytest.raises(DataError, match="not square"):
            pack([tmp_path], tmp_path / "out.safetensors", square_only=True)
        assert [path.name for path in tmp_path.iterdir()] == ["1.png"]

    def test_the_articles_cats(self, tmp_path: Path) -> None:
        cats = shared("cats")
        pictures = pack_article([cats], tmp_path / "cats.npz")
        assert pictures.array().shape == (29, 96, 96, 3)
        with np.load(tmp_path / "cats.npz") as arrays:
            assert sorted(arrays.files) == ["color", "gray"]
            color, gray = arrays["color"], arrays["gray"]
        assert (color.dtype, gray.dtype, gray.shape) == (np.uint8, np.uint8, (29, 96, 96))
        luma = color @ np.array([0.299, 0.587, 0.114])
        assert np.abs(luma - gray).max() < 1
        np.testing.assert_array_equal(open_dataset(tmp_path / "cats.npz").array(), color)


class TestNamesAndPaths:
    def test_wrong_names(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="did you mean 'mnist'"):
            open_dataset("mnits")
        with pytest.raises(DataError, match="nothing is there"):
            open_dataset(tmp_path / "mnist")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="found none"):
            open_dataset(tmp_path / "empty")
        with pytest.raises(DataError, match="did you mean 'stl10'"):
            check("stl01")
        assert not check(tmp_path / "nowhere").ok
        assert not check("mnist", tmp_path).ok

    def test_where_data_is_looked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idx(tmp_path / "fashion-mnist", zipped=True)
        monkeypatch.setenv("HASHIGO_DATA", str(tmp_path))
        assert find_local("mnist") is None, "another set with files of the same names"
        write_idx(tmp_path / "mnist-copy", zipped=True)
        assert find_local("mnist") == tmp_path / "mnist-copy"
        monkeypatch.delenv("HASHIGO_DATA")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert find_local("mnist") is None
        write_idx(tmp_path / "cache" / "hashigo" / "data" / "mnist", zipped=True)
        assert len(open_dataset("mnist")) == 12

    def test_every_dataset_says_what_it_is(self) -> None:
        assert list(DATASETS) == sorted(DATASETS)
        for known in DATASETS.values():
            assert known.about
            assert "train" in known.splits

    def test_import_without_heavy_packages(self) -> None:
        code = (
            "import sys\n"
            "for name in ('torch', 'sklearn', 'skimage', 'safetensors', 'matplotlib'): sys.modules[name] = None\n"
            "import hashigo.data, hashigo.data.pack, hashigo.data.check\n"
            "from hashigo.errors import MissingExtraError\n"
            "try: hashigo.data.open_dataset('digits')\n"
            "except MissingExtraError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "scikit-learn" in done.stdout
