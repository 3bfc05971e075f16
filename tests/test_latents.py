"""hashigo.latents and `hashigo features`: the numbers are the network's own, and what belongs to them stays with them."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import hashigo
import hashigo.latents.extract as latents
from hashigo.cli.main import COMMANDS, main
from hashigo.data import PictureSet, open_dataset
from hashigo.errors import DataError, MissingExtraError, ModelError, PictureError, RecipeError
from hashigo.latents.extract import extract, features, gather, layer_names
from hashigo.models import load_network, open_model, save_model
from hashigo.networks import ARTICLE_SMALL_UNET, UNet
from hashigo.tasks import Task, make_task
from photos import PHOTOS, pixels
from tiny import album, as_trained
from tiny import model as tiny_model

TASK = make_task("autoencode")
GREY = make_task("autoencode-grey")


def net(task: Task = TASK, **options: Any) -> UNet:
    torch.manual_seed(5)
    channels = {"in_channels": task.in_channels, "out_channels": task.out_channels}
    return as_trained(UNet(**{"width": 4, "depth": 2, **channels, **options}))


def cuts(height: int = 24, width: int = 32, count: int = 7) -> np.ndarray:
    """Corners of the photos, uint8 (count, height, width, 3)."""
    return np.stack([pixels(PHOTOS[i % 4])[90 + 9 * i : 90 + 9 * i + height, 130 : 130 + width] for i in range(count)])


def colour(**size: int) -> PictureSet:
    return PictureSet.from_array(cuts(**size))


def ragged() -> PictureSet:
    sizes = [(24, 40), (33, 24), (50, 41)]
    parts = [pixels(name)[80 : 80 + h, 100 : 100 + w] for name, (h, w) in zip(PHOTOS, sizes, strict=False)]
    return PictureSet(
        np.concatenate([one.reshape(-1, 3) for one in parts]), np.array(sizes, np.int32), None, ["a", "b", "c"]
    )


def floats(array: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) as the network's pictures (N, 3, H, W), 0..1, by hand."""
    return torch.from_numpy(array.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def by_hand(network: UNet, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return network.encode(network.pad(x))[0].numpy()


@pytest.fixture(scope="module")
def digits() -> PictureSet:
    return open_dataset("digits", limit=200)


# --- extracting -----------------------------------------------------------------------------------------


def test_latents_are_what_encode_gives() -> None:
    network = net()
    got, shape = extract(network, TASK, colour())
    assert (got.dtype, got.shape, shape) == (np.float32, (7, 16 * 6 * 8), (16, 6, 8))
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got.reshape(7, *shape), by_hand(network, floats(cuts())), atol=1e-5)
    assert got.std(axis=0).max() > 0.01  # pictures differ


def test_odd_sizes_are_padded_as_the_network_pads() -> None:
    network, odd = net(), cuts(22, 31)
    got, shape = extract(network, TASK, PictureSet.from_array(odd))
    assert shape == (16, 6, 8)
    np.testing.assert_allclose(got.reshape(7, *shape), by_hand(network, floats(odd)), atol=1e-5)


def test_a_bottleneck_gives_its_units(digits: PictureSet) -> None:
    network = net(GREY, size=(8, 8), bottleneck=5)
    got, shape = extract(network, GREY, digits)
    assert (got.shape, shape) == ((200, 5), (5,))
    x = torch.from_numpy(digits.array()[..., 0]).float()[:, None] / 255
    np.testing.assert_allclose(got, by_hand(network, x), atol=1e-5)
    assert np.abs(got).max() <= 1
    with pytest.raises(RecipeError, match="bottleneck fixes the size"):
        extract(network, GREY, digits, size=6)


def test_the_articles_latents_have_784_and_16_values() -> None:
    ones = PictureSet.from_array(np.ascontiguousarray(cuts(28, 28)[..., 1]))
    assert extract(UNet(**ARTICLE_SMALL_UNET), GREY, ones)[1] == (16, 7, 7)
    assert extract(UNet(**ARTICLE_SMALL_UNET, bottleneck=16), GREY, ones)[0].shape == (7, 16)


@pytest.mark.parametrize("task", ["autoencode", "autoencode-grey", "colorize", "denoise"])
def test_grey_pictures_are_colour_pictures_of_equal_channels(task: str) -> None:
    made = make_task(task)
    network, grey = net(made), np.ascontiguousarray(cuts()[..., 0])
    one, shape = extract(network, made, PictureSet.from_array(grey))
    three = np.repeat(grey[..., None], 3, axis=3)
    np.testing.assert_allclose(one, extract(network, made, PictureSet.from_array(three))[0], atol=1e-5)
    x = made.encode(floats(three))
    np.testing.assert_allclose(one.reshape(-1, *shape), by_hand(network, x), atol=1e-5)


def test_the_tasks_damage_is_not_applied() -> None:
    network, noisy = net(), make_task("denoise", weakest=0.2)
    np.testing.assert_array_equal(extract(network, noisy, colour())[0], extract(network, TASK, colour())[0])


@pytest.mark.parametrize("layer", ["latent", "fuse.0.conv2"])
def test_batch_size_changes_nothing(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = net()
    whole = extract(network, TASK, colour(), layer=layer)[0]
    for batch_size in (1, 2, 3, 7):
        steps: list[int] = []
        got = extract(network, TASK, colour(), layer=layer, batch_size=batch_size, progress=steps.append)[0]
        np.testing.assert_allclose(got, whole, atol=1e-5)
        assert sum(steps) == 7
        assert max(steps) == batch_size
    monkeypatch.setattr(latents, "BATCH_PIXELS", 2 * 24 * 32)  # large pictures: fewer at once
    steps = []
    np.testing.assert_allclose(
        extract(network, TASK, colour(), layer=layer, progress=steps.append)[0], whole, atol=1e-5
    )
    assert steps == [2, 2, 2, 1]


def test_size_takes_the_central_square() -> None:
    network = net()
    got, shape = extract(network, TASK, colour(), size=16)
    assert shape == (16, 4, 4)
    middle = cuts()[:, 4:20, 8:24]
    np.testing.assert_allclose(got.reshape(7, *shape), by_hand(network, floats(middle)), atol=1e-5)
    assert extract(network, TASK, ragged(), size=24)[0].shape == (3, 16 * 6 * 6)


def test_the_network_stays_as_it_was() -> None:
    network = net().train()
    network.encoder.down[0].norm1.eval()  # a frozen part
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = extract(network, TASK, colour())[0]
    assert [module.training for module in network.modules()] == modes
    extract(network, TASK, colour(), layer="encoder.middle")
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    np.testing.assert_array_equal(first, extract(network.eval(), TASK, colour())[0])  # evaluation mode all along
    assert network.head.weight.requires_grad


def test_the_mode_is_restored_after_a_failure() -> None:
    network = net(GREY, size=(8, 8), bottleneck=5).train()
    with pytest.raises(RecipeError, match="bottleneck"):
        extract(network, GREY, colour())
    assert all(module.training for module in network.modules())


def test_read_only_pictures_are_taken(tmp_path: Path) -> None:
    array = cuts()
    array.setflags(write=False)
    expected = extract(net(), TASK, colour())[0]
    np.testing.assert_array_equal(extract(net(), TASK, PictureSet.from_array(array))[0], expected)
    colour().save(tmp_path / "pack.safetensors")
    np.testing.assert_array_equal(extract(net(), TASK, open_dataset(tmp_path / "pack.safetensors"))[0], expected)


def test_read_only_pixels_need_no_filter_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters are the whole process's: two threads that change them leave them changed."""
    locked, network = colour(), net()
    locked.pixels.setflags(write=False)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the filters of warnings were touched")

    expected, _ = extract(network, TASK, colour())
    monkeypatch.setattr("warnings.catch_warnings", never)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # otherwise torch warns once per process, perhaps in another test
    try:
        found, _ = extract(network, TASK, locked)
    finally:
        torch.set_warn_always(before)
    np.testing.assert_array_equal(found, expected)
    assert not locked.pixels.flags.writeable


# --- layers ---------------------------------------------------------------------------------------------


def test_layer_names_are_those_that_give_something() -> None:
    network = net(size=(24, 32), bottleneck=5)
    names = layer_names(network)
    assert names[0] == "latent"
    assert {
        "encoder.down.0",
        "encoder.down.1.conv2",
        "encoder.middle.last",
        "bottleneck.narrow",
        "up.0",
        "fuse.1",
        "head",
        "encoder.pool",
    } < set(names)
    assert not {"", "encoder.down", "up", "fuse", "bottleneck"} & set(names)
    for name in names:
        got, shape = extract(network, TASK, colour(), layer=name)
        assert got.shape == (7, np.prod(shape)), name


def test_a_layer_is_what_it_gives_in_the_network() -> None:
    network, x = net(), floats(cuts())
    with torch.no_grad():
        first = network.encoder.down[0](x)
        inner = network.encoder.down[0].norm1(network.encoder.down[0].conv1(x))
        latent, skips = network.encode(x)
        deep = network.encoder.pool(skips[1])
        answer = network.head(network.fuse[0](torch.cat([skips[0], network.up[0](up(network, latent, skips))], 1)))
    expected = {
        "encoder.down.0": first,
        "encoder.down.0.norm1": inner,
        "encoder.middle": latent,
        "encoder.pool": deep,
        "head": answer,
    }
    for layer, values in expected.items():  # "pool" runs at every level: the last counts
        got, shape = extract(network, TASK, colour(), layer=layer)
        assert shape == tuple(values.shape[1:]), layer
        np.testing.assert_allclose(got.reshape(values.shape), values.numpy(), atol=1e-5, err_msg=layer)


def up(network: UNet, latent: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
    """The decoder's lower level, by hand."""
    return network.fuse[1](torch.cat([skips[1], network.up[1](latent)], 1))


@pytest.mark.parametrize("layer", ["latent", "encoder.down.0", "head"])
def test_pooled_is_the_mean(layer: str) -> None:
    whole, shape = extract(net(), TASK, colour(), layer=layer)
    pooled, own = extract(net(), TASK, colour(), layer=layer, pool=True)
    assert own == shape
    assert (pooled.dtype, pooled.shape) == (np.float32, (7, shape[0]))
    np.testing.assert_allclose(pooled, whole.reshape(7, *shape).mean(axis=(2, 3)), atol=1e-5)


def test_a_layer_without_height_and_width_cannot_be_pooled() -> None:
    network = net(size=(24, 32), bottleneck=5)
    for layer in ("latent", "bottleneck.widen"):
        with pytest.raises(RecipeError, match=rf"{layer}.*leave pooling out"):
            extract(network, TASK, colour(), layer=layer, pool=True)


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        ("latnet", "'latent'"),
        ("encoder.down.0.conv3", "'encoder.down.0.conv"),
        ("", "Known"),
        ("encoder.down", "Known"),
    ],
)
def test_a_wrong_layer_is_answered_with_the_right_one(layer: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=rf"no layer '{layer}'.*{hint}"):
        extract(net(), TASK, colour(), layer=layer)


class Odd(nn.Module):
    """A network with a layer that works in place, one that is not used and one that gives no row per picture."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.after = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)
        self.idle, self.short = nn.Identity(), nn.Flatten(0)
        self.pair = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        self.after(y)
        self.pair(y)
        return self.short(y)


def test_layers_of_other_networks() -> None:
    torch.manual_seed(1)
    network = Odd()
    got, shape = extract(network, TASK, colour(), layer="first")
    with torch.no_grad():
        expected = network.first(floats(cuts())).numpy()
    assert (expected < 0).any()
    np.testing.assert_allclose(got.reshape(-1, *shape), expected, atol=1e-5)  # not what the next layer made of it
    for layer, words in (("idle", "not used"), ("short", r"gives \("), ("pair", "gives tuple")):
        with pytest.raises(RecipeError, match=words):
            extract(network, TASK, colour(), layer=layer)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": -1}, "size >= 0"), ({"batch_size": 0}, "batch_size >= 1"), ({"device": "warp"}, "torch device"),
        ({"task": GREY}, "1 input channel"),
    ],
)  # fmt: skip
def test_wrong_settings(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        extract(net(), options.pop("task", TASK), colour(), **options)


def test_pictures_of_several_sizes_need_a_size() -> None:
    with pytest.raises(RecipeError, match="--size"):
        extract(net(), TASK, ragged())
    with pytest.raises(RecipeError, match="at least one picture"):
        extract(net(), TASK, colour().subset(slice(0, 0)))


# --- models and pictures as people have them ------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colorizer that says that it was trained at 32."""
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def digit_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("digits"), "autoencode-grey", size=8)


