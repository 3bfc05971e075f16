"""hashigo colorize and hashigo apply, as people call them: what is written where, exit status, failures, pipes."""

from __future__ import annotations

import hashlib
import html
import io
import json
import os
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image, ImageOps

from hashigo.cli.main import main
from hashigo.image.photo import encode, photo_of
from picture_files import chunk, encoded, png
from tiny import model as tiny_model
from tiny import photo


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A colorizer."""
    return str(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def onnx_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A colorizer that runs without torch, which takes long to import."""
    return str(tiny_model(tmp_path_factory.mktemp("onnx"), onnx=True))


def grey(height: int = 30, width: int = 40) -> Image.Image:
    return Image.fromarray(photo("coffee", height, width)).convert("L")


def save(path: Path, **settings: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey().save(path, **settings)
    return path


def files(folder: Path) -> dict[str, str]:
    """Every file below, hidden ones too, with the hash of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


# --- where things go --------------------------------------------------------------------------------------


def test_a_tree_is_mirrored_and_the_inputs_stay(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jpg", "in/a.png", "in/deep/梯子.jpg"):
        save(tmp_path / "album" / name)
    (tmp_path / "album" / "notes.txt").write_text("no picture")
    before = files(tmp_path / "album")
    assert main(["colorize", str(tmp_path / "album"), "-o", str(tmp_path / "out"), "--model", model]) == 0
    assert files(tmp_path / "album") == before
    assert sorted(files(tmp_path / "out")) == ["a.color.jpg", "in/a.color.png", "in/deep/梯子.color.jpg"]
    with Image.open(tmp_path / "out" / "in" / "a.color.png") as result:
        assert (result.mode, result.size) == ("RGB", (40, 30))
        assert np.abs(np.asarray(result.convert("L")).astype(int) - np.asarray(grey())).max() <= 1
        assert np.ptp(np.asarray(result), axis=2).max() > 20  # there is colour
    said = capsys.readouterr()
    assert "3 done in" in said.err
    assert said.out == ""


def test_beside_the_inputs_and_again(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.jpg")
    save(tmp_path / "in" / "b.png")
    assert main(["colorize", str(tmp_path), "-m", model]) == 0
    first = files(tmp_path)
    assert sorted(first) == ["a.color.jpg", "a.jpg", "in/b.color.png", "in/b.png"]
    times = [(tmp_path / name).stat().st_mtime_ns for name in first]
    capsys.readouterr()
    assert main(["colorize", str(tmp_path), "-m", model]) == 0
    assert "0 done, 2 skipped" in capsys.readouterr().err
    assert files(tmp_path) == first
    assert [(tmp_path / name).stat().st_mtime_ns for name in first] == times


def test_an_output_folder_within_the_input(tmp_path: Path, model: str) -> None:
    save(tmp_path / "a.jpg")
    for _ in range(2):
        assert main(["colorize", str(tmp_path), "-o", str(tmp_path / "out"), "-m", model]) == 0
        assert sorted(files(tmp_path)) == ["a.jpg", "out/a.color.jpg"]


@pytest.mark.parametrize(("existing", "status"), [("overwrite", 0), ("skip", 0), ("error", 2)])
def test_existing(tmp_path: Path, model: str, existing: str, status: int) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    (tmp_path / "b.color.png").write_bytes(b"here before")
    assert main(["colorize", str(tmp_path), "-m", model, "--existing", existing]) == status
    assert ((tmp_path / "b.color.png").read_bytes() == b"here before") is (existing != "overwrite")
    assert (tmp_path / "a.color.png").exists() is (existing != "error")


def test_a_collision_never_stops_an_album(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("0.png", "a.gif", "a.png"):
        save(tmp_path / "in" / name)
    out = tmp_path / "out"
    assert main(["colorize", str(tmp_path / "in"), "-m", model, "-o", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["0.color.png", "a.color.png", "a.png.color.png"]
    assert "a.png.color.png" in capsys.readouterr().err
    before = files(tmp_path)
    assert main(["colorize", str(tmp_path / "in"), "-m", model, "-o", str(out)]) == 0  # the same names again
    assert files(tmp_path) == before


def test_a_dry_run_writes_nothing(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.gif")
    save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    before = files(tmp_path)
    assert main(["colorize", str(tmp_path), "-m", model, "--dry-run"]) == 0
    assert files(tmp_path) == before
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1] == f"{tmp_path / 'a.png'} → {tmp_path / 'a.png.color.png'}"
    assert "left out: 1 .txt" in shown.err


@pytest.mark.parametrize(
    "kind", ["link to itself", "link to nowhere", "pipe", "long name", "folder that cannot be listed"]
)
@pytest.mark.parametrize("made", [True, False])
def test_one_odd_entry_never_stops_the_rest(
    tmp_path: Path, model: str, kind: str, made: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    album, out = tmp_path / "in", tmp_path / "out"
    save(album / "a.png")
    save(album / "z.png")
    if made:
        out.mkdir()
    if kind == "pipe":
        os.mkfifo(album / "odd.png")
    elif kind == "long name":
        save(album / ("odd" + "x" * 245 + ".png"))  # 252 of 255 bytes: no room for ".color"
    elif kind == "folder that cannot be listed":
        (album / "odd").mkdir()
        listed = os.scandir
        monkeypatch.setattr("os.scandir", lambda path: _refused(path) if Path(path).name == "odd" else listed(path))
    else:
        (album / "odd.png").symlink_to("odd.png" if kind == "link to itself" else "nowhere.png")
    assert main(["colorize", str(album), "-m", model, "-o", str(out)]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a.color.png", "failures.jsonl", "z.color.png"]
    assert "2 done, 1 failed" in (said := capsys.readouterr().err)
    assert "failed: " in said
    assert "odd" in (out / "failures.jsonl").read_text()


def _refused(path: object) -> NoReturn:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("name", ["new.heic", "new.psd", "deep/new.JP2"])
def test_an_unknown_ending_is_no_folder(
    tmp_path: Path, model: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png")
    assert main(["colorize", str(tmp_path / "a.png"), "-m", model, "-o", str(tmp_path / name)]) == 2
    assert ".jpg" in (said := capsys.readouterr().err)
    assert name.split("/")[-1] in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert main(["colorize", str(tmp_path / "a.png"), "-m", model, "-o", f"{tmp_path / name}/"]) == 0
    assert (tmp_path / name / "a.color.png").is_file()


def test_a_pattern_and_one_named_output(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "b.jpg", "c.png"):
        save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert main(["colorize", "*.jpg", "-o", "out", "-m", model]) == 0
    assert sorted(files(tmp_path / "out")) == ["a.color.jpg", "b.color.jpg"]
    assert main(["colorize", "a.jpg", "-o", "deep/made.webp", "-m", model]) == 0
    with Image.open("deep/made.webp") as made:
        assert (made.format, made.size) == ("WEBP", (40, 30))


def test_apply_names_its_results_after_the_task(tmp_path: Path) -> None:
    denoiser = tiny_model(tmp_path / "model", "denoise")
    save(tmp_path / "in" / "a.png")
    assert main(["apply", str(denoiser), str(tmp_path / "in"), "--size", "20", "--engine", "torch"]) == 0
    assert sorted(files(tmp_path / "in")) == ["a.clean.png", "a.png"]


# --- hostile folders --------------------------------------------------------------------------------------


def huge_png() -> bytes:
    """A header that claims 300 megapixels, and next to nothing behind it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 15_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"x\x9c") + chunk(b"IEND", b"")


