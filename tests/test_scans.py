"""Photos as people scan them: mounts, album pages, paper, printed dots, dark and faded scans, strips. With the bundled colorizer."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

import hashigo
from hashigo import color
from hashigo.apply.views import View, canvas, views
from hashigo.cli.main import main
from hashigo.image.photo import Photo, photo_of, read
from hashigo.image.scan import Box, dots, look
from photos import PHOTOS, pixels

CASES = Path(__file__).parents[2] / "shared" / "cases"


@cache
def colorizer(whole: bool = False) -> hashigo.Model:
    return hashigo.load("colorizer", whole=whole)


@cache
def grey(name: str) -> np.ndarray:
    """A photo's luma at a fair size: uint8 (H, W)."""
    return np.asarray(Image.fromarray(pixels(name)).convert("L").resize((360, 280)))


def chroma(scan: np.ndarray, **options: float) -> np.ndarray:
    """The chroma of the colorizer's result, of 255 levels: (2, H, W)."""
    made = colorizer()(scan, **options)  # type: ignore[call-overload]
    return 255 * color.chroma(made.transpose(2, 0, 1).astype(np.float32) / 255)


def paper(height: int, width: int, tone: float, light: float = 0.0, grain: float = 0.0) -> np.ndarray:
    """A sheet of paper, unevenly lit and grainy: uint8 (H, W)."""
    rows = np.linspace(-1, 1, height)[:, None]
    noise = np.random.default_rng(0).normal(0, grain, (height, width))
    return np.clip(255 * (tone + light * rows + noise) + 0.5, 0, 255).astype(np.uint8)


