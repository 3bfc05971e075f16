"""hashigo.metrics against scikit-image, the paper's formula written out, and values found by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import skimage.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashigo.color import luma
from hashigo.metrics import METRICS, colourfulness, delta_e, psnr, sharpness, ssim
from photos import PHOTOS, batch, picture, pixels


def noisy(rgb: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, strength, rgb.shape)
    return np.clip(rgb + noise, 0, 1).astype(rgb.dtype)


def m3(rgb: np.ndarray) -> float:
    """Hasler & Süsstrunk 2003, equations 1 to 3 and M3, on uint8 (H, W, 3)."""
    red, green, blue = (channel.astype(float).ravel() for channel in np.moveaxis(rgb, -1, 0))
    rg, yb = red - green, 0.5 * (red + green) - blue
    sigma = math.sqrt(rg.var() + yb.var())
    mu = math.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    return sigma + 0.3 * mu


def columns(*colours: tuple[float, float, float]) -> np.ndarray:
    """A picture (3, 2, N) whose columns have the colours, given in 0..255."""
    return np.repeat(np.array(colours, np.float64).T[:, None, :], 2, axis=1) / 255


# --- PSNR -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.005, 0.05, 0.4])
@pytest.mark.parametrize("name", PHOTOS)
def test_psnr_is_that_of_scikit_image(name: str, strength: float) -> None:
    rgb = picture(name, 128, 160)
    damaged = noisy(rgb, strength)
    expected = skimage.metrics.peak_signal_noise_ratio(rgb.astype(float), damaged.astype(float), data_range=1)
    assert psnr(rgb, damaged) == pytest.approx(expected, abs=1e-3)


def test_psnr_by_hand() -> None:
    black = np.zeros((3, 4, 5))
    assert psnr(black, black + 1) == pytest.approx(0)
    assert psnr(black, black + 0.1) == pytest.approx(20)
    one = black.copy()
    one[1] = 0.3  # a third of the squared error
    assert psnr(black, one) == pytest.approx(-10 * math.log10(0.03))


def test_psnr_of_equal_pictures_is_high_and_finite() -> None:
    rgb = batch()
    assert np.isfinite(psnr(rgb, rgb)).all()
    assert (psnr(rgb, rgb) >= 96).all()  # above what a rounding to 8 bits leaves, 59 dB, and to 16 bits


# --- SSIM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.005, 0.05, 0.4])
@pytest.mark.parametrize("name", PHOTOS)
def test_ssim_is_that_of_scikit_image(name: str, strength: float) -> None:
    rgb = picture(name, 96, 120)
    damaged = noisy(rgb, strength)
    lumas = [luma(one.astype(np.float64))[0] for one in (rgb, damaged)]
    expected = skimage.metrics.structural_similarity(
        *lumas, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert expected < 0.9999
    assert ssim(rgb, damaged) == pytest.approx(expected, abs=1e-5)


def test_ssim_by_hand() -> None:
    black = np.zeros((3, 16, 20))
    c1 = 1e-4
    assert ssim(black, black + 1) == pytest.approx(c1 / (1 + c1))  # no structure: only the means count
    assert ssim(black + 0.5, black + 1) == pytest.approx((1 + c1) / (1.25 + c1))
    rgb = picture("coffee", 40, 48)
    assert ssim(rgb, rgb) == pytest.approx(1, abs=1e-6)
    assert ssim(rgb, 1 - rgb) < 0.2


def test_ssim_sees_no_hue() -> None:
    red, green = columns((100, 0, 0), (100, 0, 0)), columns((0, 100 * 0.299 / 0.587, 0), (0, 100 * 0.299 / 0.587, 0))
    assert ssim(red, green) == pytest.approx(1)


# --- sharpness ------------------------------------------------------------------------------------------


def scipys_energy(rgb: np.ndarray) -> float:
    y = luma(rgb.astype(np.float64))[0]
    fine = y - scipy.ndimage.gaussian_filter(y, 1.5, radius=5)
    return float(np.square(fine[5:-5, 5:-5]).mean())


@pytest.mark.parametrize("name", PHOTOS)
def test_sharpness_is_the_share_of_fine_detail(name: str) -> None:
    rgb = picture(name, 96, 120)
    blurred = scipy.ndimage.gaussian_filter(rgb, (0, 1, 1))
    for result in (blurred, noisy(rgb, 0.1)):
        assert sharpness(rgb, result) == pytest.approx(scipys_energy(result) / scipys_energy(rgb), rel=1e-3)
    assert sharpness(rgb, blurred) < 0.6
    assert sharpness(rgb, noisy(rgb, 0.1)) > 1.2


def test_sharpness_by_hand() -> None:
    rgb = picture("coffee", 40, 48, np.float64)
    assert sharpness(rgb, rgb) == pytest.approx(1)
    assert sharpness(rgb, 0.3 + 0.5 * rgb) == pytest.approx(0.25, rel=1e-3)  # half the contrast, wherever its middle is
    assert sharpness(rgb, 0 * rgb) == pytest.approx(0, abs=1e-3)
    flat = 0 * rgb + 0.4
    assert sharpness(flat, flat + 0.2) == pytest.approx(1)
    assert sharpness(flat, rgb) > 100


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 9), (10, 11), (11, 11), (12, 4)])
def test_small_pictures_have_small_windows(size: tuple[int, int]) -> None:
    rgb = picture("chelsea", 30, 30, np.float64)[:, : size[0], : size[1]]
    darker = 0.8 * rgb
    for measure in (ssim, sharpness):
        assert measure(rgb, rgb) == pytest.approx(1)
        assert np.isfinite(measure(rgb, darker))
    assert 0 < ssim(rgb, darker) < 1


# --- mean CIEDE2000 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_delta_e_is_that_of_scikit_image(name: str) -> None:
    rgb = picture(name, 128, 160)
    damaged = noisy(rgb, 0.05)
    labs = (skimage.color.rgb2lab(one.transpose(1, 2, 0).astype(float)) for one in (rgb, damaged))
    expected = skimage.color.deltaE_ciede2000(*labs).mean()
    assert expected > 1
    assert delta_e(rgb, damaged) == pytest.approx(expected, rel=2e-3)


def test_delta_e_of_black_and_white_is_100() -> None:
    black = np.zeros((3, 2, 2))
    assert delta_e(black, black + 1) == pytest.approx(100, abs=1e-3)
    half = black.copy()
    half[:, 0] = 1
    assert delta_e(black, half) == pytest.approx(50, abs=1e-3)
    assert delta_e(half, half) == 0


# --- colourfulness --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_colourfulness_is_the_papers_m3(name: str) -> None:
    rgb = picture(name)
    assert colourfulness(rgb, rgb) == pytest.approx(m3(pixels(name)), rel=1e-4)


def test_colourfulness_by_hand() -> None:
    # rg 255 and 0, yb 127.5 and 0: spread and mean are 127.5 and 63.75 each
    assert colourfulness(*[columns((255, 0, 0), (0, 0, 0))] * 2) == pytest.approx(1.3 * math.hypot(127.5, 63.75))
    # one flat colour has no spread: rg 30, yb 65
    assert colourfulness(*[columns((100, 70, 20))] * 2) == pytest.approx(0.3 * math.hypot(30, 65))


def test_colourfulness_has_signed_opponents() -> None:
    # rg is +100 and -100: the signed mean is 0 and the spread 100; with |rg| it would be 30 altogether
    opposites = columns((150, 50, 100), (50, 150, 100))
    assert colourfulness(opposites, opposites) == pytest.approx(100)


def test_greys_have_no_colour() -> None:
    rgb = batch()
    grey = np.repeat(luma(rgb), 3, axis=1)
    np.testing.assert_allclose(colourfulness(rgb, grey), 0, atol=1e-4)
    assert (colourfulness(rgb, rgb) > 5).all()


def test_colourfulness_looks_at_the_result_only() -> None:
    rgb = batch()
    np.testing.assert_array_equal(colourfulness(rgb, rgb[::-1]), colourfulness(rgb * 0, rgb[::-1]))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1))
def test_less_colour_is_less_colourful_and_farther(share: float) -> None:
    rgb = picture("coffee", 32, 32, np.float64)
    dull = luma(rgb) + share * (rgb - luma(rgb))
    assert colourfulness(rgb, dull) == pytest.approx(share * float(colourfulness(rgb, rgb)), abs=1e-9)
    assert delta_e(rgb, dull) <= delta_e(rgb, np.repeat(luma(rgb), 3, axis=0)) + 1e-9


# --- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_one_number_per_picture_on_numpy_and_torch(name: str) -> None:
    rgb = batch(40, 48)
    damaged = noisy(rgb, 0.1)
    values = METRICS[name](rgb, damaged)
    assert values.shape == (len(rgb),)
    assert np.isfinite(values).all()
    for i in range(len(rgb)):
        assert METRICS[name](rgb[i], damaged[i]) == pytest.approx(values[i], rel=1e-5)
    tensors = METRICS[name](torch.from_numpy(rgb), torch.from_numpy(damaged))
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_allclose(tensors.numpy(), values, rtol=1e-4)
