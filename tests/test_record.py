"""Which results are made again and which stay: changed photos and options, renamed folders, results changed by hand, hints."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashigo.apply.record import Records, Source, source_of
from hashigo.cli.main import main
from tiny import model as tiny_model
from tiny import photo


@pytest.fixture
def model() -> str:
    """A bundled colorizer that takes hints and has a vividness."""
    return "fast"


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png")):
        Image.fromarray(photo("coffee", 30 + i, 40)).convert("L").save(folder / name)
    return folder


def colorize(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Runs the command and gives what it said."""
    capsys.readouterr()
    assert main(["colorize", *map(str, words)]) == 0
    return capsys.readouterr().err


def other_photo(path: Path) -> None:
    """The photo upside down, in its place."""
    values = np.asarray(Image.open(path))
    Image.fromarray(values[::-1].copy()).save(path)


def test_nothing_changed(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 done" in colorize(capsys, album, "-m", model)
    said = colorize(capsys, album, "-m", model)
    assert "0 done, 2 skipped (up to date)" in said
    assert "--existing overwrite makes them again" in said


def test_a_changed_photo(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    before = (album / "a.color.png").read_bytes()
    other_photo(album / "a.png")
    said = colorize(capsys, album, "-m", model)
    assert "1 done, 1 skipped (up to date)" in said
    assert "a.png: made again: the photo has changed" in said
    assert (album / "a.color.png").read_bytes() != before


def test_a_photo_that_was_only_copied(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    os.utime(album / "a.png")  # the same content at another date
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", model)


@pytest.mark.parametrize("option", [("--vivid", "0.1"), ("--size", "24"), ("--quality", "50")])
def test_a_changed_option(album: Path, model: str, option: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    said = colorize(capsys, album, "-m", model, *option)
    assert "2 done" in said
    assert "made again: the options have changed" in said
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", model, *option)


def test_another_model(album: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    other = tiny_model(tmp_path / "other")
    assert "2 done" in colorize(capsys, album, "-m", other)
    shutil.copytree(other, tmp_path / "copy")
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", tmp_path / "copy")  # the same model elsewhere


def test_renamed_folders_and_files(album: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model, "-o", tmp_path / "out")
    album.rename(tmp_path / "album 1936")
    (tmp_path / "out").rename(tmp_path / "coloured")
    said = colorize(capsys, tmp_path / "album 1936", "-m", model, "-o", tmp_path / "coloured")
    assert "2 skipped (up to date)" in said
    (tmp_path / "album 1936" / "a.png").rename(tmp_path / "album 1936" / "grandma.png")
    (tmp_path / "coloured" / "a.color.png").rename(tmp_path / "coloured" / "grandma.color.png")
    said = colorize(capsys, tmp_path / "album 1936", "-m", model, "-o", tmp_path / "coloured")
    assert "2 skipped (up to date)" in said


def test_a_result_changed_by_hand_stays(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    Image.new("RGB", (40, 30), "red").save(album / "a.color.png")
    retouched = (album / "a.color.png").read_bytes()
    said = colorize(capsys, album, "-m", model, "--vivid", "0.1")
    assert "1 skipped (changed by hand since they were made)" in said
    assert (album / "a.color.png").read_bytes() == retouched
    colorize(capsys, album, "-m", model, "--existing", "overwrite")
    assert (album / "a.color.png").read_bytes() != retouched


def test_without_a_record_dates_decide(
    album: Path, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colorize(capsys, album, "-m", model)
    monkeypatch.setenv("HASHIGO_STATE", str(tmp_path / "another computer"))
    assert "2 skipped (no record of how they were made)" in colorize(capsys, album, "-m", model)
    os.utime(album / "a.png")
    said = colorize(capsys, album, "-m", model)
    assert "a.png: made again: the photo is newer" in said
    assert "1 done, 1 skipped" in said


def test_a_record_that_cannot_be_kept(
    album: Path, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HASHIGO_STATE", str(tmp_path / "file"))
    said = colorize(capsys, album, "-m", model)
    assert "2 done" in said
    assert "recognized by date only" in said
    monkeypatch.setenv("HASHIGO_STATE", str(tmp_path / "damaged"))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "results.sqlite").write_bytes(b"no database" * 500)
    assert "recognized by date only" in colorize(capsys, album, "-m", model, "--existing", "overwrite")


@pytest.mark.parametrize(("existing", "done"), [("skip", 0), ("overwrite", 2), ("newer", 1)])
def test_existing(album: Path, model: str, existing: str, done: int, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    other_photo(album / "a.png")
    assert f"{done} done" in colorize(capsys, album, "-m", model, "--existing", existing)


def test_hints_given_before_stay(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model)
    colorize(capsys, album / "a.png", "-m", model, "--hint", "20,15,#c03020")
    hinted = (album / "a.color.png").read_bytes()
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", model)
    assert (album / "a.color.png").read_bytes() == hinted
    said = colorize(capsys, album, "-m", model, "--vivid", "0.2")
    assert "a.png: keeps its hints: 20,15,#c03020" in said
    again = (album / "a.color.png").read_bytes()
    colorize(
        capsys, album / "a.png", "-m", model, "--vivid", "0.2", "--hint", "20,15,#c03020", "--existing", "overwrite"
    )
    assert (album / "a.color.png").read_bytes() == again
    assert "1 done" in colorize(
        capsys, album / "a.png", "-m", model, "--vivid", "0.2"
    )  # alone and without: the hint goes
    assert (album / "a.color.png").read_bytes() != again


def test_hints_outside_a_changed_photo_are_dropped(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album / "a.png", "-m", model, "--hint", "35,25,#c03020")
    Image.fromarray(photo("coffee", 10, 12)).convert("L").save(album / "a.png")
    said = colorize(capsys, album, "-m", model)
    assert "its earlier hints were dropped" in said
    assert "2 done" in said


def test_a_result_of_another_photo_is_not_overwritten(
    album: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two folders with the same names, one after the other, into one folder."""
    out = tmp_path / "out"
    colorize(capsys, album, "-m", model, "-o", out)
    before = (out / "a.color.png").read_bytes()
    (tmp_path / "second").mkdir()
    Image.fromarray(photo("astronaut", 30, 40)).convert("L").save(tmp_path / "second" / "a.png")
    said = colorize(capsys, tmp_path / "second", "-m", model, "-o", out)
    assert "so this one becomes a.png.color.png" in said
    assert (out / "a.color.png").read_bytes() == before
    assert "1 skipped (up to date)" in colorize(capsys, tmp_path / "second", "-m", model, "-o", out)


def test_names_in_no_encoding(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    (album / "a.png").rename(album / os.fsdecode(b"\xff\xfe.png"))
    assert "2 done" in colorize(capsys, album, "-m", model)
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", model)


def test_two_at_once(tmp_path: Path) -> None:
    first, second = Records(tmp_path), Records(tmp_path)
    target = tmp_path / "x.png"
    target.write_bytes(b"x")
    for records in (first, second, first):
        records.add(target, source_of(target), target, "options")
    assert second.state(target, target, "options") == "current"
    assert source_of(target) == Source(1, target.stat().st_mtime_ns, 0x8CDC1683)
    assert not first.problem + second.problem


def test_a_full_disk_only_loses_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    records = Records(tmp_path)
    monkeypatch.setattr(records, "_database", Full())
    (tmp_path / "x.png").write_bytes(b"x")
    records.add(tmp_path / "x.png", Source(1, 2, 3), tmp_path / "x.png", "options")
    assert "full" in records.problem


# --- dates, formats, pages, photos in colour ----------------------------------------------------------------


def test_a_result_has_its_photos_date(
    album: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.utime(album / "a.png", ns=(1_000_000_000, 1_234_567_890_123_456_789))
    colorize(capsys, album, "-m", model)
    assert (album / "a.color.png").stat().st_mtime_ns == 1_234_567_890_123_456_789
    colorize(capsys, album, "-m", model, "-o", tmp_path / "out", "--no-keep-date")
    assert (tmp_path / "out" / "a.color.png").stat().st_mtime > 1_600_000_000
    assert "2 skipped" in colorize(capsys, album, "-m", model, "-o", tmp_path / "out")


def test_format_and_suffix(album: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colorize(capsys, album, "-m", model, "--format", "jpg", "--suffix", "kleur")
    assert sorted(path.name for path in album.iterdir()) == ["a.kleur.jpg", "a.png", "b.kleur.jpg", "b.png"]
    assert "2 skipped (up to date)" in colorize(capsys, album, "-m", model, "--format", ".JPG", "--suffix", "kleur")


@pytest.mark.parametrize("words", [("--format", "heic"), ("--suffix", "a/b"), ("--suffix", ""), ("--pages", "2")])
def test_wrong_words(album: Path, model: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["colorize", str(album), "-m", model, *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_a_file_of_very_many_pages(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = Image.new("L", (8, 8), 90)
    page.save(tmp_path / "long.tif", save_all=True, append_images=[page] * 1100)
    assert "only the first of its 1,000 or more pages is used; --pages all" in colorize(
        capsys, tmp_path / "long.tif", "-m", model
    )


def test_all_pages(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [Image.fromarray(photo(name, 30, 40)).convert("L") for name in ("coffee", "astronaut", "rocket")]
    pages[0].save(tmp_path / "album.tif", save_all=True, append_images=pages[1:])
    said = colorize(capsys, tmp_path / "album.tif", "-m", model)
    assert "only the first of its 3 pages is used; --pages all takes all" in said
    said = colorize(capsys, tmp_path / "album.tif", "-m", model, "--pages", "all")
    assert "1 done" in said
    with Image.open(tmp_path / "album.color.tif") as made:
        assert made.n_frames == 3
        for i, page in enumerate(pages):
            made.seek(i)
            difference = np.asarray(made.convert("L"), np.int16) - np.asarray(page, np.int16)
            assert np.abs(difference).max() <= 1
    said = colorize(capsys, tmp_path / "album.tif", "-m", model, "--pages", "all", "--format", "jpg")
    assert "JPEG cannot keep: 2 further pages" in said


def test_photos_in_colour(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    colour = photo("coffee", 60, 80)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    sepia = np.stack([np.clip(grey * 1.08, 0, 255), grey * 0.9, grey * 0.7], -1).astype(np.uint8)
    for name, pixels in {"colour": colour, "grey": grey, "grey-rgb": np.dstack([grey] * 3), "sepia": sepia}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    said = colorize(capsys, tmp_path, "-m", model, "--only-grey")
    assert "3 done, 1 skipped (in colour already)" in said
    assert not (tmp_path / "colour.color.png").exists()
    said = colorize(capsys, tmp_path, "-m", model)
    assert "1 done, 3 skipped" in said
    assert (
        "1 photo was already in colour and got new colours (colour.png); --only-grey leaves such photos alone" in said
    )


def test_a_16_bit_scan_keeps_all_its_levels(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = (2_000 + np.arange(3_000, dtype=np.uint16)).reshape(50, 60)  # a dark scan, 12 of 255 levels
    Image.fromarray(values).save(tmp_path / "scan.tif")
    colorize(capsys, tmp_path, "-m", model, "--vivid", "1")
    from hashigo.image.photo import read

    made = read(tmp_path / "scan.color.tif")
    assert made.is_deep
    luma = made.pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(luma, values, atol=0.51)
    said = colorize(capsys, tmp_path / "scan.tif", "-m", model, "--format", "jpg")
    assert "JPEG cannot keep: 16 bits per channel" in said