def test_digits_for_scikit_learn(digit_model: Path, digits: PictureSet) -> None:
    got = hashigo_features()(digit_model, digits)
    assert (got.shape, got.dtype) == ((200, 16 * 2 * 2), np.float32)
    pooled = features(digit_model, digits, pool=True)
    assert pooled.shape == (200, 16)
    clusters = KMeans(10, n_init=1, random_state=0).fit_predict(got)
    assert len(set(clusters)) == 10
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(got, digits.labels)
    assert probe.score(got, digits.labels) > 0.9


def hashigo_features() -> Any:
    """The public name where there is one already."""
    return getattr(hashigo, "features", features)


def test_every_way_to_name_a_model_gives_the_same(model: Path, tmp_path: Path) -> None:
    pictures, folder = colour(height=32), open_model(model)
    run = tmp_path / "run" / "model"
    shutil.copytree(model, run)
    expected = extract(load_network(folder), folder.task, pictures)[0]
    pair = (load_network(folder), folder.task)
    for given in (model, str(model), folder, run.parent, pair, hashigo.load(model, engine="torch")):
        np.testing.assert_allclose(features(given, pictures), expected, atol=1e-5)
    with pytest.raises(ModelError, match="'colorizer'"):
        features("colorizor", pictures)
    for wrong in (None, (1, 2), pair[0]):
        with pytest.raises(ModelError, match="pair"):
            features(wrong, pictures)