def hostile(folder: Path) -> Path:
    """A folder with all that is found in real ones."""
    folder.mkdir()
    sixteen = np.linspace(0, 65535, 30 * 40).reshape(30, 40).astype(np.uint16)
    palette = Image.fromarray(photo()).quantize(64)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    contents = {
        "bad-cut.jpg": encoded(grey(), "JPEG")[:300], "bad-empty.jpg": b"", "bad-huge.png": huge_png(),
        "bad-text.jpg": b"This is no picture.\n", "good-16bit.png": png(sixteen),
        "good-cmyk.jpg": encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG"),
        "good-palette.png": encoded(palette, "PNG", transparency=0), "good-phone.jpg": encoded(grey(), "JPEG", exif=exif),
        "good-梯子の写真.png": encoded(grey(), "PNG"),
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_good_are_done_and_the_bad_are_listed(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    album, out = hostile(tmp_path / "album"), tmp_path / "out"
    before = files(album)
    assert main(["colorize", str(album), "-o", str(out), "-m", model]) == 1
    assert files(album) == before
    good = ["good-16bit.color.png", "good-cmyk.color.jpg", "good-palette.color.png", "good-phone.color.jpg", "good-梯子の写真.color.png"]  # fmt: skip
    assert sorted(files(out)) == ["failures.jsonl", *good]
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Path(one["input"]).name for one in failures] == ["bad-cut.jpg", "bad-empty.jpg", "bad-huge.png", "bad-text.jpg"]  # fmt: skip
    assert all(one.keys() == {"input", "output", "error"} and "expected" in one["error"] for one in failures)
    assert "300" in failures[2]["error"]
    said = capsys.readouterr().err
    assert "5 done, 4 failed" in said
    assert "failures.jsonl" in said
    assert "Traceback" not in said


def test_what_came_of_the_good(tmp_path: Path, model: str) -> None:
    album, out = hostile(tmp_path / "album"), tmp_path / "out"
    main(["colorize", str(album), "-o", str(out), "-m", model])
    with Image.open(album / "good-phone.jpg") as source, Image.open(out / "good-phone.color.jpg") as result:
        assert result.size == (30, 40)  # upright
        assert result.getexif().get(0x0112, 1) == 1
        assert result.getexif()[0x010F] == "A camera"
        upright = np.asarray(ImageOps.exif_transpose(source)).astype(int)
        assert np.abs(np.asarray(result.convert("L")) - upright).mean() < 4  # two lossy encodings
    with Image.open(out / "good-16bit.color.png") as result:
        luma = np.asarray(result.convert("L")).astype(float)
        assert np.abs(luma - np.linspace(0, 255, 1200).reshape(30, 40)).max() <= 1.5
    with Image.open(out / "good-palette.color.png") as result, Image.open(album / "good-palette.png") as source:
        assert result.mode == "RGBA"
        assert np.array_equal(np.asarray(result)[..., 3], np.asarray(source.convert("RGBA"))[..., 3])


def test_a_list_of_failures_goes_when_they_are_mended(tmp_path: Path, model: str) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"")
    assert main(["colorize", str(tmp_path / "in"), "-m", model]) == 1
    assert (tmp_path / "in" / "failures.jsonl").exists()
    save(tmp_path / "in" / "b.png")
    assert main(["colorize", str(tmp_path / "in"), "-m", model]) == 0
    assert sorted(files(tmp_path / "in")) == ["a.color.png", "a.png", "b.color.png", "b.png"]


