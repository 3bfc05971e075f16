"""The web page in a real browser, at the size of a phone and of a desktop window."""

from __future__ import annotations

import io
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images

from hashigo import color
from hashigo.cli.main import main
from photos import PHOTOS, pixels
from serving import Running, serving

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
if not CHROMIUM:
    pytest.skip("needs Chromium (on Debian: apt-get install chromium)", allow_module_level=True)

SIZES = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}
BROKEN = "torn.jpg"
SWATCHES = ("skin1", "skin2", "skin3", "lips", "blond", "brown", "red", "black", "sky", "sea", "grass", "leaves", "wood", "brick", "sand", "khaki", "olive", "navy", "crimson")  # fmt: skip
PIXEL = """async ([id, x, y]) => {
  const image = document.getElementById(id), canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const at = (share, length) => Math.floor(share * length);
  return [...context.getImageData(at(x, canvas.width) - 2, at(y, canvas.height) - 2, 5, 5).data];
}"""


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """20 photos, one of which is cut short and one of which no browser shows."""
    folder = tmp_path_factory.mktemp("album")
    sources = {name: pixels(name) for name in PHOTOS} | dict(
        zip(("temple", "dahlia"), load_sample_images().images, strict=True)
    )
    sources |= {"camera": data.camera(), "coins": data.coins(), "moon": data.moon()}
    for name, array in sources.items():
        picture = Image.fromarray(array).convert("L")
        if name == "coffee":  # larger than its preview
            picture = picture.resize((1800, 1200))
        tags = Image.Exif()
        tags[0x010E] = f"Album of {name}"
        picture.save(folder / f"{name}.jpg", quality=90, exif=tags)
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((240, 180)).save(folder / f"{name} mirrored.png")
    Image.fromarray(pixels("coffee")).convert("L").save(folder / "scan.tif")
    (folder / BROKEN).write_bytes((folder / "coffee.jpg").read_bytes()[:9000])
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("page"), "--workers", "2", "--limit", "photo_megapixels=12") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as runner:
        chromium = runner.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """One open page and what happened on it."""

    page: object
    size: str
    address: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.page.goto(self.address)
        until(self.page, "() => document.getElementById('model').options.length > 0")

    def add(self, *files: Path | dict[str, object]) -> None:
        self.page.set_input_files("#files", list(files))

    def wait_until_done(self) -> None:
        until(
            self.page,
            "() => !document.querySelector('#thumbs .waiting, #thumbs .colouring') && document.querySelector('#thumbs li')",
        )

    def choose(self, name: str) -> None:
        self.page.locator("#thumbs .open", has_text=name).first.click()
        assert self.page.inner_text("#name") == name

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """The position on the screen of a spot in the photo."""
        self.page.locator("#stage").scroll_into_view_if_needed()
        box = self.page.locator(".pane.after").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def tap(self, x: float, y: float) -> None:
        at = self.spot(x, y)
        (self.page.touchscreen.tap if self.size == "phone" else self.page.mouse.click)(*at)

    def colour(self, image: str, x: float, y: float) -> np.ndarray:
        """The mean colour around a spot of the "before" or "after" picture, sRGB 0..1."""
        return np.mean(np.reshape(self.page.evaluate(PIXEL, [image, x, y]), (-1, 4))[:, :3], 0) / 255

    def shown(self) -> str:
        return self.page.get_attribute("#after", "src")

    def wait_for_result(self, before: str) -> None:
        until(
            self.page,
            "before => document.getElementById('after').src !== before && !document.querySelector('#stage.stale')",
            before,
        )


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: object, service: Running) -> Iterator[Visit]:
    context = browser.new_context(**SIZES[request.param], accept_downloads=True, locale="en-GB")
    context.add_init_script("delete window.showSaveFilePicker")  # its window cannot be tested
    page = context.new_page()
    here = Visit(page, request.param, f"http://127.0.0.1:{service.port}/")
    page.on("request", lambda asked: here.requests.append(asked.url))
    page.on("pageerror", lambda error: here.errors.append(str(error)))
    here.open()
    yield here
    context.close()
    assert not here.errors
    assert all(url.startswith((here.address, "blob:", "data:")) for url in here.requests)