def test_every_form_of_pictures_gives_the_same(tmp_path: Path) -> None:
    array = cuts(32, 32)
    pair = (net(), TASK)
    expected = features(pair, PictureSet.from_array(array))
    paths = []
    for i, one in enumerate(array):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(one).save(paths[-1])
    unit = array / 255
    forms: list[Any] = [
        array, unit, unit.astype(np.float32), unit.transpose(0, 3, 1, 2), paths, list(map(str, paths)), list(array),
        [Image.fromarray(one) for one in array], [paths[0], *array[1:4], *map(Image.fromarray, array[4:])], tuple(paths),
    ]  # fmt: skip
    for form in forms:
        np.testing.assert_allclose(features(pair, form), expected, atol=1e-5)
    grey = np.ascontiguousarray(array[..., 0])
    expected = features(pair, PictureSet.from_array(grey))
    for form in (grey, grey / 255, grey[..., None], list(grey), [grey[0], *np.repeat(grey[1:, ..., None], 3, axis=3)]):
        np.testing.assert_allclose(features(pair, form), expected, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 8)), np.zeros((4, 8, 8), np.int64), np.full((4, 8, 8), 2.0), np.full((4, 8, 8), np.nan),
        np.zeros((0, 8, 8)), np.zeros((2, 8, 8, 4), np.uint8), "album", Path("album"), 7, [], [np.zeros((8, 8), int)],
        ["missing.png"], {"a": 1}, np.array(["a.png"]),
    ],
)  # fmt: skip
def test_what_is_no_set_of_pictures(wrong: Any) -> None:
    with pytest.raises((DataError, PictureError), match=r"expected"):
        features((net(), TASK), wrong)


