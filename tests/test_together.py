"""Networks trained together get what each would get alone, and go on exactly where they were stopped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from hashigo.data import open_dataset
from hashigo.errors import RecipeError, TrainingError
from hashigo.networks import make_network
from hashigo.training.recipe import DataRecipe, MachineRecipe, NetworkRecipe, OptimizerRecipe, Recipe, TaskRecipe
from hashigo.training.run import train
from hashigo.training.together import Together, stored_epoch

DIGITS = open_dataset("digits", limit=320)


def recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "task": TaskRecipe("autoencode-grey"),
        "network": NetworkRecipe(options={"width": 4, "depth": 2, "latent_activation": "tanh"}),
        "data": DataRecipe(train="digits", flip=False),
        "optimizer": OptimizerRecipe("sgd", lr=1e-3),
        "machine": MachineRecipe(accelerator="cpu", precision="fp32", compile="off"),
        "epochs": 2, "batch_size": 32,
    }  # fmt: skip
    return Recipe(**{**given, **changes})


BOTTLENECK = NetworkRecipe(options={"width": 4, "depth": 2, "skips": "none", "bottleneck": 16, "size": [8, 8]})


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().double().flatten() for value in network.state_dict().values()])


@torch.no_grad()
def answers(network: torch.nn.Module) -> torch.Tensor:
    digits = torch.from_numpy(DIGITS.array()[:64, None, :, :, 0] / np.float32(255))
    return network(digits.expand(-1, network.in_channels, -1, -1))


@pytest.mark.parametrize("changes", [{}, {"network": BOTTLENECK}, {"task": TaskRecipe("denoise")}, {"loss": "binary_cross_entropy"},
                                     {"optimizer": OptimizerRecipe("adamw", lr=1e-3, schedule="cosine", warmup=3)}])  # fmt: skip
def test_together_equals_alone(changes: dict[str, Any]) -> None:
    seeds = (0, 3, 11)
    together = Together(recipe(**changes), seeds, DIGITS)
    losses = together.train_epoch()
    networks = together.networks()
    assert len({round(loss, 4) for loss in losses}) == 3  # different seeds, different runs
    for seed, loss, network in zip(seeds, losses, networks, strict=True):
        alone = Together(recipe(**changes), [seed], DIGITS)
        assert loss == pytest.approx(alone.train_epoch()[0], rel=1e-3)
        # the answers, not the weights: a bias before a BatchNorm does nothing, and AdamW moves it by rounding errors
        assert torch.allclose(answers(network), answers(alone.networks()[0]), atol=2e-2)


def test_one_step_is_equal_to_float_tolerance() -> None:
    few = open_dataset("digits", limit=32)
    together = Together(recipe(), (5, 6), few)
    together.train_epoch()
    for seed, network in zip((5, 6), together.networks(), strict=True):
        alone = Together(recipe(), [seed], few)
        alone.train_epoch()
        assert torch.allclose(weights(network), weights(alone.networks()[0]), rtol=1e-4, atol=1e-6)


def test_alone_equals_hashigo_train(tmp_path: Path) -> None:
    run = train(replace(recipe(), seed=4), tmp_path / "run", data=(DIGITS, DIGITS), onnx=False)
    together = Together(recipe(), [4], DIGITS)
    losses = [together.train_epoch()[0] for _ in range(2)]
    assert losses == pytest.approx([row["train_loss"] for row in run.metrics], rel=1e-4)


def states(folder: Path, *seeds: int) -> list[Path]:
    return [folder / f"{seed}.safetensors" for seed in seeds]


@pytest.mark.parametrize(
    "optimizer", [{}, {"optimizer": OptimizerRecipe("adamw", lr=1e-3, schedule="cosine", warmup=3)}]
)
def test_a_restored_state_goes_on_bit_for_bit(optimizer: dict[str, Any], tmp_path: Path) -> None:
    first = Together(recipe(**optimizer), (1, 2), DIGITS)
    first.train_epoch()
    first.save(states(tmp_path, 1, 2), [{"rows": [1.5]}, {"rows": []}])
    assert [stored_epoch(one) for one in states(tmp_path, 1, 2)] == [1, 1]
    second = Together(recipe(**optimizer), (1, 2), DIGITS)
    assert second.restore(states(tmp_path, 1, 2)) == [{"rows": [1.5]}, {"rows": []}]
    assert second.epoch == 1
    assert second.train_epoch() == first.train_epoch()
    for a, b in zip(first.networks(), second.networks(), strict=True):
        assert torch.equal(weights(a), weights(b))


@pytest.mark.parametrize(
    "optimizer", [{}, {"optimizer": OptimizerRecipe("adamw", lr=1e-3, schedule="cosine", warmup=3)}]
)
@pytest.mark.parametrize(("before", "after"), [((1, 2, 5), (2, 5)), ((1, 2), (2,)), ((1,), (1,))])
def test_a_network_goes_on_in_other_company(
    optimizer: dict[str, Any], before: tuple[int, ...], after: tuple[int, ...], tmp_path: Path
) -> None:
    few = open_dataset("digits", limit=64)
    first = Together(recipe(**optimizer), before, few)
    first.train_epoch()
    first.save(states(tmp_path, *before), [{}] * len(before))
    second = Together(recipe(**optimizer), after, few)
    second.restore(states(tmp_path, *after))
    kept = dict(zip(before, first.networks(), strict=True))
    assert all(torch.equal(weights(kept[s]), weights(one)) for s, one in zip(after, second.networks(), strict=True))
    losses = dict(zip(before, first.train_epoch(), strict=True))
    assert second.train_epoch() == pytest.approx([losses[seed] for seed in after], rel=1e-4)
    assert first._schedule.last_epoch == second._schedule.last_epoch


def test_networks_that_were_alone_go_on_together(tmp_path: Path) -> None:
    losses = []
    for seed in (3, 4):
        alone = Together(recipe(), [seed], DIGITS)
        alone.train_epoch()
        alone.save(states(tmp_path, seed), [{}])
        losses += alone.train_epoch()
    together = Together(recipe(), (3, 4), DIGITS)
    together.restore(states(tmp_path, 3, 4))
    assert together.train_epoch() == pytest.approx(losses, rel=1e-4)


def test_states_of_other_seeds_or_of_several_epochs_are_refused(tmp_path: Path) -> None:
    networks = Together(recipe(), [1], DIGITS)
    networks.save(states(tmp_path, 1), [{}])
    with pytest.raises(RecipeError, match=r"states of seeds \(2,\).*found seeds \(1,\)"):
        Together(recipe(), [2], DIGITS).restore(states(tmp_path, 1))
    networks.train_epoch()
    networks.save(states(tmp_path, 1), [{}])
    Together(recipe(), [2], DIGITS).save(states(tmp_path, 2), [{}])
    with pytest.raises(RecipeError, match=r"after \[0, 1\]"):
        Together(recipe(), [1, 2], DIGITS).restore(states(tmp_path, 1, 2))


def test_the_first_weights_are_those_of_the_seed_and_the_random_state_is_left_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    together = Together(recipe(), [7], DIGITS)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(7)
    alone = make_network("unet", in_channels=1, out_channels=1, width=4, depth=2, latent_activation="tanh")
    assert torch.equal(weights(together.networks()[0]), weights(alone))


def test_a_copy_does_not_move_with_the_training() -> None:
    together = Together(recipe(), [0], DIGITS)
    before = together.networks()[0]
    kept = weights(before).clone()
    together.train_epoch()
    assert torch.equal(weights(before), kept)
    assert not torch.equal(weights(together.networks()[0]), kept)


@pytest.mark.parametrize("asked", ["auto", "tpu"])
def test_where_there_is_a_tpu_it_is_the_cpu(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.training.setup._has_tpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    together = Together(recipe(machine=MachineRecipe(accelerator=asked, precision="fp32", compile="off")), [0], DIGITS)
    assert (together.device.type, together.setup.accelerator) == ("cpu", "cpu")
    assert np.isfinite(together.train_epoch()).all()


def test_the_setup_says_what_is_done() -> None:
    machine = MachineRecipe(accelerator="cpu", precision="fp32", compile="on", channels_last="on")
    assert str(Together(recipe(machine=machine), [0], DIGITS).setup) == "cpu, float32, channels last, not compiled"
    assert str(Together(recipe(machine=machine), [0, 1], DIGITS).setup) == "cpu, float32, channels first, not compiled"


def test_it_can_be_broken_off() -> None:
    steps = iter([True, True, False])
    with pytest.raises(KeyboardInterrupt):
        Together(recipe(), [0], DIGITS).train_epoch(lambda: next(steps))


def test_clipping_is_refused_and_a_loss_that_is_not_finite_is_told() -> None:
    with pytest.raises(RecipeError, match=r"optimizer\.clip"):
        Together(recipe(optimizer=OptimizerRecipe(clip=1.0)), [0], DIGITS)
    with pytest.raises(RecipeError, match=r"optimizer\.encoder_lr"):
        Together(recipe(optimizer=OptimizerRecipe(encoder_lr=0.0)), [0], DIGITS)
    wild = Together(tiny.recipe(optimizer=OptimizerRecipe("sgd", lr=1e30)), [0, 1], DIGITS)
    with pytest.raises(TrainingError, match="seed 0"):
        [wild.train_epoch() for _ in range(3)]


def test_networks_begun_in_threads_have_the_weights_of_their_seeds() -> None:
    def begin(seed: int) -> torch.Tensor:
        return weights(Together(recipe(network=BOTTLENECK), [seed], DIGITS).networks()[0])

    alone = [begin(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, expected in zip(pool.map(begin, range(4)), alone, strict=True):
                assert torch.equal(found, expected)
