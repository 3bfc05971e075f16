"""hashigo.losses against sums written out by hand; gradients are finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from hashigo.errors import RecipeError
from hashigo.tasks import make_task
from hashigo.tasks.losses import LOSSES, get_loss, sum_squared_error
from photos import batch


def pair(height: int = 6, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.from_numpy(batch(height, width))
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    return target + 0.1 * noise, target


def test_the_articles_loss_by_hand() -> None:
    output, target = pair()
    total = 0.0
    for n in range(4):  # mean over the batch
        for y in range(6):  # sum over height
            for x in range(5):  # and width
                squares = [float(output[n, c, y, x] - target[n, c, y, x]) ** 2 for c in range(3)]
                total += sum(squares) / 3 / 4  # mean over the channels
    assert float(sum_squared_error(output, target)) == pytest.approx(total, rel=1e-5)


def test_the_articles_loss_grows_with_the_picture_only() -> None:
    def loss(pictures: int, channels: int, height: int, width: int) -> float:
        zeros = torch.zeros(pictures, channels, height, width)
        return float(sum_squared_error(zeros + 0.5, zeros))

    assert loss(1, 1, 1, 1) == pytest.approx(0.25)
    assert loss(7, 1, 1, 1) == loss(1, 3, 1, 1) == pytest.approx(0.25)
    assert loss(2, 3, 96, 96) == pytest.approx(0.25 * 96 * 96)
    assert loss(2, 3, 4, 7) == pytest.approx(0.25 * 4 * 7)


def test_the_articles_gradient_by_hand() -> None:
    output, target = pair()
    output.requires_grad_()
    sum_squared_error(output, target).backward()
    torch.testing.assert_close(output.grad, 2 * (output.detach() - target) / (3 * 4))


def test_the_other_losses_by_hand() -> None:
    output, target = pair()
    error = (output - target).numpy().astype(np.float64)
    assert float(LOSSES["mean_squared_error"](output, target)) == pytest.approx((error**2).mean(), rel=1e-5)
    assert float(LOSSES["l1"](output, target)) == pytest.approx(np.abs(error).mean(), rel=1e-5)
    scaled = np.abs(error) / 0.02
    by_hand = np.where(scaled < 1, scaled**2 / 2, scaled - 0.5).mean()
    assert float(LOSSES["huber"](output, target)) == pytest.approx(by_hand, rel=1e-5)
    torch.testing.assert_close(
        get_loss("binary_cross_entropy")(output.sigmoid(), target),
        (binary_cross_entropy(output.sigmoid(), target) - binary_cross_entropy(target, target)) * 6 * 5,
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip
    steps = np.concatenate([np.abs(np.diff(error, axis=axis)).ravel() for axis in (-1, -2)])
    assert float(LOSSES["detail"](output, target)) == pytest.approx(np.abs(error).mean() + 4 * steps.mean(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_scalar_that_is_zero_only_for_the_right_answer(name: str) -> None:
    output, target = pair()
    loss = get_loss(name)
    assert loss(output, target).shape == ()
    assert float(loss(target, target)) == 0
    assert float(loss(output, target)) > 0
    assert float(loss(target + 2 * (output - target), target)) > float(loss(output, target))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_and_point_at_the_target(name: str, scale: float) -> None:
    noisy, target = pair()
    output = (target + scale * (noisy - target)).requires_grad_()
    get_loss(name)(output, target).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    toward = output.grad * (output.detach() - target)
    assert toward.sum() >= 0
    assert (toward >= 0).all() or name == "detail"  # which also compares neighbours
    if scale >= 1:
        assert output.grad.abs().max() > 0


def test_cross_entropy_of_certain_answers_is_finite() -> None:
    loss, zeros = get_loss("binary_cross_entropy"), torch.zeros(1, 1, 2, 2)
    assert float(loss(zeros, zeros)) == 0
    assert 10 < float(loss(zeros + 1, zeros)) / 4 < 20  # -log(1e-6) for each pixel
    assert float(loss(zeros.bfloat16() + 1, zeros)) == pytest.approx(float(loss(zeros + 1, zeros)), rel=0.01)
    output = torch.tensor([[[[0.2, 0.9]]]], requires_grad=True)
    loss(output, torch.tensor([[[[0.5, 0.1]]]])).backward()
    torch.testing.assert_close(output.grad, torch.tensor([[[[-0.3 / 0.16, 0.8 / 0.09]]]]))


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(RecipeError, match="did you mean 'huber'") as caught:
        get_loss("hubert")
    assert all(name in str(caught.value) for name in LOSSES)


def test_cross_entropy_is_refused_where_answers_are_not_from_0_to_1() -> None:
    for name in ("colorize", "restore"):
        with pytest.raises(RecipeError, match=f"suits the task {name}"):
            make_task(name).criterion("binary_cross_entropy")
    assert make_task("autoencode").criterion("binary_cross_entropy") is get_loss("binary_cross_entropy")