def test_a_model_sees_photos_at_its_own_size(model: Path, tmp_path: Path) -> None:
    """Short side to 32, then the central square, from files as from arrays, large or small."""
    photos = [pixels("chelsea"), pixels("rocket")[:90, :64], pixels("coffee")[200:220, 300:330]]
    squares = []
    for one in photos:
        height, width = one.shape[:2]
        wide, high = (round(side * 32 / min(height, width)) for side in (width, height))
        small = np.asarray(Image.fromarray(one).resize((wide, high), Image.Resampling.LANCZOS, reducing_gap=3.0))
        squares.append(small[(high - 32) // 2 : (high + 32) // 2, (wide - 32) // 2 : (wide + 32) // 2])
    expected = features(model, np.stack(squares))
    np.testing.assert_allclose(features(model, photos), expected, atol=1e-5)
    for i, one in enumerate(photos):
        Image.fromarray(one).save(tmp_path / f"{i}.png")
    np.testing.assert_allclose(features(model, sorted(tmp_path.glob("*.png"))), expected, atol=1e-5)
    np.testing.assert_allclose(features(model, open_dataset(tmp_path)), expected, atol=1e-5)
    np.testing.assert_allclose(features(model, open_dataset(tmp_path, size=32)), expected, atol=1e-5)
    assert features(model, photos, size=16).shape == (3, 16 * 4 * 4)


def test_a_bottleneck_decides_on_the_size(tmp_path: Path) -> None:
    square = save_model(tmp_path / "square", net(size=(16, 16), bottleneck=5), TASK, size=64, onnx=False)
    wide = save_model(tmp_path / "wide", net(size=(16, 24), bottleneck=5), TASK, size=64, onnx=False)
    assert features(square, [pixels("chelsea"), pixels("coffee")[:10, :12]]).shape == (2, 5)
    with pytest.raises(RecipeError, match="bottleneck fixes the size"):
        features(square, cuts(), size=32)
    got = features(wide, cuts(16, 24))  # no square fits it, so pictures must have its size
    np.testing.assert_allclose(got, by_hand(net(size=(16, 24), bottleneck=5), floats(cuts(16, 24))), atol=1e-5)
    with pytest.raises(RecipeError, match="bottleneck fixes the size"):
        features(wide, cuts(32, 32))


def test_a_model_without_size_takes_whole_pictures_of_one_size(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model", size=0)
    assert features(model, cuts(24, 32)).shape == (7, 16 * 6 * 8)
    with pytest.raises(RecipeError, match="--size"):
        features(model, [pixels("chelsea"), pixels("coffee")])
    assert features(model, [pixels("chelsea"), pixels("coffee")], size=32).shape == (2, 16 * 8 * 8)


# --- several sets and the command -----------------------------------------------------------------------


def labelled(names: tuple[str, ...], labels: list[int] | None) -> PictureSet:
    array = cuts(count=len(labels or [0, 1]))
    return PictureSet.from_array(array, None if labels is None else np.array(labels), None, names, "a set")


def test_labels_of_several_sets() -> None:
    network, cats = net(), ("cat", "dog")
    plain, first, second = labelled((), None), labelled(cats, [0, 1, 1]), labelled(cats, [-1, 0])
    found = gather(network, TASK, [first, plain, second])
    assert found.labels is not None
    assert (found.labels.tolist(), found.classes) == ([0, 1, 1, -1, -1, -1, 0], cats)
    assert found.labels.dtype == np.int64
    assert found.names == (*first.names, *plain.names, *second.names)
    parts = [extract(network, TASK, one)[0] for one in (first, plain, second)]
    np.testing.assert_allclose(found.features, np.concatenate(parts), atol=1e-5)
    none = gather(network, TASK, [plain, labelled(cats, [-1, -1])])
    assert (none.labels, none.classes) == (None, ())
    with pytest.raises(DataError, match=r"same classes, got a set \(cat, dog\) and a set \(dog, cat\)"):
        gather(network, TASK, [first, labelled(("dog", "cat"), [0, 1])])
    with pytest.raises(RecipeError, match="--size"):
        gather(network, TASK, [first, PictureSet.from_array(cuts(16, 16))])
    assert gather(network, TASK, [first, PictureSet.from_array(cuts(16, 16))], size=16).features.shape == (10, 256)


@pytest.fixture(autouse=True)
def _command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "features", ("hashigo.cli.features", "what a network makes of pictures"))


def loaded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_command_on_digits(digit_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "features.npz"
    assert main(["features", str(digit_model), "digits", "--split", "test", "--limit", "50", "-o", str(out)]) == 0
    assert "50 pictures × 64 features of the layer 'latent', 50 labels" in capsys.readouterr().err
    got, pictures = loaded(out), open_dataset("digits", split="test", limit=50)
    assert set(got) == {"features", "names", "labels", "classes", "layer", "shape"}
    assert {name: array.dtype.kind for name, array in got.items()} == {
        "features": "f", "names": "U", "labels": "i", "classes": "U", "layer": "U", "shape": "i",
    }  # fmt: skip
    assert (got["features"].dtype, got["labels"].dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(got["features"], features(digit_model, pictures), atol=1e-6)
    np.testing.assert_array_equal(got["labels"], pictures.labels)
    assert got["names"].tolist() == list(pictures.names)
    assert got["classes"].tolist() == list("0123456789")
    assert (got["layer"].item(), got["shape"].tolist()) == ("latent", [16, 2, 2])
    assert [one.name for one in out.parent.iterdir()] == ["features.npz"]


def test_the_command_on_photos(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = album(tmp_path / "album", 5), tmp_path / "features.npz"
    out.write_text("replaced")
    words = ["features", str(model), "-o", str(out), str(folder), str(folder / "00.png")]
    assert main([*words, "--layer", "encoder.down.0", "--pool"]) == 0
    assert "no labels" in capsys.readouterr().err
    got = loaded(out)
    assert set(got) == {"features", "names", "classes", "layer", "shape"}
    assert got["names"].tolist() == [f"{i:02d}.png" for i in range(5)] + ["00.png"]
    assert (got["features"].shape, got["shape"].tolist(), len(got["classes"])) == ((6, 4), [4, 32, 32], 0)
    expected = features(model, sorted(folder.glob("*.png")), layer="encoder.down.0", pool=True)
    np.testing.assert_allclose(got["features"], expected[[0, 1, 2, 3, 4, 0]], atol=1e-6)
    assert main([*words, "--size", "16"]) == 0
    assert loaded(out)["shape"].tolist() == [16, 4, 4]


def test_photos_in_folders_are_labelled_beside_photos_that_are_not(model: Path, tmp_path: Path) -> None:
    sorted_ones, others, out = tmp_path / "sorted", album(tmp_path / "others", 2), tmp_path / "features.npz"
    album(sorted_ones / "cats", 2)
    album(sorted_ones / "dogs", 1)
    assert main(["features", str(model), str(others), str(sorted_ones), "-o", str(out)]) == 0
    got = loaded(out)
    assert got["labels"].tolist() == [-1, -1, 0, 0, 1]
    assert got["classes"].tolist() == ["cats", "dogs"]
    assert got["names"].tolist()[2:] == ["cats/00.png", "cats/01.png", "dogs/00.png"]


def test_a_broken_file_is_told_and_in_the_exit_status(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = album(tmp_path / "album", 3), tmp_path / "features.npz"
    (folder / "01.png").write_bytes(b"nothing")
    assert main(["features", str(model), str(folder), "-o", str(out)]) == 1
    assert "left out 01.png" in capsys.readouterr().err
    assert loaded(out)["names"].tolist() == ["00.png", "02.png"]
    assert len(loaded(out)["features"]) == 2


def test_one_broken_file_of_many_is_left_out(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = album(tmp_path / "album", 3), tmp_path / "features.npz"
    (folder / "01.png").write_bytes(b"nothing")
    files = [str(folder / f"0{i}.png") for i in range(3)]
    assert main(["features", str(model), *files, "-o", str(out)]) == 1
    assert f"left out {files[1]}" in capsys.readouterr().err
    assert loaded(out)["names"].tolist() == ["00.png", "02.png"]
    assert main(["features", str(model), files[1], "-o", str(tmp_path / "none.npz")]) == 2
    (folder / "02.png").write_bytes(b"nothing")
    assert main(["features", str(model), *files[1:], "-o", str(tmp_path / "none.npz")]) == 2
    assert not (tmp_path / "none.npz").exists()


def test_an_input_is_never_overwritten(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = tmp_path / "pictures.npz"
    np.savez(pictures, images=np.zeros((2, 32, 32, 3), np.uint8))
    before = pictures.read_bytes()
    assert main(["features", str(model), str(pictures), "-o", str(tmp_path / "." / "pictures.npz")]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert pictures.read_bytes() == before


def test_list_layers(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", str(model), "--list-layers"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == layer_names(load_network(open_model(model)))
    assert said[0] == "latent"
    assert main(["features", "--list-layers", str(model), "IN", "-o", "a.txt"]) == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["IN"], "--output"), (["-o", "a.npz"], "IN"), (["IN", "-o", "a.npy"], ".npz"), (["IN", "-o", "a"], ".npz"),
        (["IN", "-o", "folder.npz"], "a folder"), (["IN", "-o", "a.npz", "--layer", "latnet"], "'latent'"),
        (["IN", "-o", "a.npz", "--size", "-1"], "size"), (["missing.png", "-o", "a.npz"], "missing.png"),
        (["digit", "-o", "a.npz"], "'digits'"), (["IN", "-o", "a.npz", "--limit", "-1"], "limit"),
        (["IN", "-o", "a.npz", "--poll"], "'--pool'"), (["digits", "classes", "-o", "a.npz"], "same classes"),
    ],
)  # fmt: skip
def test_wrong_words(
    words: list[str],
    hint: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    album(tmp_path / "IN", 1)
    for name in ("a", "b"):
        album(tmp_path / "classes" / name, 1)
    (tmp_path / "folder.npz").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["features", str(model), *words]) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("a*"))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from hashigo.cli import features as command

    monkeypatch.setitem(__import__("sys").modules, "hashigo.latents.extract", None)
    args = argparse.Namespace(list_layers=True, model="colorizer")
    with pytest.raises(MissingExtraError, match=r"hashigo\[train\]"):
        command.run(args)


def test_a_size_beyond_the_memory_is_an_error_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album(tmp_path / "album", 2)
    model = str(tiny_model(tmp_path / "model"))
    assert main(["features", model, str(tmp_path / "album"), "-o", str(tmp_path / "a.npz"), "--size", "16384"]) == 2
    said = capsys.readouterr().err
    assert "would take about" in said
    assert "use a smaller --size" in said
    assert not (tmp_path / "a.npz").exists()
