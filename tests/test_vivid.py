"""Colouring by classes from end to end: training, export, engines, hints and the vivid knob, on a tiny model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hashigo import color
from hashigo.apply import Model, load
from hashigo.cli.main import main
from hashigo.data import open_dataset
from hashigo.data.loader import Loader, ResidentPictures
from hashigo.errors import PictureError, RecipeError
from hashigo.evaluation import evaluate, hints_from_original
from hashigo.metrics import colourfulness
from hashigo.networks import UNet
from hashigo.randomness import PictureRng
from hashigo.tasks import ColorizeBins
from hashigo.training.callbacks import running_mean
from hashigo.training.module import Restorer
from hashigo.training.recipe import DataRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import Run, load_data, train
from hashigo.training.step import reduced
from photos import batch
from tiny import album, as_trained, photo, recipe


def vivid_recipe(pictures: Path, **changes: Any) -> Recipe:
    return replace(
        recipe("colorize-bins"),
        task=TaskRecipe("colorize-bins", {"hinted": 0.5, "damaged": 0.5}),
        network=NetworkRecipe(options={"width": 8, "depth": 2, "stem": 2, "residual": True, "context": True}),
        data=DataRecipe(train=str(pictures), size=64, crop=32, zoom=0.7, validation_share=0.2),
        optimizer=OptimizerRecipe("adamw", lr=3e-3),
        **{"batch_size": 8, "epochs": 2, "ema": 0.9, "panels": 2, **changes},
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("vivid") / "album", 40, 96)


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(vivid_recipe(pictures), tmp_path_factory.mktemp("vivid") / "run")


@pytest.fixture(scope="module")
def model(run: Run) -> Model:
    return load(run.folder)


# --- the network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 64), (33, 50), (7, 9)])
def test_a_stem_answers_at_a_part_of_the_size(size: tuple[int, int]) -> None:
    network = as_trained(UNet(in_channels=4, out_channels=5, width=4, depth=2, stem=2))
    x = torch.rand(2, 4, *size)
    assert network(x).shape == (2, 5, -(-size[0] // 2), -(-size[1] // 2))
    assert network.multiple == 8
    with pytest.raises(RecipeError, match="stem"):
        UNet(stem=0)
    with pytest.raises(RecipeError, match="stem"):
        UNet(stem=2, bottleneck=4, size=(16, 16))


def test_context_brings_far_places_together() -> None:
    x = torch.rand(1, 3, 128, 16)
    other = x.clone()
    other[..., 112:, :] = 0.0
    for context in (False, True):
        torch.manual_seed(0)
        network = as_trained(UNet(width=4, depth=2, context=context))
        far = (network(x) - network(other))[..., :16, :].abs().max()
        assert (far > 1e-6) == context


# --- the loader -------------------------------------------------------------------------------------------


def test_zoomed_crops_are_parts_of_the_picture_at_another_scale() -> None:
    ramp = np.tile(np.arange(120, dtype=np.uint8)[:, None, None], (6, 1, 160, 3)).reshape(6, 120, 160, 3)
    from hashigo.data import PictureSet

    pictures = PictureSet.from_array(ramp)
    loader = Loader(ResidentPictures(pictures), batch_size=6, crop=40, training=True, zoom=0.5)
    scales = []
    for epoch in range(20):
        rgb = loader.batch(epoch, 0).rgb.numpy() * 255
        assert (rgb == rgb[..., :1]).all(), "rows are level"
        steps = np.diff(rgb[:, 0, :, 0], axis=1)[:, 1:-1]
        np.testing.assert_allclose(steps, steps[:, :1].repeat(steps.shape[1], 1), atol=1e-3)
        scales += steps[:, 0].tolist()
    assert 0.5 <= min(scales) < 0.6
    assert 2.5 < max(scales) <= 3.0 + 1e-3
    again = Loader(ResidentPictures(pictures), batch_size=6, crop=40, training=True, zoom=0.5)
    torch.testing.assert_close(again.batch(3, 0).rgb, loader.batch(3, 0).rgb)


def test_zoomed_crops_of_large_pictures_do_not_alias() -> None:
    from hashigo.data import PictureSet

    fine = (np.indices((160, 160)) // 2).sum(axis=0) % 2 * 255  # a chessboard, from afar grey
    pictures = PictureSet.from_array(np.repeat(fine.astype(np.uint8)[None, :, :, None], 3, axis=3).repeat(8, 0))
    loader = Loader(ResidentPictures(pictures), batch_size=8, crop=40, training=True, zoom=4.0)
    assert loader.batch(0, 0).rgb.std() < 0.06
    found = []
    for beside in (160, 44):  # what else is in the set is nothing to a picture's crop
        cut = [np.asarray(pictures.picture(0))[:side, :side].reshape(-1, 3) for side in (beside, 44)]
        sides = np.array([[beside, beside], [44, 44]], np.int32)
        both = PictureSet(np.concatenate(cut), sides, None, ("beside", "small"))
        loader = Loader(ResidentPictures(both), batch_size=2, crop=40, training=True, zoom=0.9)
        rgb, indices = loader.batch(0, 0)[:2]
        found.append(rgb[indices.tolist().index(1)])
    assert torch.equal(*found)
    assert found[0].std() > 0.1


def test_small_pictures_are_enlarged_to_the_crop() -> None:
    from hashigo.data import PictureSet

    small = PictureSet.from_array(np.full((4, 20, 30, 3), 77, np.uint8))
    loader = Loader(ResidentPictures(small), batch_size=4, crop=32, training=True, zoom=0.6)
    np.testing.assert_allclose(loader.batch(0, 0).rgb * 255, np.full((4, 3, 32, 32), 77), atol=1e-3)


# --- training ---------------------------------------------------------------------------------------------


def test_pictures_without_colour_are_left_out_of_training(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 12, 96)
    for i in range(5):
        Image.fromarray(photo("coffee", 96, 96)).convert("L").save(folder / f"grey-{i}.png")
    data = DataRecipe(train=str(folder), validation=str(folder), validation_split="train", colourful=10.0)
    training, validation = load_data(data)
    assert (len(training), len(validation)) == (12, 17)
    assert not any("grey" in name for name in training.names)
    assert len(load_data(replace(data, colourful=0.0))[0]) == 17
    with pytest.raises(RecipeError, match="colourfulness 500 or more"):
        load_data(replace(data, colourful=500.0))


def test_the_classes_are_saved_with_the_model(run: Run) -> None:
    task = run.model.task
    assert isinstance(task, ColorizeBins)
    assert 10 < len(task.cells) < 300
    assert run.model.options["out_channels"] == len(task.cells)
    assert (run.model.multiple, run.model.size) == (8, 64)
    config = json.loads((run.model.path / "config.json").read_text(encoding="utf-8"))
    assert config["hashigo"]["task"]["hinted"] == 0.5


def test_panels_are_coloured(run: Run) -> None:
    with Image.open(run.folder / "panels" / "epoch-0002.png") as panel:
        assert panel.size[0] > 2 * 64
        assert color.chroma(np.asarray(panel, np.float32).transpose(2, 0, 1) / 255).std() > 0.005


@pytest.mark.parametrize(("size", "stem"), [((12, 16), 2), ((11, 15), 2), ((9, 14), 4), ((3, 5), 4)])
def test_targets_are_the_means_of_what_a_place_stands_for(size: tuple[int, int], stem: int) -> None:
    target = torch.rand(2, 2, *size)
    rows, columns = (-(-side // stem) for side in size)
    found = reduced(target, stem)
    assert found.shape == (2, 2, rows, columns)
    if min(size) >= stem:
        torch.testing.assert_close(found[..., 0, 0], target[..., :stem, :stem].mean(dim=(2, 3)))
    repeated = torch.nn.functional.pad(
        target, (0, columns * stem - size[1], 0, rows * stem - size[0]), mode="replicate"
    )
    torch.testing.assert_close(found[..., -1, -1], repeated[..., -stem:, -stem:].mean(dim=(2, 3)))


def test_a_run_starts_from_a_model(run: Run, pictures: Path, tmp_path: Path) -> None:
    again = vivid_recipe(pictures, start=str(run.folder), epochs=1)
    again.optimizer = OptimizerRecipe("adamw", lr=1e-9)
    warm = train(again, tmp_path / "warm", onnx=False)
    assert isinstance(warm.model.task, ColorizeBins)
    assert warm.model.task.cells == run.model.task.cells  # type: ignore[attr-defined]
    plain = replace(again, task=TaskRecipe("colorize-bins", {"vivid": 0.3}))
    made = train(plain, tmp_path / "plain", onnx=False).model.task
    assert isinstance(made, ColorizeBins)
    assert (made.vivid, made.hinted, made.damaged) == (0.3, 0.0, 0.0), "the recipe's options, not the first model's"
    assert made.cells == warm.model.task.cells
    assert warm.metrics[0]["val_loss"] == pytest.approx(min(row["val_loss"] for row in run.metrics), rel=0.05)
    other = replace(again, network=NetworkRecipe(options={"width": 4, "depth": 2}))
    with pytest.raises(RecipeError, match="start: expected a network that matches this recipe"):
        train(other, tmp_path / "other")
    with pytest.raises(RecipeError, match="start: expected a model of the task 'colorize', got one of 'colorize-bins'"):
        train(replace(again, task=TaskRecipe("colorize")), tmp_path / "another")


def test_the_mean_of_the_weights_is_kept_and_resumed(run: Run, pictures: Path, tmp_path: Path) -> None:
    state = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=False)
    name = "network.head.weight"
    assert not torch.equal(state["state_dict"][name], state["current_model_state"][name])
    made = vivid_recipe(pictures, epochs=1)
    train(made, tmp_path / "run", onnx=False)
    resumed = train(replace(made, epochs=2), tmp_path / "run", resume=True, onnx=False)
    assert [row["epoch"] for row in resumed.metrics] == [1, 2]
    again = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=False)
    for kind in ("state_dict", "current_model_state"):  # the mean, and the weights that are trained
        for key, value in state[kind].items():
            assert torch.equal(value, again[kind][key]), f"{kind}: {key}"


def test_a_run_goes_on_without_the_model_it_started_from(run: Run, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(run.model.path, tmp_path / "first")
    made = vivid_recipe(pictures, start=str(tmp_path / "first"), epochs=1)
    begun = train(made, tmp_path / "run", onnx=False)
    shutil.rmtree(tmp_path / "first")
    resumed = train(replace(made, epochs=2), tmp_path / "run", resume=True, onnx=False)
    assert resumed.model.task == begun.model.task
    assert len(resumed.metrics) == 2


def test_panels_show_the_weights_that_were_validated(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    restore = Restorer.restore

    def watched(self: Restorer, batch: Any) -> Any:
        seen.append(self.network.head.weight.detach().clone())  # type: ignore[union-attr, operator]
        return restore(self, batch)

    monkeypatch.setattr(Restorer, "restore", watched)
    train(vivid_recipe(pictures, epochs=1), tmp_path / "run", onnx=False)
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=False)
    assert torch.equal(seen[-1], state["state_dict"]["network.head.weight"]), "the mean"
    assert not torch.equal(seen[-1], state["current_model_state"]["network.head.weight"])


def test_the_mean_soon_forgets_the_first_weights() -> None:
    update, mean = running_mean(0.999), [torch.zeros(3)]
    for step in range(1, 300):  # torch's AveragedModel copies at step 0
        update(mean, [torch.ones(3)], torch.tensor(step))
    assert mean[0].min() > 0.999
    update(mean, [torch.full((3,), 2.0)], torch.tensor(100_000))
    torch.testing.assert_close(mean[0], torch.full((3,), 1.001), atol=1e-4, rtol=0)
    counter = [torch.tensor(5)]
    update(counter, [torch.tensor(6)], torch.tensor(9))
    assert counter[0] == 6


# --- use --------------------------------------------------------------------------------------------------


def test_the_photos_luma_is_kept_at_any_size(model: Model) -> None:
    for height, width in ((61, 97), (8, 200), (1, 1), (300, 200)):
        photo_ = np.resize(photo("chelsea", 40, 60), (height, width, 3))
        result = model(photo_)
        assert result.shape == photo_.shape
        ours, theirs = (color.luma(one.transpose(2, 0, 1) / 255.0) for one in (result, photo_))
        assert np.abs(ours - theirs).max() < 1.6 / 255


def test_both_engines_agree(run: Run) -> None:
    rgb = batch(64, 96)[0]
    ours, theirs = (load(run.folder, engine=engine, precision="fp32")(rgb) for engine in ("openvino", "torch"))
    assert np.abs(ours - theirs).max() < 3 / 255


@pytest.mark.parametrize("size", [(64, 96), (33, 50), (128, 8), (1, 7)])
def test_engines_give_equal_classes_at_any_size(run: Run, size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random((1, 4, *size), np.float32)
    ours, theirs = (load(run.folder, engine=engine, precision="fp32").engine(x) for engine in ("openvino", "torch"))
    assert ours.shape == theirs.shape == (1, run.model.task.network_channels, -(-size[0] // 2), -(-size[1] // 2))
    np.testing.assert_allclose(ours, theirs, atol=2e-3 * np.abs(theirs).max())


def test_vivid_changes_the_colours(run: Run) -> None:
    rgb = batch(64, 96)
    calm, usual, vivid = (color.chroma(load(run.folder, vivid=v)(rgb)) for v in (0.0, None, 1.0))
    assert np.abs(vivid - calm).max() > 1 / 255
    # how much a few steps of training leave to the knob depends on the machine: the order is all that can be said
    assert 0 < np.abs(usual - calm).mean() < np.abs(vivid - calm).mean()
    strength = [float(np.mean(colourfulness(rgb, load(run.folder, vivid=v)(rgb)))) for v in (0.0, 0.5, 1.0)]
    assert strength == sorted(strength)


def test_hints_change_the_colour(model: Model) -> None:
    rgb = photo("chelsea", 64, 96)
    plain = model(rgb)
    hinted = model(rgb, hints=[(48, 32, "#ff0000"), (10, 10, "#0000ff")])
    assert hinted.shape == plain.shape
    assert np.abs(hinted.astype(int) - plain).max() > 0
    np.testing.assert_array_equal(model(rgb, hints=[]), plain)
    floats = np.stack([np.moveaxis(one, 2, 0) for one in (rgb, rgb[:, ::-1])]).astype(np.float32) / 255
    both = model(floats, hints=[(48, 32, "#ff0000"), (10, 10, "#0000ff")])
    np.testing.assert_array_equal(np.rint(both[0] * 255), np.moveaxis(hinted, 2, 0))
    with pytest.raises(RecipeError, match="within the photo"):
        model(rgb, hints=[(200, 0, "#ff0000")])
    with pytest.raises(PictureError, match="#rrggbb"):
        model(rgb, hints=[(1, 2, "red")])


def test_random_hints_have_the_pictures_colours() -> None:
    rgb = batch(48, 64)[0]
    hints = hints_from_original(rgb, 10, (24, 32), PictureRng(0, 0, np.array([3])))
    assert len(hints) == 10
    flat = np.full_like(rgb, 0.25)
    assert all(
        hint.rgb == pytest.approx((0.25,) * 3)
        for hint in hints_from_original(flat, 5, (24, 32), PictureRng(0, 0, np.array([3])))
    )
    for hint in hints:
        assert 0 <= hint.x < 64
        assert 0 <= hint.y < 48
        # the mean of the reduced photo's few pixels around the place: within what its neighbourhood has
        rows, columns = (slice(max(0, int(at) - 10), int(at) + 11) for at in (hint.y, hint.x))
        around = rgb[:, rows, columns].reshape(3, -1)
        assert (around.min(axis=1) - 1e-6 <= hint.rgb).all()
        assert (hint.rgb <= around.max(axis=1) + 1e-6).all()
    spread = np.std([hint.rgb for hint in hints], axis=0)
    assert spread.max() > 0.02, "different places have different colours"


# --- the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    path = tmp_path / "old" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(photo("chelsea", 60, 90)).convert("L").save(path)
    return path


def test_colorize_with_hints_and_vivid(
    run: Run, grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / f"{i}.png" for i in range(3)]
    words = ["colorize", "--model", str(run.folder), str(grey), "-o"]
    assert main([*words, str(outs[0])]) == 0
    assert main([*words, str(outs[1]), "--hint", "45,30,#ff0000", "--hint", "5,5,#0000ff"]) == 0
    assert main([*words, str(outs[2]), "--vivid", "1"]) == 0
    assert len({one.read_bytes() for one in outs}) == 3
    expected = load(run.folder)(grey, hints=[(45, 30, "#ff0000"), (5, 5, "#0000ff")])
    np.testing.assert_array_equal(np.asarray(Image.open(outs[1])), np.asarray(expected), "as in Python")
    capsys.readouterr()
    for wrong, told in (
        (["--hint", "45,30"], "x,y,#rrggbb"), (["--vivid", "2"], "0 to 1"), (["--hint", "45,30,#ff00"], "x,y,#rrggbb"),
    ):  # fmt: skip
        assert main([*words, str(tmp_path / "no.png"), *wrong]) == 2
        assert told in capsys.readouterr().err
    second = grey.with_name("second.png")
    second.write_bytes(grey.read_bytes())
    assert main(["colorize", "--model", str(run.folder), str(grey.parent), "--hint", "4,3,#ff0000"]) == 2
    assert "expected one photo" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "far.png"), "--hint", "450,30,#ff0000"]) == 2
    assert "within the photo" in capsys.readouterr().err
    assert not list(tmp_path.glob("**/failures.jsonl")), "wrong usage, not a photo that failed"


def test_a_model_without_hints_says_so(grey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tiny import model as tiny_model

    plain = str(tiny_model(tmp_path / "plain", onnx=False))
    out = ["--engine", "torch", str(grey), "-o", str(tmp_path / "out.png")]
    assert main(["colorize", "--model", plain, *out, "--vivid", "0.5"]) == 2
    assert "cannot be made more or less vivid" in capsys.readouterr().err
    assert main(["colorize", "--model", plain, *out, "--hint", "1,1,#ff0000"]) == 2
    assert "takes no colour hints; use the model 'colorizer'" in capsys.readouterr().err


def test_evaluation_with_hints_and_its_page(
    run: Run, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    words = ["evaluate", str(run.folder), str(pictures), "--limit", "6", "--hints", "5"]
    assert main([*words, "--page", str(page), "--json", str(figures)]) == 0
    assert "mean chroma" in capsys.readouterr().out
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["hints"] == 5
    assert found["mean"]["mean chroma"]["delta_e"] < found["mean"]["input"]["delta_e"], "these photos are mostly warm"
    assert found["mean"]["input"]["chroma_distance"] > found["mean"]["original"]["chroma_distance"] == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 3 * 6, "each of six photos once"
    assert "5 random hints per picture" in text
    assert "SSIM" not in text, "the luma is the photo's own"
    assert "最も良い" in text
    sets = [open_dataset(pictures, limit=6)]
    again = evaluate(load(run.folder), sets, hints=5).as_dict()
    assert again["mean"]["result"]["delta_e"] == pytest.approx(found["mean"]["result"]["delta_e"])