def test_limits_and_places_that_cannot_be_written(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png")
    assert main(["colorize", str(tmp_path / "a.png"), "-m", model, "--max-megapixels", "0.001"]) == 1
    assert sorted(files(tmp_path)) == ["a.png", "failures.jsonl"]
    (tmp_path / "file").write_text("no folder")
    assert main(["colorize", str(tmp_path / "a.png"), "-m", model, "-o", str(tmp_path / "file" / "deep")]) == 1
    assert "a.png" in capsys.readouterr().err


@pytest.mark.parametrize("words", [
    ["colorize"], ["colorize", "missing.jpg"], ["colorize", "*.jpg"], ["colorize", "."], ["apply", "missing", "a.png"],
    ["colorize", "a.png", "--model", "missing"], ["colorize", "a.png", "--existing", "sometimes"],
    ["colorize", "a.png", "--size", "-3"], ["colorize", "a.png", "--size", "many"], ["colorize", "a.png", "--quality", "0"],
    ["colorize", "a.png", "--engine", "tensorrt"], ["colorize", "a.png", "-o", "a.png"], ["colorize", "a.png", "-", "-o", "b"],
    ["colorize", "a.png", "--qual", "80"], ["colorize", "a.png", "--max-megapixels", "-1"],
    ["colorize", "a.png", "--max-megapixels", "nan"],
])  # fmt: skip
def test_wrong_usage_is_status_2_and_writes_nothing(
    words: list[str], tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "a.png" in words:
        save(tmp_path / "a.png")
    before = files(tmp_path)
    given = words if words[0] == "apply" or "--model" in words else [*words, "--model", model]
    assert main(given) == 2
    assert files(tmp_path) == before
    said = capsys.readouterr()
    assert said.out == ""
    assert f"hashigo {words[0]}: " in said.err


@pytest.mark.parametrize("words", [
    ["colorize", "a.png", "--size", "-3"], ["colorize", "a.png", "--size", "abc"], ["apply", "m", "a.png", "--size", "1.5"],
    ["evaluate", "m", "a.png", "--hints", "abc"],
])  # fmt: skip
def test_whole_numbers(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{words[-2]}: expected a whole number from 0 to " in said
    assert f"got {words[-1]!r}" in said


# --- pipes ------------------------------------------------------------------------------------------------


class Binary(io.StringIO):
    """A text stream with a binary one behind it, as sys.stdin and sys.stdout have."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__()
        self.buffer = io.BytesIO(content)


def test_a_picture_through_a_pipe(onnx_model: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "hashigo", "colorize", "-", "-o", "-", "-m", onnx_model]
    done = subprocess.run(command, input=encoded(grey(), "PNG"), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as result:
        assert (result.format, result.mode, result.size) == ("PNG", "RGB", (40, 30))
        assert np.abs(np.asarray(result.convert("L")).astype(int) - np.asarray(grey())).max() <= 1


def test_one_end_in_a_file(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "a.jpg")
    monkeypatch.setattr(sys, "stdin", Binary(source.read_bytes()))
    assert main(["colorize", "-", "-o", str(tmp_path / "b.png"), "-m", model]) == 0
    with Image.open(tmp_path / "b.png") as made:
        assert made.size == (40, 30)
    monkeypatch.setattr(sys, "stdout", Binary())
    assert main(["colorize", str(source), "-o", "-", "-m", model]) == 0
    assert Image.open(sys.stdout.buffer).format == "JPEG"


def test_a_broken_picture_through_a_pipe_has_failed(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Binary(encode(photo_of(photo()), "PNG")[:200]))
    monkeypatch.setattr(sys, "stdout", Binary())
    assert main(["colorize", "-", "-m", model]) == 1
    assert sys.stdout.buffer.getvalue() == b""


# --- the album's page ---------------------------------------------------------------------------------------


def test_a_page_of_the_album(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album, out = tmp_path / "my <album>", tmp_path / "out"
    for name in ("a.png", "b c&d.jpg"):
        save(album / name)
    (album / "bad.jpg").write_bytes(b"no picture")
    assert main(["colorize", str(album), "-m", "fast", "-o", str(out), "--page", "--vivid", "0.5"]) == 1
    assert str(out / "album.html") in capsys.readouterr().err
    page = (out / "album.html").read_text(encoding="utf-8")
    assert page.count("<img") == 4
    assert 'href="b%20c%26d.color.jpg"' in page
    assert "2 photos, 1 failed" in page
    assert "bad.jpg: expected one of JPEG" in page
    assert "my <album>" not in page
    assert not re.search(r"""(src|href)=["']?(https?:|//|/)""", page)  # it needs nothing from outside
    (command,) = re.findall(r"<code>(hashigo colorize .*?a\.color\.png.*?)</code>", page)
    words = shlex.split(html.unescape(command).replace("X,Y,#RRGGBB", "20,15,#c03020"))
    before = (out / "a.color.png").read_bytes()
    assert main(words[1:]) == 0  # it says how to make it again, and that works
    assert (out / "a.color.png").read_bytes() != before
    assert "--vivid 0.5" in command
    capsys.readouterr()
    main(["colorize", str(album), "-m", "fast", "-o", str(out), "--page", "--vivid", "0.5"])
    assert (out / "album.html").read_text(encoding="utf-8").count("<img") == 4  # also those that are up to date