def lettered(sheet: np.ndarray, lines: int = 14) -> np.ndarray:
    image = Image.fromarray(sheet)
    font = ImageFont.load_default(max(8, sheet.shape[0] // 40))
    for line in range(lines):
        place = (sheet.shape[1] // 10, sheet.shape[0] // 12 + line * sheet.shape[0] // 20)
        ImageDraw.Draw(image).text(place, f"The weather is fine and the boat leaves at {line}.", fill=40, font=font)
    return np.asarray(image)


def strength(values: np.ndarray) -> np.ndarray:
    return np.hypot(*values)


# --- borders and pages --------------------------------------------------------------------------------------

TONES = st.floats(0.0, 1.0)
MARGINS = st.tuples(*[st.integers(16, 120)] * 4)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(PHOTOS), TONES, MARGINS, st.floats(-0.02, 0.02), st.floats(0.0, 0.01))
@example("chelsea", 0.0, (130, 130, 110, 110), 0.0, 0.0)
@example("chelsea", 1.0, (130, 130, 110, 110), 0.0, 0.0)
def test_a_border_gets_no_colour_and_does_not_change_the_photo(
    name: str, tone: float, margins: tuple[int, int, int, int], light: float, grain: float
) -> None:
    photo = grey(name)
    edge = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]]) / 255
    if np.mean(np.abs(edge - tone) < 0.12) > 0.25:
        reject()  # such a border cannot be told from the photo
    top, bottom, left, right = margins
    scan = paper(photo.shape[0] + top + bottom, photo.shape[1] + left + right, tone, light, grain)
    scan[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    made, alone = chroma(scan), chroma(photo)
    inside = made[:, top : top + photo.shape[0], left : left + photo.shape[1]]
    assert np.abs(inside - alone)[:, 8:-8, 8:-8].mean() < 2.5
    frame = np.ones(scan.shape, bool)
    frame[top - 6 : top + photo.shape[0] + 6, left - 6 : left + photo.shape[1] + 6] = False
    assert strength(made)[frame].max() <= 1.5


@pytest.mark.parametrize("tone", [0.15, 0.28, 0.97])
@pytest.mark.parametrize("places", [((20, 20), (320, 420)), ((30, 30), (30, 430), (330, 30), (330, 430))], ids=len)
def test_photos_on_a_page_are_coloured_one_by_one(tone: float, places: tuple[tuple[int, int], ...]) -> None:
    page = paper(640, 820, tone, 0.01, 0.005)
    for (top, left), name in zip(places, PHOTOS, strict=False):
        page[top : top + 280, left : left + 360] = grey(name)
    found = sorted(view.box for view in views(photo_of(page)))
    assert len(found) == len(places)
    for box, (top, left) in zip(found, sorted(places), strict=True):
        assert np.abs(np.subtract(box, (top, left, top + 280, left + 360))).max() <= 3
    made = chroma(page)
    for (top, left), name in zip(places, PHOTOS, strict=False):
        part = made[:, top : top + 280, left : left + 360]
        assert np.abs(part - chroma(grey(name)))[:, 8:-8, 8:-8].mean() < 2.5
    free = np.ones(page.shape, bool)
    for top, left in places:
        free[top - 6 : top + 286, left - 6 : left + 366] = False
    assert strength(made)[free].max() <= 1.5


def test_a_slide_within_a_mount_within_a_page() -> None:
    page = paper(600, 800, 0.95)
    page[80:520, 100:700] = 12
    page[140:420, 200:560] = grey("coffee")
    assert [view.box for view in views(photo_of(page))] == [Box(140, 200, 420, 560)]


def test_bars_of_a_wide_film_stay_black() -> None:
    film = np.zeros((400, 360), np.uint8)
    film[60:340] = grey("rocket") // 2 + 60
    assert [view.box for view in views(photo_of(film))] == [Box(60, 0, 340, 360)]


@pytest.mark.parametrize("name", PHOTOS)
def test_an_ordinary_photo_is_seen_as_it_is(name: str) -> None:
    photo = photo_of(pixels(name))
    assert views(photo) == [View(Box(0, 0, photo.height, photo.width))]
    assert np.array_equal(colorizer()(pixels(name)), colorizer(whole=True)(pixels(name)))


def test_a_hint_on_the_border_gives_it_colour() -> None:
    scan = paper(480, 560, 0.9)
    scan[100:380, 100:460] = grey("chelsea")
    plain = colorizer()(scan)
    assert strength(chroma(scan))[:60].max() <= 1.5
    hinted = colorizer()(scan, [(280, 30, "#3060c0")])
    assert int(hinted[30, 280, 2]) - hinted[30, 280, 0] > 30
    within = colorizer()(scan, [(280, 240, "#3060c0")])  # on the photo: the border stays grey
    assert np.array_equal(within[:60], plain[:60])
    assert int(within[240, 280, 2]) - within[240, 280, 0] > 30


# --- paper --------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(TONES, st.floats(-0.05, 0.05), st.floats(0, 0.02), st.integers(40, 700), st.integers(40, 700))
@example(0.5, 0.0, 0.0, 240, 320)
def test_an_empty_sheet_stays_grey(tone: float, light: float, grain: float, height: int, width: int) -> None:
    assert strength(chroma(paper(height, width, tone, light, grain), vivid=1.0)).max() <= 3


@pytest.mark.parametrize("tone", [0.6, 0.85, 0.97])
@pytest.mark.parametrize("lines", [6, 16])
@pytest.mark.parametrize("height", [300, 1200])
def test_a_letter_stays_grey(tone: float, lines: int, height: int) -> None:
    sheet = lettered(paper(height, height * 3 // 4, tone, 0.02, 0.01), lines)
    assert strength(chroma(sheet, vivid=1.0)).max() <= 3


def test_less_and_less_contrast_is_calmer_and_calmer() -> None:
    photo = grey("chelsea").astype(np.float32)
    means = [strength(chroma((128 + share * (photo - 128)).astype(np.uint8))).mean() for share in (1, 0.2, 0.15, 0.02)]
    assert means[0] > means[1] > means[2] > means[3]
    assert means[3] <= 0.1


# --- printed dots -------------------------------------------------------------------------------------------


def printed(photo: np.ndarray, pitch: float, angle: float) -> np.ndarray:
    rows, columns = np.indices(photo.shape)
    turned = np.deg2rad(angle)
    u, v = np.cos(turned) * columns + np.sin(turned) * rows, np.cos(turned) * rows - np.sin(turned) * columns
    screen = 0.5 + 0.25 * (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch))
    ink = np.clip((photo / 255 - (0.05 + 0.9 * screen)) * 6 + 0.5, 0, 1)
    return np.asarray(20 + 200 * ink, np.uint8)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(PHOTOS), st.floats(4, 12), st.floats(0, 90))
@example("chelsea", 8.0, 45.0)
def test_printed_dots_are_found_and_do_not_become_blotches(name: str, pitch: float, angle: float) -> None:
    photo = np.asarray(Image.fromarray(grey(name)).resize((720, 560)))
    scan = printed(photo, pitch, angle)
    assert dots(scan.astype(np.float32) / 255) == pytest.approx(pitch, rel=0.02)
    made, alone = chroma(scan), chroma(photo)
    # where ink is full or absent, no colour is in gamut: compare means over dots
    side = 40
    means = [values.reshape(2, 560 // side, side, 720 // side, side).mean(axis=(2, 4)) for values in (made, alone)]
    assert strength(means[0]).max() <= 1.3 * strength(means[1]).max() + 6


@pytest.mark.parametrize("name", [*PHOTOS, "grass", "gravel"])
def test_photos_and_textures_have_no_dots(name: str) -> None:
    assert dots(np.asarray(Image.fromarray(pixels(name)).convert("L"), np.float32) / 255) == 0


# --- dark, light and faded ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(("low", "high"), [(0, 60), (195, 255), (90, 170)], ids=str)
def test_very_dark_light_and_faded_scans_look_like_the_photo(name: str, low: int, high: int) -> None:
    photo = grey(name)
    scan = (low + photo.astype(np.float32) * (high - low) / 255).astype(np.uint8)
    luma = scan[None].astype(np.float32) / 255
    expected = color.merge(luma, chroma(photo) / 255)
    made = color.merge(luma, chroma(scan) / 255)
    assert color.ciede2000(color.lab(expected), color.lab(made)).mean() < 7
    assert strength(255 * color.chroma(made)).mean() > 0.3 * strength(255 * color.chroma(expected)).mean()


def test_sepia_is_as_grey() -> None:
    y = grey("chelsea").astype(np.float32)
    sepia = np.stack([np.clip(y * f + d, 0, 255) for f, d in ((0.95, 20), (0.9, 8), (0.8, 0))], axis=2).astype(np.uint8)
    made, alone = chroma(sepia), chroma(grey("chelsea"))
    assert np.abs(made - alone).mean() < 6


# --- strips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(120, 1600), (1600, 120), (200, 5000), (30, 100), (1, 700)], ids=str)
def test_pieces_of_a_strip_cover_it_once(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = photo_of(rng.integers(0, 255, size).astype(np.uint8))
    found = views(photo)
    assert len(found) > 1
    ones = [np.ones((2, 4, 4), np.float32) for _ in found]
    np.testing.assert_allclose(canvas(photo, found, ones, 0, size[0]), 1.0, atol=1e-5)
    for view in found:
        assert max(view.box.height, view.box.width) <= 2 * min(view.box.height, view.box.width) + 1


def test_a_strip_has_no_seams() -> None:
    """Pieces whose answers differ by 1 go over into each other evenly, along all that they share."""
    photo = photo_of(np.random.default_rng(0).integers(0, 255, (120, 1600)).astype(np.uint8))
    found = views(photo)
    answers = [np.full((2, 8, 16), number, np.float32) for number in range(len(found))]
    steps = np.diff(canvas(photo, found, answers, 0, 120), axis=2)
    assert steps.min() >= -1e-5
    assert steps.max() <= 1.01 / min(view.before for view in found[1:])


# --- what people are told, and how to do without ------------------------------------------------------------


def test_guesses_are_reported_and_can_be_overruled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = paper(640, 820, 0.28)
    page[20:300, 20:380], page[320:600, 420:780] = grey("chelsea"), grey("coffee")
    border = paper(480, 560, 0.0)
    border[100:380, 100:460] = grey("chelsea")
    for name, array in (("page", page), ("border", border), ("sheet", paper(240, 320, 0.5)), ("photo", grey("coffee"))):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    assert main(["colorize", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    said = "".join(capsys.readouterr())
    for line in ("a page with 2 photos", "a photo with a border", "an empty or written sheet", "use --whole"):
        assert line in said
    assert "photo.png:" not in said
    assert main(["colorize", str(tmp_path), "-o", str(tmp_path / "out"), "--whole"]) == 0  # made again
    assert "seen as" not in "".join(capsys.readouterr())
    sheet = read(tmp_path / "out" / "sheet.color.png").rgb()
    assert np.ptp(sheet, axis=0).max() > 0.05


def test_guesses_are_reported_for_a_pipe_and_for_further_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    border = paper(480, 560, 0.0)
    border[100:380, 100:460] = grey("chelsea")
    first, second = Image.fromarray(grey("coffee")), Image.fromarray(border)
    first.save(tmp_path / "pages.tiff", save_all=True, append_images=[second])
    second.save(tmp_path / "border.png")
    assert main(["colorize", str(tmp_path / "pages.tiff"), "-o", str(tmp_path / "out"), "--pages", "all"]) == 0
    assert "page 2: seen as a photo with a border, which stays grey; if that is wrong, use --whole" in "".join(
        capsys.readouterr()
    )
    for name, said in (
        ("border.png", "seen as a photo with a border"),
        ("pages.tiff", "page 2: seen as a photo with a border"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((tmp_path / name).read_bytes())))
            assert main(["colorize", "-", "-o", str(tmp_path / f"piped-{name}"), "--pages", "all"]) == 0
        assert said in "".join(capsys.readouterr())


def test_a_colour_scan_is_seen_as_its_grey_copy() -> None:
    rgb = (90 + pixels("coffee").astype(np.float32) * np.array([0.35, 0.2, 0.1])).astype(np.uint8)
    copy = np.asarray(Image.fromarray(rgb).convert("L"))
    seen, alone = (colorizer().prepare(photo_of(array)).x[0] for array in (rgb, copy))
    assert np.abs(seen - alone).mean() < 0.02


def test_odd_shapes_and_depths() -> None:
    for array in (np.zeros((1, 1), np.uint8), np.full((3, 400), 200, np.uint8), np.zeros((25, 24, 3), np.uint8)):
        assert colorizer()(array).shape[:2] == array.shape[:2]
    deep = Photo(np.full((300, 300), 30000, np.uint16))
    assert colorizer().apply(deep).pixels.dtype == np.uint16
    assert look(np.zeros((2, 300), np.float32)).contents == (0.0,)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize(
    ("case", "photos", "most"),
    [("06-newsprint-lurid/newsprint8.png", 1, 60), ("07-albumpage-blue/albumpage.png", 2, 90), ("08-letter-blue/letter.png", 1, 3),
     ("11-border-changes-colours/whiteborder.png", 1, 60), ("17-flat-grey-blue/mid.png", 1, 3)],
)  # fmt: skip
def test_the_scans_that_once_failed(case: str, photos: int, most: int) -> None:
    photo = read(CASES / case)
    assert len(views(photo)) == photos
    assert strength(chroma(photo.pixels)).max() <= most
