"""hashigo.color against Pillow, scikit-image and published figures, and against its own promises."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hashigo import color
from photos import PHOTOS, batch, picture, pixels

# L, a, b of two colours and their CIEDE2000: Sharma, Wu & Dalal 2005, table 1.
SHARMA = np.array(
    [
        (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
        (50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615),
        (50.0, 2.8361, -74.0200, 50.0, 0.0, -82.7485, 3.4412),
        (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
        (50.0, -1.1848, -84.8006, 50.0, 0.0, -82.7485, 1.0000),
        (50.0, -0.9009, -85.5211, 50.0, 0.0, -82.7485, 1.0000),
        (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
        (50.0, -1.0, 2.0, 50.0, 0.0, 0.0, 2.3669),
        (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0009, 7.1792),
        (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0010, 7.1792),
        (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0011, 7.2195),
        (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0012, 7.2195),
        (50.0, -0.0010, 2.4900, 50.0, 0.0009, -2.4900, 4.8045),
        (50.0, -0.0010, 2.4900, 50.0, 0.0010, -2.4900, 4.8045),
        (50.0, -0.0010, 2.4900, 50.0, 0.0011, -2.4900, 4.7461),
        (50.0, 2.5, 0.0, 50.0, 0.0, -2.5, 4.3065),
        (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
        (50.0, 2.5, 0.0, 61.0, -5.0, 29.0, 22.8977),
        (50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030),
        (50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535),
        (50.0, 2.5, 0.0, 50.0, 3.1736, 0.5854, 1.0000),
        (50.0, 2.5, 0.0, 50.0, 3.2972, 0.0, 1.0000),
        (50.0, 2.5, 0.0, 50.0, 1.8634, 0.5757, 1.0000),
        (50.0, 2.5, 0.0, 50.0, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def as_picture(colours: np.ndarray) -> np.ndarray:
    """Colours (N, 3) as a picture (3, 1, N)."""
    return np.ascontiguousarray(colours.T[:, None, :])


# --- luma and chroma ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_luma_is_pillows_grey(name: str) -> None:
    ours = 255 * color.luma(picture(name))[0]
    pillow = np.asarray(Image.fromarray(pixels(name)).convert("L"), np.float32)
    assert np.abs(ours - pillow).max() <= 1
    assert np.abs(ours - pillow).mean() < 0.3  # rounding alone: 0.25
    assert abs((ours - pillow).mean()) < 0.05  # and to neither side


@pytest.mark.parametrize("name", PHOTOS)
def test_luma_and_chroma_are_jpegs(name: str) -> None:
    rgb = picture(name)
    ours = np.round(255 * np.concatenate([color.luma(rgb), color.chroma(rgb) + 128 / 255]))
    pillow = np.asarray(Image.fromarray(pixels(name)).convert("YCbCr"), np.float32).transpose(2, 0, 1)
    assert np.abs(ours - pillow).max() <= 1
    assert np.abs(ours - pillow).mean() < 0.6  # Pillow rounds down


def test_corners_of_the_cube() -> None:
    corners = np.array([[r, g, b] for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)])
    assert color.luma(as_picture(corners))[0, 0] == pytest.approx([0, 0.114, 0.587, 0.701, 0.299, 0.413, 0.886, 1])
    cb, cr = color.chroma(as_picture(corners))[:, 0]
    assert (cb.min(), cb.max(), cr.min(), cr.max()) == pytest.approx((-0.5, 0.5, -0.5, 0.5))
    assert (cb.argmax(), cr.argmax()) == (0b001, 0b100)  # pure blue and pure red


@pytest.mark.parametrize("name", PHOTOS)
def test_merge_undoes_the_split(name: str) -> None:
    rgb = picture(name)
    np.testing.assert_allclose(color.merge(color.luma(rgb), color.chroma(rgb)), rgb, atol=1e-6)


# --- merge: luma is kept, whatever the chroma ---------------------------------------------------------

SHAPE = st.tuples(st.integers(1, 3), st.integers(1, 3))
UNIT = st.floats(0, 1, width=32)
CHROMA = st.one_of(st.floats(-1, 1, width=32), st.floats(-(2.0**60), 2.0**60, width=32), st.just(0.0))


@st.composite
def luma_and_chroma(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    height, width = draw(SHAPE)
    y = draw(arrays.arrays(np.float32, (1, height, width), elements=UNIT))
    return y, draw(arrays.arrays(np.float32, (2, height, width), elements=CHROMA))


@settings(max_examples=300, deadline=None)
@given(luma_and_chroma())
@example((np.zeros((1, 1, 1), np.float32), np.ones((2, 1, 1), np.float32)))
@example((np.ones((1, 1, 1), np.float32), np.ones((2, 1, 1), np.float32)))
def test_merge_keeps_luma_gamut_and_hue(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, cbcr = pair
    rgb = color.merge(y, cbcr)
    assert rgb.dtype == np.float32
    assert rgb.min() >= -1e-6
    assert rgb.max() <= 1 + 1e-6
    np.testing.assert_allclose(color.luma(rgb), y, atol=1e-6)
    # hue kept: the new chroma is the old one times a factor within 0..1 that is the same for Cb and Cr
    length = np.hypot(*cbcr.astype(np.float64))
    direction = cbcr / np.where(length == 0, 1, length)
    new = color.chroma(rgb).astype(np.float64)
    along = (new * direction).sum(axis=0)
    assert (along >= -1e-6).all()
    assert (along <= length + 1e-6).all()
    np.testing.assert_allclose(new, along * direction, atol=2e-6)


@settings(max_examples=300, deadline=None)
@given(luma_and_chroma())
def test_merge_takes_away_no_more_than_it_must(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, cbcr = (part.astype(np.float64) for part in pair)
    cb, cr = cbcr
    full = np.stack([y[0] + 1.402 * cr, y[0] - 0.344136 * cb - 0.714136 * cr, y[0] + 1.772 * cb])  # ITU-T T.871
    inside = ((full >= 0) & (full <= 1)).all(axis=0)
    rgb = color.merge(y, cbcr)
    np.testing.assert_allclose(rgb[:, inside], full[:, inside], atol=2e-6)
    room = np.minimum(rgb, 1 - rgb).min(axis=0)
    assert (room[~inside] < 1e-5).all()  # outside: scaled just to the border of the gamut


def test_merge_of_one_luma_with_many_chromas_is_a_batch() -> None:
    rgb = batch()
    merged = color.merge(color.luma(rgb), color.chroma(rgb)[::-1])
    for i in range(len(rgb)):
        one = color.merge(color.luma(rgb[i]), color.chroma(rgb[len(rgb) - 1 - i]))
        np.testing.assert_array_equal(merged[i], one)


# --- CIE L*a*b* and CIEDE2000 -------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_lab_is_that_of_scikit_image(name: str) -> None:
    # scikit-image's matrix from RGB to XYZ is rounded otherwise, which makes up to 0.02 of a or b
    theirs = skimage.color.rgb2lab(pixels(name)).transpose(2, 0, 1)
    np.testing.assert_allclose(color.lab(picture(name, dtype=np.float64)), theirs, atol=0.03)
    np.testing.assert_allclose(color.lab(picture(name)), theirs, atol=0.03)


def test_lab_of_greys_has_no_colour() -> None:
    grey = np.broadcast_to(np.linspace(0, 1, 256), (3, 1, 256))
    lightness, a, b = color.lab(grey)
    np.testing.assert_allclose([a, b], 0, atol=1e-4)
    assert (lightness[0, 0], lightness[0, -1]) == pytest.approx((0, 100), abs=1e-4)
    assert (np.diff(lightness[0]) > 0).all()


def test_linear_is_the_srgb_curve() -> None:
    values = np.array([-1.0, 0.0, 0.04045, 0.2, 0.5, 1.0, 2.0])
    assert color.linear(values) == pytest.approx([0, 0, 0.0031308, 0.0331048, 0.2140411, 1, 1], abs=1e-6)


def test_ciede2000_of_the_published_pairs() -> None:
    first, second, published = SHARMA[:, :3], SHARMA[:, 3:6], SHARMA[:, 6]
    theirs = skimage.color.deltaE_ciede2000(first, second)
    np.testing.assert_allclose(theirs, published, atol=5.1e-5)  # the table above is typed right
    for one, other in ((first, second), (second, first)):
        ours = color.ciede2000(as_picture(one), as_picture(other))
        np.testing.assert_allclose(ours[0], published, atol=5.1e-5)
        tensors = color.ciede2000(*(torch.from_numpy(as_picture(part)) for part in (one, other)))
        np.testing.assert_allclose(tensors[0].numpy(), published, atol=5.1e-5)


@pytest.mark.parametrize(("one", "other"), [("astronaut", "coffee"), ("chelsea", "rocket")])
def test_ciede2000_of_photos_is_that_of_scikit_image(one: str, other: str) -> None:
    first, second = (color.lab(picture(name, 200, 200, np.float64)) for name in (one, other))
    theirs = skimage.color.deltaE_ciede2000(first.transpose(1, 2, 0), second.transpose(1, 2, 0))
    np.testing.assert_allclose(color.ciede2000(first, second), theirs, atol=1e-6)
    single = color.ciede2000(first.astype(np.float32), second.astype(np.float32))
    np.testing.assert_allclose(single, theirs, atol=2e-3)


COLOURS = arrays.arrays(np.float64, (2, 3, 1, 4), elements=st.floats(0, 1))


@settings(max_examples=200, deadline=None)
@given(COLOURS)
def test_ciede2000_is_a_difference(rgb: np.ndarray) -> None:
    first, second = color.lab(rgb)
    there, back = color.ciede2000(first, second), color.ciede2000(second, first)
    np.testing.assert_allclose(there, back, rtol=1e-6, atol=1e-9)
    assert np.isfinite(there).all()
    assert (there >= 0).all()
    np.testing.assert_array_equal(color.ciede2000(first, first), 0)


# --- NumPy and torch alike ----------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[color.Array], color.Array]] = {
    "luma": color.luma,
    "chroma": color.chroma,
    "linear": color.linear,
    "lab": color.lab,
    "merge": lambda rgb: color.merge(color.luma(rgb), 3 * color.chroma(rgb)),  # out of the gamut, too
    "ciede2000": lambda rgb: color.ciede2000(color.lab(rgb[:2]), color.lab(rgb[2:])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_and_torch_agree(name: str) -> None:
    rgb = batch(48, 64)
    ours, theirs = FUNCTIONS[name](rgb), FUNCTIONS[name](torch.from_numpy(rgb))
    assert isinstance(theirs, torch.Tensor)
    assert theirs.dtype == torch.float32
    assert ours.dtype == np.float32
    assert tuple(theirs.shape) == ours.shape
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-3 if name in ("lab", "ciede2000") else 1e-6)


@pytest.mark.parametrize("name", ["luma", "chroma", "linear", "lab", "merge"])
def test_any_leading_axes(name: str) -> None:
    rgb = batch()
    whole = FUNCTIONS[name](rgb.reshape(2, 2, *rgb.shape[1:]))
    for i in range(4):
        np.testing.assert_array_equal(whole[i // 2, i % 2], FUNCTIONS[name](rgb[i]))


def test_merge_can_be_trained_through() -> None:
    # a grey pixel and one at the border of the gamut: where a careless formula divides by zero
    y = torch.tensor([0.5, 1.0, 0.0, 0.3]).reshape(1, 1, 4).requires_grad_()
    cbcr = torch.zeros(2, 1, 4).requires_grad_()
    color.merge(y, cbcr).square().sum().backward()
    assert y.grad is not None
    assert cbcr.grad is not None
    assert torch.isfinite(y.grad).all()
    assert torch.isfinite(cbcr.grad).all()