def until(page: object, expression: str, argument: object = None, seconds: float = 60) -> None:
    """Waits until a JavaScript function returns something true. (Playwright's own way needs eval, which the page forbids.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"{expression}\n{page.inner_text('body')[:600]}"
        page.wait_for_timeout(20)


def chroma(rgb: np.ndarray) -> np.ndarray:
    return color.chroma(rgb.reshape(3, 1, 1))[:, 0, 0]


def luma(rgb: np.ndarray) -> float:
    return float(color.luma(rgb.reshape(3, 1, 1)).item())


def test_the_page_is_small(visit: Visit, service: Running) -> None:
    visit.page.wait_for_load_state("networkidle")
    assert len(visit.requests) <= 8
    sizes = [
        len(service.ask("GET", url.removeprefix(visit.address[:-1]), **{"Accept_Encoding": "gzip"}).body)
        for url in visit.requests
    ]
    assert sum(sizes) <= 60_000
    again = service.ask("GET", "/static/main.js")
    assert service.ask("GET", "/static/main.js", **{"If_None_Match": again.headers["etag"]}).status == 304


def test_an_album(visit: Visit, album: list[Path], tmp_path: Path, service: Running) -> None:
    page = visit.page
    visit.add(*album)
    visit.wait_until_done()
    assert (page.inner_text("#count"), page.inner_text("#failures")) == ("19 of 20 done", "1 failed")
    assert page.locator("#thumbs li.failed").inner_text().replace("×", "").split("\n")[:2] == [
        BROKEN,
        "This photo is damaged.",
    ]
    visit.choose(BROKEN)
    assert page.inner_text("#message").strip() == "This photo is damaged.", (
        "no programmer's words, and no button that cannot help"
    )

    visit.choose("coffee.jpg")  # compare
    box = page.locator("#handle").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 120, middle[1], steps=4)
    page.mouse.up()
    assert int(page.get_attribute("#handle", "aria-valuenow")) < 40
    page.keyboard.press("End")
    assert page.get_attribute("#handle", "aria-valuenow") == "100"
    page.keyboard.press("Home")
    assert page.get_attribute("#handle", "aria-valuetext") == "0% original"

    spot, before = (0.75, 0.3), visit.shown()  # hint
    visit.tap(*spot)
    page.locator("#swatches button[title='brick']").click()
    visit.wait_for_result(before)
    wanted = chroma(np.array([0xA8, 0x53, 0x3C]) / 255)
    assert np.abs(chroma(visit.colour("after", *spot)) - wanted).max() < 0.04
    assert abs(luma(visit.colour("after", *spot)) - luma(visit.colour("before", *spot))) < 0.02
    page.click("#undo")
    until(page, "() => !document.querySelector('.hint')")
    page.click("#redo")
    page.wait_for_selector(".hint")

    before = visit.shown()  # vividness
    page.locator("#vivid").fill("0.4")
    visit.wait_for_result(before)
    assert page.inner_text("#value") == "40%"

    with page.expect_download() as download:  # the same as the command line's
        page.click("#one")
    assert download.value.suggested_filename == "coffee.color.jpg"
    photo = next(path for path in album if path.name == "coffee.jpg")
    height, width = np.asarray(Image.open(io.BytesIO(photo.read_bytes()))).shape
    hint = hint_of(page, width, height)
    assert int(hint.split(",")[0]) == pytest.approx(0.75 * width, abs=8)
    assert main(["colorize", str(photo), "-o", str(tmp_path / "cli.jpg"), "--vivid", "0.4", "--hint", hint]) == 0
    assert Path(download.value.path()).read_bytes() == (tmp_path / "cli.jpg").read_bytes()

    page.reload()  # nothing is lost
    visit.wait_until_done()
    assert page.locator("#thumbs li").count() == 20
    visit.choose("coffee.jpg")
    assert page.locator(".hint").count() == 1
    assert page.inner_text("#value") == "40%"

    with page.expect_download(timeout=60_000) as download:  # all
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        names = {path.name: f"{path.stem}.color{path.suffix}" for path in album if path.name != BROKEN}
        assert sorted(archive.namelist()) == sorted(names.values())
        assert archive.read("coffee.color.jpg") == (tmp_path / "cli.jpg").read_bytes()
        for path in album[:4] + [path for path in album if path.suffix == ".tif"]:
            assert archive.read(names[path.name]) == service.colorize(path.read_bytes()).body
        assert Image.open(io.BytesIO(archive.read("coins.color.jpg"))).getexif()[0x010E] == "Album of coins"
    page.locator("#toasts", has_text="19 photos are in the zip file. Left out: torn.jpg").wait_for()


def hint_of(page: object, width: int, height: int) -> str:
    """The first hint as the page sends it."""
    x, y = page.evaluate(
        "(({left, top}) => [parseFloat(left) / 100, parseFloat(top) / 100])(document.querySelector('.hint').style)"
    )
    return f"{int(x * width)},{int(y * height)},#a8533c"


def test_accessibility_in_both_languages_and_themes(visit: Visit, album: list[Path]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit.page

    def check(state: str) -> None:
        result = axe.run(page)
        assert not result.response["violations"], f"{state}: {result.generate_report()}"
        assert page.evaluate("() => document.querySelector('header').offsetHeight < 60"), (
            f"{state}: the header has two lines"
        )
        # nothing is cut off at the side
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        cut = page.evaluate("""[...document.querySelectorAll("button:not(.open, .hint), label, #count, #message p, #toasts span")].filter((element) =>
            element.offsetParent && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")
            .map((element) => element.id || element.textContent)""")
        assert not cut, state

    check("empty")
    visit.add(*album[:6])
    visit.wait_until_done()
    for language in ("en", "ja"):
        assert page.get_attribute("html", "lang") == language
        for theme in ("first", "second"):
            visit.choose(album[1].name)
            check(f"{language} {theme}")
            visit.tap(0.7, 0.4)
            check(f"{language} {theme} colours")
            page.keyboard.press("Escape")
            page.click("#help")
            check(f"{language} {theme} help")
            page.click("#done")
            page.click("#theme")
        page.click("#language")
    assert page.inner_text("[data-word=addPhotos]") == "Add photos"


def test_keys_only(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(*album[:3])
    visit.wait_until_done()
    page.locator("#thumbs .open").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#name") == album[1].name
    before = visit.shown()
    page.keyboard.press("h")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visit.wait_for_result(before)
    assert page.locator(".hint").get_attribute("aria-label") == "Hint 1: medium skin"
    assert page.evaluate("document.activeElement.className") == "hint"
    top = page.evaluate("parseFloat(document.activeElement.style.top)")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("parseFloat(document.activeElement.style.top)") == pytest.approx(top - 1)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.keyboard.press("Delete")
    assert page.locator(".hint").count() == 0
    page.keyboard.press("+")
    assert page.inner_text("#zoom") == "150%"


def test_a_colour_from_another_photo(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(*[path for path in album if path.name in ("camera.jpg", "dahlia.jpg")])
    visit.wait_until_done()
    visit.choose("camera.jpg")
    before = visit.shown()
    visit.tap(0.8, 0.2)
    page.click("#pipette")
    visit.choose("dahlia.jpg")
    visit.tap(0.62, 0.55)
    page.wait_for_selector(".hint:not(.ghost)")
    assert page.inner_text("#name") == "camera.jpg"
    visit.wait_for_result(before)
    cb, _ = chroma(visit.colour("after", 0.8, 0.2))
    assert cb < -0.02  # the flower's yellow


def test_drag_undo_and_all(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(*album[:3])
    visit.wait_until_done()
    visit.choose(album[0].name)
    visit.tap(0.7, 0.4)
    page.locator("#swatches button").nth(3).click()
    page.wait_for_selector(".hint:not(.ghost)")
    start, to = visit.spot(0.7, 0.4), visit.spot(0.55, 0.6)
    before = visit.shown()
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*to, steps=6)
    page.mouse.up()
    visit.wait_for_result(before)
    assert page.evaluate("parseFloat(document.querySelector('.hint').style.left)") == pytest.approx(55, abs=2)
    page.click("#undo")
    assert page.evaluate("parseFloat(document.querySelector('.hint').style.left)") == pytest.approx(70, abs=2)
    page.locator("#vivid").fill("0.2")
    page.click("#same")
    visit.wait_until_done()
    visit.choose(album[2].name)
    assert page.inner_text("#value") == "20%"


def test_a_result_of_earlier_settings_is_never_shown(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(album[0])
    visit.wait_until_done()
    before, held = visit.shown(), []
    page.route("**/apply?*", lambda route: held.append(route), times=1)
    page.evaluate(
        "() => new MutationObserver(() => window.seen = [...(window.seen ?? []), document.getElementById('after').src])"
        ".observe(document.getElementById('after'), {attributes: true, attributeFilter: ['src']})"
    )
    page.locator("#vivid").fill("0.1")
    until(page, "() => document.querySelector('#stage.stale')")
    while not held:
        page.wait_for_timeout(20)
    page.locator("#vivid").fill("0.9")
    with page.expect_request("**/apply?*vivid=0.9*"):
        held[0].continue_()
    assert "vivid=0.1" in held[0].request.url
    visit.wait_for_result(before)
    assert len(page.evaluate("() => window.seen")) == 1


def test_what_cannot_be_added_or_read_is_said(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    large = io.BytesIO()
    Image.new("L", (5000, 3000), 90).save(large, "JPEG")
    visit.add(
        {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear"},
        {"name": "phone.heic", "mimeType": "image/heic", "buffer": b"\0\0\0\x18ftypheic" + bytes(100)},
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": large.getvalue()},
        {"name": "no photo.jpg", "mimeType": "image/jpeg", "buffer": b"hello"},
    )
    visit.wait_until_done()
    page.locator("#toasts", has_text="1 file is not a photo").wait_for()
    states = {item.split("\n")[0]: item.split("\n")[1] for item in page.locator("#thumbs .open").all_inner_texts()}
    assert states["large.jpg"] == "This photo is too large."
    assert states["no photo.jpg"] == "This file is not a photo that the server can read."
    assert states["phone.heic"]
    small = io.BytesIO()
    Image.new("L", (16, 16), 90).save(small, "PNG")
    visit.add(
        *[{"name": f"{number}.png", "mimeType": "image/png", "buffer": small.getvalue()} for number in range(200)]
    )
    page.locator("#toasts", has_text="At most 200 photos at once: 3 were left out").wait_for()
    visit.wait_until_done()
    assert (page.inner_text("#count"), page.inner_text("#failures")) == ("197 of 200 done", "3 failed")
    page.click("#failures")
    reasons = set()
    for _ in range(3):
        reasons.add(page.inner_text("#message"))
        page.click("#failures")
    assert any("15 megapixels; at most 12" in reason for reason in reasons)
    page.click("#clear")
    assert page.locator("#welcome").is_visible()
    page.reload()
    assert page.locator("#welcome").is_visible()


def test_cancel_remove_and_continue(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    held: list[object] = []
    page.route("**/apply?*", lambda route: held.append(route))
    visit.add(*album[:8])
    page.click("#stop")
    until(page, "() => !document.querySelector('#thumbs .waiting, #thumbs .colouring')")
    assert page.inner_text("#count").startswith("Stopped: ")
    page.unroute("**/apply?*")
    page.click("#continue")
    visit.wait_until_done()
    until(page, "() => document.getElementById('count').textContent === 'All 8 done'")
    page.locator("#thumbs .close").first.click()
    page.locator("#toasts", has_text=f"{album[0].name} was removed").wait_for()
    assert page.locator("#thumbs li").count() == 7
    page.locator("#toasts button", has_text="Undo").click()
    assert page.locator("#thumbs li").count() == 8


def test_removing_all_can_be_undone_and_is_not_what_enter_does_in_the_help(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(*album[:3])
    visit.wait_until_done()
    page.click("#help")
    page.keyboard.press("Enter")
    assert page.locator("#thumbs li").count() == 3
    page.locator("#most", has_text="megapixels").wait_for()
    page.click("#done")
    visit.add(album[0])
    page.locator("#toasts", has_text="was already here").wait_for()
    names = page.locator("#thumbs .name").all_inner_texts()
    page.locator("#thumbs .close").nth(1).click()
    page.locator("#toasts button", has_text="Undo").click()
    assert page.locator("#thumbs .name").all_inner_texts() == names, "a photo comes back to its place"
    page.click("#clear")
    page.locator("#toasts button", has_text="Undo").click()
    assert page.locator("#thumbs .name").all_inner_texts() == names
    visit.wait_until_done()
    page.reload()
    assert page.locator("#thumbs .name").all_inner_texts() == names


def test_both_pictures_show_the_same_part(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(album[0])
    visit.wait_until_done()
    page.click("#side")
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator(".pane.before").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    for _ in range(3):
        page.mouse.wheel(0, -200)
    parts = page.evaluate(
        """() => [...document.querySelectorAll(".pane")].map((pane) => {
             const a = pane.getBoundingClientRect(), b = pane.querySelector(".sheet").getBoundingClientRect();
             return [(a.x - b.x) / b.width, (a.y - b.y) / b.height, a.width / b.width, a.height / b.height]; })"""
    )
    assert np.allclose(*parts, atol=1e-3)
    assert max(parts[0][2:]) < 0.7, "it is zoomed in"
    tags = page.locator(".tag").all()
    assert all(tag.is_visible() for tag in tags)


def test_add_a_hint_by_button_and_tap(visit: Visit, album: list[Path]) -> None:
    page = visit.page
    visit.add(album[0])
    visit.wait_until_done()
    page.click("#add")
    assert "Click or tap the spot" in page.inner_text("#tip")
    visit.tap(0.2, 0.3)
    assert page.is_visible("#colours")
    before = visit.shown()
    page.click("#swatches [title=grass]")
    visit.wait_for_result(before)
    at, pane = page.locator(".hint").bounding_box(), page.locator(".pane.after").bounding_box()
    assert abs((at["x"] + at["width"] / 2 - pane["x"]) / pane["width"] - 0.2) < 0.02
    assert int(page.get_attribute("#handle", "aria-valuenow")) < 20, "the boundary does not hide what the hint does"


def test_the_tap_that_opens_the_colours_does_not_choose_one(
    browser: object, service: Running, album: list[Path]
) -> None:
    for viewport in ({"width": 360, "height": 560}, {"width": 740, "height": 360}):
        context = browser.new_context(viewport=viewport, has_touch=True, is_mobile=True, locale="en-GB")
        visit = Visit(context.new_page(), "phone", f"http://127.0.0.1:{service.port}/")
        visit.open()
        visit.add(album[0])
        visit.wait_until_done()
        for x, y in ((0.1, 0.9), (0.5, 0.9), (0.9, 0.9), (0.9, 0.1), (0.9, 0.5)):
            visit.tap(x, y)
            visit.page.wait_for_timeout(50)
            assert visit.page.is_visible("#colours")
            assert visit.page.locator(".hint:not(.ghost)").count() == 0
            sheet = visit.page.locator("#colours").bounding_box()
            assert sheet["y"] >= 0
            assert sheet["y"] + sheet["height"] <= viewport["height"] + 1
            visit.page.click("#close")
        context.close()


def test_photos_in_colour_are_named_as_such(visit: Visit) -> None:
    stream = io.BytesIO()
    Image.fromarray(data.coffee()).save(stream, "JPEG")
    visit.add({"name": "colour.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()})
    visit.wait_until_done()
    assert visit.page.inner_text("#state") == "Done (was already in colour)"
    with visit.page.expect_download():
        visit.page.click("#one")
    visit.page.locator("#toasts", has_text="already in colour").wait_for()


def test_two_tabs_are_told_of_each_other(visit: Visit) -> None:
    other = visit.page.context.new_page()
    other.goto(visit.address)
    for page in (visit.page, other):
        page.locator("#toasts", has_text="open in another tab").wait_for()


def test_a_server_that_goes_away_and_comes_back(browser: object, album: list[Path], tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(tmp_path, "--workers", "1") as first:
        visit = Visit(page, "desktop", f"http://127.0.0.1:{first.port}/")
        visit.open()
        visit.add(album[0])
        visit.wait_until_done()
    visit.add(album[1])
    page.locator("#banner", has_text="The server does not answer").wait_for()
    page.click("#stop")
    page.locator("#banner").wait_for(state="hidden")  # nothing is waited for
    with serving(tmp_path, "--workers", "1", port=first.port):
        page.click("#continue")
        visit.wait_until_done()
        assert page.locator("#banner").is_hidden()
        assert page.inner_text("#count") == "All 2 done"
    context.close()


def test_a_token_opens_the_page(browser: object, album: list[Path], tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(tmp_path, "--workers", "1", "--token", "secret") as running:
        page.goto(f"http://127.0.0.1:{running.port}/")
        page.locator("#banner", has_text="The server refused").wait_for()
        visit = Visit(page, "desktop", f"http://127.0.0.1:{running.port}/#token=secret")
        page.goto("about:blank")
        visit.open()
        assert "token" not in page.url
        visit.add(album[0])
        visit.wait_until_done()
        assert page.inner_text("#count") == "Done"
    context.close()


def test_docs_work_offline(visit: Visit, service: Running) -> None:
    visit.page.goto(visit.address + "docs")
    text = visit.page.inner_text("main")
    for path in (
        "/v1/colorize",
        "/v1/models/{name}/apply",
        "/v1/models",
        "/v1/limits",
        "/livez",
        "/readyz",
        "/metrics",
    ):
        assert path in text
    assert f"http://127.0.0.1:{service.port}/v1/colorize" in text
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_stays_on_disk(service: Running) -> None:
    mark = os.urandom(8).hex()
    photo = io.BytesIO()
    tags = Image.Exif()
    tags[0x010E] = mark
    Image.fromarray(data.camera()).save(photo, "JPEG", exif=tags)
    start = time.time() - 1
    assert service.colorize(photo.getvalue(), f"?hint={quote('5,5,#ff0000')}").status == 200
    for folder in (Path("/tmp"), Path.home() / ".cache"):
        for path in folder.rglob("*"):
            try:
                fresh = path.is_file() and path.stat().st_mtime >= start
                assert not fresh or mark.encode() not in path.read_bytes(), path
            except OSError:
                continue


def test_the_picture_of_the_readme(browser: object, service: Running, tmp_path: Path) -> None:
    """CONTRIBUTING.md says how to make the picture again. All its photos are free (scikit-image's)."""
    for name in (*PHOTOS, "camera", "coins"):
        array = pixels(name) if name in PHOTOS else getattr(data, name)()
        Image.fromarray(array).convert("L").save(tmp_path / f"{name}.jpg", quality=92)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1.5)
    visit = Visit(page, "desktop", f"http://127.0.0.1:{service.port}/")
    visit.open()
    visit.add(*sorted(tmp_path.glob("*.jpg")))
    visit.wait_until_done()
    visit.choose("coffee.jpg")
    for x, y, swatch in (
        (0.76, 0.5, "crimson"),
        (0.5, 0.93, "crimson"),
        (0.9, 0.85, "wood"),
        (0.07, 0.92, "wood"),
        (0.93, 0.15, "wood"),
        (0.48, 0.24, "brown"),
    ):
        before = visit.shown()
        visit.tap(x, y)
        page.locator("#swatches button").nth(SWATCHES.index(swatch)).click()
        visit.wait_for_result(before)
    page.focus("#handle")
    for key in ("Home", "PageUp", "PageUp", "ArrowRight"):
        page.keyboard.press(key)
    page.evaluate("document.activeElement.blur()")
    picture = page.screenshot(type="jpeg", quality=85, path=os.environ.get("HASHIGO_PICTURE"))
    red, green, _ = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))[:, 900:1400].reshape(-1, 3).mean(0)
    assert red > green + 5
    page.close()
