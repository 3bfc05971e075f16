"""hashigo.tasks.hints and hashigo.tasks.damage: what training does to an input, and what a person may add to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashigo import color
from hashigo.errors import PictureError, RecipeError
from hashigo.randomness import PictureRng
from hashigo.tasks import damage, make_task
from hashigo.tasks.capabilities import hint_taker
from hashigo.tasks.hints import Hint, parse_hint, random_hints, set_hints
from hashigo.tasks.spread import WITHOUT_FEATURES, Kernel, distances, limit, spread_hints
from photos import batch


def many(count: int = 200, side: int = 24) -> np.ndarray:
    rgb = batch(side, side)
    return np.tile(rgb, (count // len(rgb), 1, 1, 1))


def rng(count: int = 200) -> PictureRng:
    return PictureRng(3, 1, np.arange(count))


def test_hints_are_where_they_are_told_and_of_that_colour() -> None:
    known = np.array([[0.25, -0.1], [-0.3, 0.2]], np.float32)
    hints = set_hints([(0.1, 0.2), (0.8, 0.5)], known, 40, 60)
    assert hints.shape == (3, 40, 60)
    np.testing.assert_allclose(hints[:2, 8, 6], known[0])
    np.testing.assert_allclose(hints[:2, 20, 48], known[1])
    assert hints[2].sum() == 50
    assert (hints[:2, hints[2] == 0] == 0).all()
    corner = set_hints([(1.0, 1.0)], known[:1], 10, 10)
    assert corner[2].sum() == 9, "three by three of it are within the picture"


def test_overlapping_hints_mix() -> None:
    known = np.array([[0.2, 0.0], [0.0, 0.2]], np.float32)
    hints = set_hints([(0.5, 0.5), (0.5, 0.5)], known, 20, 20)
    np.testing.assert_allclose(hints[:2, 10, 10], [0.1, 0.1])
    assert hints[2].max() == 1


def test_random_hints_tell_the_truth() -> None:
    chroma = color.chroma(many())
    hints = random_hints(chroma, rng(), 0.5)
    mask = hints[:, 2]
    assert set(np.unique(mask)) == {0.0, 1.0}
    given = mask.any(axis=(1, 2))
    assert 0.35 < given.mean() < 0.65, "a share of the pictures"
    assert (hints[:, :2] * (1 - mask[:, None]) == 0).all()
    inside = mask.astype(bool)
    away = np.abs(hints[:, :2] - chroma).max(axis=1)[inside]
    assert np.median(away) < 0.03, "the mean colour of a small square is near each pixel's"
    covered = mask[given].mean(axis=(1, 2))
    assert covered.min() < 0.02 < 0.1 < covered.max(), "few and many"
    assert (random_hints(chroma, rng(), 0.0) == 0).all()


def test_hints_of_numpy_and_torch_are_the_same() -> None:
    chroma = color.chroma(batch(24, 32))
    ours = random_hints(chroma, PictureRng(0, 0, np.arange(4)), 1.0)
    theirs = random_hints(torch.from_numpy(chroma), PictureRng(0, 0, torch.arange(4)), 1.0)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)


def test_hints_by_hand() -> None:
    assert parse_hint("12.5, 8,#ff8000") == Hint(12.5, 8, (1.0, 128 / 255, 0.0))
    for wrong in ("12,8", "a,8,#ff8000", "12,8,#ff80", "12,8,red", "nan,8,#ff8000", "1,2,#-f-f-f", "1,2,#1_0000", ""):
        with pytest.raises(PictureError, match="x,y,#rrggbb"):
            parse_hint(wrong)


def test_the_task_puts_hints_beside_the_luma() -> None:
    task, rgb = make_task("colorize-bins"), batch(32, 48)[0]
    x = task.encode(rgb)
    assert (x[1:] == 0).all()
    red = Hint(40, 20, (1.0, 0.0, 0.0))
    hinted = task.with_hints(x, [red], (64, 96))
    np.testing.assert_array_equal(hinted[0], x[0])
    dark = x[0, 8:13, 18:23].mean()  # as bright as red can be there, without leaving the gamut
    scale = min(1.0, dark / 0.299, (1 - dark) / 0.701)
    np.testing.assert_allclose(hinted[1:3, 10, 20], np.array([-0.168736, 0.5]) * scale, atol=1e-4)
    assert task.with_hints(x, [], (64, 96)) is x
    with pytest.raises(RecipeError, match="within the photo, 96 pixels wide and 64 high"):
        task.with_hints(x, [Hint(96, 0, (1, 0, 0))], (64, 96))
    with pytest.raises(RecipeError, match="takes no colour hints"):
        hint_taker(make_task("colorize"))


def test_training_varies_the_input_only() -> None:
    task, rgb = make_task("colorize-bins", damaged=1.0, hinted=1.0), batch(32, 32)
    x, y = task.pair(rgb, PictureRng(0, 0, np.arange(len(rgb))))
    np.testing.assert_array_equal(y, color.chroma(rgb))
    assert np.abs(x[:, :1] - color.luma(rgb)).mean() > 0.01
    assert x[:, 3].any()
    assert x[:, 0].min() >= 0
    assert x[:, 0].max() <= 1


# --- spreading them over an answer ----------------------------------------------------------------------


def told(points: list[tuple[float, float]], chroma: list[tuple[float, float]], y: np.ndarray) -> np.ndarray:
    """An input with hints: (4, H, W)."""
    return np.concatenate([y[None], set_hints(points, np.array(chroma, np.float32), *y.shape)]).astype(np.float32)


def answer(height: int, width: int) -> np.ndarray:
    """Chroma that changes from place to place: (2, height, width)."""
    return color.chroma(batch(height, width)[1])


def test_without_hints_an_answer_stays_as_it_is() -> None:
    given = answer(32, 48)
    assert spread_hints(given, make_task("colorize-bins").encode(batch(64, 96)[0])) is given


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_a_hint_has_its_colour_at_its_place_and_the_less_the_farther(side: int) -> None:
    given, red = answer(128 // side, 192 // side) * 0, (-0.1, 0.3)
    made = spread_hints(given, told([(0.25, 0.5)], [red], np.full((128, 192), 0.5, np.float32)))
    row = made[1, 64 // side]
    assert 0.95 * 0.3 < row[48 // side] <= 0.3
    np.testing.assert_allclose(made[0], made[1] * (-0.1 / 0.3), atol=1e-6)
    assert (np.diff(row[48 // side + 2 :]) <= 1e-7).all()
    assert row[-1] < 0.02


def test_other_luma_and_other_colours_get_a_cast_at_most() -> None:
    y = np.full((64, 96), 0.2, np.float32)
    y[:, 48:] = 0.9
    given = np.zeros((2, 64, 96), np.float32)
    given[0, 40:] = 0.25
    made = spread_hints(given, told([(0.3, 0.5)], [(0.0, 0.3)], y))
    assert made[1, 32, 28] > 0.25
    assert made[1, 32, 10] > 0.1
    assert np.abs(made[1, :, 49:]).max() < 1.1 * limit(1), "another luma"
    assert np.abs(made[1, 41:]).max() < 1.1 * limit(1) + 0.02, "another colour"


def test_places_that_look_alike_get_a_hints_colour_however_far_they_are_between_others() -> None:
    """Two objects of one kind beside a third, all with the same luma and chroma: only features tell them apart."""
    x = told([(0.3, 0.5)], [(0.0, 0.3)], np.full((64, 192), 0.5, np.float32))
    features = np.zeros((3, 4, 12), np.float32)
    features[0, :, :4], features[1, :, 4:8], features[0, :, 8:] = 1, 1, 1
    made = spread_hints(np.zeros((2, 16, 48), np.float32), x, features=features)[1]
    with_hint, between = made[8, int(0.3 * 48)], made[8, 24]
    assert with_hint > 0.28
    assert between < 0.4 * made[8, 4], "nearer, but another kind"


def test_a_hint_is_followed_exactly_as_a_gaussian_process_predicts() -> None:
    rgb = batch(96, 120)[0]
    y, chroma = color.luma(rgb)[0], color.chroma(rgb)
    given = chroma * 0.3
    points = [(0.2, 0.3), (0.7, 0.6)]
    x = told(points, [tuple(chroma[:, int(v * 96), int(u * 120)]) for u, v in points], y)
    made = spread_hints(given, x)
    rows, columns = np.nonzero(x[3])
    error = (x[1:3] - given)[:, rows, columns].T.astype(np.float64)
    size = np.hypot(*error.T)
    cast = error * np.minimum(1, limit(2) / size)[:, None]

    def covariance(kernel: Kernel, a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        apart = [
            sum((p[:, None] - q) ** 2 for p, q in zip(a, b, strict=True)) / 96**2,
            (y[a][:, None] - y[b]) ** 2,
            ((given[:, a[0], a[1]][:, :, None] - given[:, b[0], b[1]][:, None]) ** 2).sum(axis=0),
        ]
        return sum(
            weight * np.exp(-0.5 * sum(d / w**2 for d, w in zip(apart, widths, strict=False)))
            for weight, widths in zip(kernel.weights, kernel.widths, strict=True)
        )  # type: ignore[return-value]

    hints, asked = (rows, columns), (np.array([0, 50, 95]), np.array([0, 60, 7]))
    change = np.zeros((3, 2))
    for kernel, part in zip(WITHOUT_FEATURES, (cast, error - cast), strict=True):
        noise = 1e-3 * sum(kernel.weights) * np.eye(len(rows))
        change += covariance(kernel, asked, hints) @ np.linalg.solve(covariance(kernel, hints, hints) + noise, part)
    change *= np.minimum(1, size.max() / np.hypot(*change.T))[:, None]
    np.testing.assert_allclose(made[:, asked[0], asked[1]].T, given[:, asked[0], asked[1]].T + change, atol=2e-4)


def test_many_hints_are_all_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = batch(96, 120)[0]
    y, chroma = color.luma(rgb)[0], color.chroma(rgb)
    rng = np.random.default_rng(0)
    points = [tuple(one) for one in rng.uniform(0.05, 0.95, (40, 2))]
    known = [tuple(chroma[:, int(v * 96), int(u * 120)]) for u, v in points]
    x, given = told(points, known, y), chroma * 0.3
    made = spread_hints(given, x)
    assert np.abs(made - chroma).mean() < 0.75 * np.abs(given - chroma).mean()
    painted = x[3] > 0
    assert np.abs(made - x[1:3])[:, painted].mean() < 0.01
    monkeypatch.setattr("hashigo.tasks.spread.AT_ONCE", 1)
    np.testing.assert_allclose(spread_hints(given, x), made, atol=3e-4)
    monkeypatch.setattr("hashigo.tasks.spread.MOST_PLACES", 200)  # of 922 that are painted
    assert np.abs(spread_hints(given, x) - made).mean() < 0.01


def test_no_correction_is_stronger_than_at_a_hint() -> None:
    """Two hints beside each other that contradict: a Gaussian process alone would continue their difference beyond them."""
    x = told([(0.47, 0.5), (0.53, 0.5)], [(0.0, 0.2), (0.0, -0.2)], np.full((128, 128), 0.5, np.float32))
    made = spread_hints(np.zeros((2, 64, 64), np.float32), x)
    assert np.hypot(*made).max() <= 0.2 + 1e-5


def test_features_of_a_padded_picture_belong_to_the_same_places() -> None:
    """The last features are of squares of 16 pixels that reach beyond the picture of 100."""
    features = np.zeros((2, 7, 7), np.float32)
    features[0, :, :4], features[1, :, 4:] = 1, 1
    y = np.full((100, 100), 0.5, np.float32)
    made = spread_hints(np.zeros((2, 25, 25), np.float32), told([(0.3, 0.5)], [(0.0, 0.3)], y), features=features)[
        1, 12
    ]
    assert made[15] < 0.5 * made[13], "the border between the halves is at 16 of 25 columns"


def test_distances() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 3)).astype(np.float32) for n in (5, 4))
    np.testing.assert_allclose(distances([a], [b])[0], np.square(a[:, None] - b).sum(axis=2), atol=1e-5)


@pytest.mark.parametrize("apart", [0.06, 0.2, 0.5])
def test_neighbouring_hints_of_different_colours_are_both_followed(apart: float) -> None:
    reds, greys = [(0.2, 0.5)], [(0.2 + apart, 0.5), (0.2 + apart, 0.4), (0.2 + apart, 0.6)]
    x = told(reds + greys, [(0.0, 0.3)] + [(0.0, 0.0)] * 3, np.full((128, 128), 0.5, np.float32))
    made = spread_hints(np.zeros((2, 64, 64), np.float32), x)[1]
    assert made[32, int(0.2 * 64)] > 0.25
    assert abs(made[32, int((0.2 + apart) * 64)]) < 0.06


@pytest.mark.parametrize("at", [(0.0, 0.0), (0.999, 0.5), (0.5, 0.999)])
def test_a_hint_at_the_border_is_followed(at: tuple[float, float]) -> None:
    made = spread_hints(
        np.zeros((2, 64, 96), np.float32), told([at], [(0.1, -0.2)], np.full((128, 192), 0.5, np.float32))
    )
    np.testing.assert_allclose(made[:, int(at[1] * 64), int(at[0] * 96)], (0.1, -0.2), atol=0.01)


@pytest.mark.parametrize("stem", [2, 4, 16])
@pytest.mark.parametrize("size", [(1, 1), (1, 60), (33, 7), (5, 90)])
def test_pictures_of_any_size_take_hints(size: tuple[int, int], stem: int) -> None:
    small = tuple(-(-side // stem) for side in size)
    x = told([(0.5, 0.5), (0.5, 0.5)], [(0.1, 0.1), (0.1, 0.1)], np.full(size, 0.5, np.float32))
    made = spread_hints(np.zeros((2, *small), np.float32), x)
    assert made.shape == (2, *small)
    np.testing.assert_allclose(made[:, small[0] // 2, small[1] // 2], 0.1, atol=0.05)


# --- damage ---------------------------------------------------------------------------------------------


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def luma() -> np.ndarray:
    return color.luma(batch(40, 52))


NOTHING = column(0, 0, 0, 0)
FULL = column(1, 1, 1, 1)


def test_no_strength_changes_nothing() -> None:
    y = luma()
    for same in (
        damage.toned(y, NOTHING), damage.faded(y, NOTHING, NOTHING), damage.blurred(y, NOTHING),
        damage.compressed(y, NOTHING), damage.contrasted(y, NOTHING), damage.filmed(batch(40, 52), np.ones((4, 3, 1, 1)), NOTHING),
        damage.old_photo(batch(40, 52), PictureRng(0, 0, np.arange(4)), 0.0),
    ):  # fmt: skip
        np.testing.assert_allclose(same, y, atol=2e-4)


def test_tones() -> None:
    y = luma()
    assert damage.toned(y, FULL).mean() < y.mean() < damage.toned(y, -FULL).mean()
    faded = damage.faded(y, FULL, FULL)
    assert faded.min() >= 0.25
    assert faded.max() <= 0.75
    np.testing.assert_allclose(damage.faded(column(0.0, 1.0), column(0.4, 0.4), column(0.8, 0.8)).ravel(), [0.1, 0.8])


def test_film_that_sees_some_colours_only() -> None:
    rgb = batch(40, 52)
    blue = np.tile(np.array([1e-6, 1e-6, 1], np.float32).reshape(1, 3, 1, 1), (4, 1, 1, 1))
    np.testing.assert_allclose(damage.filmed(rgb, blue, FULL), rgb[:, 2:], atol=1e-5)
    half = damage.filmed(rgb, blue, 0.5 * FULL)
    np.testing.assert_allclose(half, (color.luma(rgb) + rgb[:, 2:]) / 2, atol=1e-5)
    grey = np.repeat(luma(), 3, axis=1)
    np.testing.assert_allclose(damage.filmed(grey, 5 * blue + 1, FULL), luma(), atol=1e-5)


def test_contrast_is_about_the_mean() -> None:
    y = 0.3 + 0.4 * luma()
    more = damage.contrasted(y, FULL)
    np.testing.assert_allclose(more.mean(axis=(1, 2, 3)), y.mean(axis=(1, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(more.std(axis=(1, 2, 3)), 1.6 * y.std(axis=(1, 2, 3)), rtol=1e-3)
    hard = damage.contrasted(luma(), FULL)
    assert hard.min() >= 0
    assert hard.max() <= 1


def test_blur_and_compression_lose_detail_and_keep_the_mean() -> None:
    y = luma()
    for lossy in (damage.blurred(y, FULL), damage.compressed(y, 0.02 * FULL)):
        assert lossy.shape == y.shape
        assert np.abs(lossy - y).mean() > 0.003
        np.testing.assert_allclose(lossy.mean(axis=(1, 2, 3)), y.mean(axis=(1, 2, 3)), atol=0.01)
    smoothed = np.abs(np.diff(damage.blurred(y, FULL), axis=-1)).mean()
    assert smoothed < 0.75 * np.abs(np.diff(y, axis=-1)).mean()
    np.testing.assert_array_equal(damage.compressed(y, FULL)[..., 48:], y[..., 48:])


def test_compression_is_jpegs_transform() -> None:
    from scipy.fft import dctn

    y = luma()[..., :40, :48]
    compressed = damage.compressed(y, 0.05 * FULL)
    number = np.arange(8)
    steps = 0.05 * (1 + number[:, None] + number)
    coefficients = dctn(compressed[0, 0, 8:16, 16:24].astype(np.float64), norm="ortho") / steps
    np.testing.assert_allclose(coefficients, np.round(coefficients), atol=1e-4)


def test_old_photos_are_damaged_each_in_its_own_way() -> None:
    rgb = np.tile(batch(40, 52), (50, 1, 1, 1))
    y, old = color.luma(rgb), damage.old_photo(rgb, rng(), 0.5)
    assert old.min() >= 0
    assert old.max() <= 1
    away = np.abs(old - y).mean(axis=(1, 2, 3))
    assert 0.35 < (away < 1e-4).mean() < 0.65, "half are spared"
    assert away.max() > 0.1
    part = damage.old_photo(rgb[7:9], PictureRng(3, 1, np.array([7, 8])), 0.5)
    np.testing.assert_array_equal(part, old[7:9])
