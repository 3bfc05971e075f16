"""Bulk processing: the plan, shards that can be done again, workers that survive any photo, and the command."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

import tiny
from hashigo import files
from hashigo.apply.jobs import run as run_jobs
from hashigo.apply.model import load
from hashigo.apply.planning import plan as plan_jobs
from hashigo.bulk import plan as planning
from hashigo.bulk import worker as working
from hashigo.bulk.engines.base import Lost
from hashigo.bulk.engines.local import LocalEngine
from hashigo.bulk.naming import Names, target_of
from hashigo.bulk.plan import STATE, Shard, make_plan, read_manifest, read_plan, read_shards
from hashigo.bulk.reports import read_photos, read_report
from hashigo.bulk.run import read_status, run_bulk
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.shards import Shards, earlier, options_key
from hashigo.bulk.storage import Folder, place_of
from hashigo.bulk.worker import Worker
from hashigo.cli.main import main
from hashigo.errors import BusyError, DataError, PictureError, RecipeError, StorageError
from hashigo.image.formats import SUFFIXES, suffix_for_output
from hashigo.image.photo import read

Tree = dict[str, bytes]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model(tmp_path_factory.mktemp("model"), onnx=True)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tiny.album(tmp_path / "album", 6, 40)
    (folder / "02.png").rename(folder / "sub.png")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "03.png").rename(folder / "deep" / "er" / "03.PNG")
    Image.fromarray(tiny.photo()).convert("L").save(folder / "deep" / "a.gif")
    Image.fromarray(tiny.photo()).convert("L").save(folder / "deep" / "a.png")  # both become a.color.png
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"x")
    return folder


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "PHOTOS", 3)


def tree(folder: Path) -> Tree:
    """All results in a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and STATE not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def planned(album: Path, out: Path) -> list[Shard]:
    make_plan([str(album)], str(out))
    return list(read_shards(Folder(out)))


def items(out: Path) -> list[planning.Item]:
    return [item for shard in read_shards(Folder(out)) for item in read_manifest(Folder(out), shard)]


def settings(model: Path, **changes: object) -> BulkSettings:
    return replace(BulkSettings(model=str(model), size=32), **changes)  # type: ignore[arg-type]


# --- the plan ---------------------------------------------------------------------------------------


def test_results_are_named_as_by_colorize(album: Path, tmp_path: Path) -> None:
    planned(album, tmp_path / "out")
    jobs = plan_jobs([album], tmp_path / "out", "color")
    assert {album / item.name: tmp_path / "out" / item.result("color") for item in items(tmp_path / "out")} == {
        job.source: job.target for job in jobs
    }
    assert len(jobs) == 8
    assert read_plan(str(tmp_path / "out")).left_out == {".txt": 1}


@pytest.mark.parametrize(
    "name", ["a.jpg", "a", "a.", ".a", "..a", "a.b.jpg", "a..jpg", "a.jpg.", "é.JPG", "a b.tif", "...", "x.heic"]
)
@pytest.mark.parametrize("folder", ["", "b/", "b.c/", ".b/d/", "b//d/", "b/./d/"])
def test_endings_are_pathlibs(folder: str, name: str) -> None:
    path = PurePosixPath(folder + name)
    ending = suffix_for_output(path.suffix)
    assert target_of(folder + name, "") == (str(path.with_name(f"{path.stem}.*{ending}")), path.suffix)
    assert target_of(folder + name, "PNG")[0] == str(path.with_name(f"{path.stem}.*.png"))


def test_names_with_stars_and_lines(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for name in ("a*b.png", "a\nb.png", "a!b.png", os.fsdecode(b"a\xffb.png")):
        Image.fromarray(tiny.photo()).save(album / name)
    planned(album, tmp_path / "out")
    names = {item.name: item.result("color") for item in items(tmp_path / "out")}
    assert names == {name: name.replace(".png", ".color.png") for name in names}
    assert len(names) == 4


def test_shards_partition_the_photos_and_stay_when_a_photo_is_added(tmp_path: Path) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    for number in range(1000):
        (album / f"{number:04d}.jpg").write_bytes(b"x" * 10)
    before = planned(album, out)
    assert sum(shard.photos for shard in before) == 1000
    assert [item.name for item in items(out)] == [f"{number:04d}.jpg" for number in range(1000)]
    assert max(shard.photos for shard in before) <= planning.MOST_PHOTOS
    (album / "0500x.jpg").write_bytes(b"x")
    after = planned(album, out)
    assert len(set(before) - set(after)) == 1  # the shard that it belongs to
    assert sum(shard.photos for shard in after) == 1001


def test_shards_have_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_BYTES", 1000)
    album = tmp_path / "album"
    album.mkdir()
    for number in range(50):
        (album / f"{number:02d}.jpg").write_bytes(b"x" * (2000 if number == 7 else 300))
    shards = planned(album, tmp_path / "out")
    assert max(shard.bytes for shard in shards if shard.photos > 1) <= 1000
    assert sum(shard.photos for shard in shards) == 50


def test_an_interrupted_plan_is_none(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(album, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(planning, "_ends_shard", Mock(side_effect=[False, KeyboardInterrupt]))
        with pytest.raises(KeyboardInterrupt):
            planned(album, tmp_path / "out")
    with pytest.raises(DataError, match="run 'hashigo bulk plan"):
        read_plan(str(tmp_path / "out"))


def test_inputs_of_all_kinds(album: Path, tmp_path: Path) -> None:
    make_plan([str(album / "deep" / "*"), str(album / "00.png")], str(tmp_path / "out"))
    names = {item.result("c") for item in items(tmp_path / "out")}
    assert names == {"00.c.png", "a.c.png", "a.png.c.png", "er/03.c.PNG"}
    with pytest.raises(PictureError, match="nothing is there"):
        make_plan([str(tmp_path / "missing")], str(tmp_path / "out"))
    with pytest.raises(PictureError, match="matches none"):
        make_plan([str(album / "*.xyz")], str(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="found none"):
        make_plan([str(tmp_path / "empty")], str(tmp_path / "out"))


def test_places_that_overlap(album: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="do not overlap"):
        make_plan([str(album), str(album / "deep")], str(tmp_path / "out"))
    with pytest.raises(RecipeError, match="other than the photos"):
        make_plan([str(album)], str(tmp_path))
    with pytest.raises(RecipeError, match="other than the photos"):
        make_plan([str(album)], str(album))
    make_plan([str(album)], str(album / "out"))
    (album / "out" / "00.color.png").write_bytes(b"x")
    make_plan([str(album)], str(album / "out"))  # results are no photos
    assert len(items(album / "out")) == 8


def test_a_photo_that_several_inputs_name_is_planned_once(album: Path, tmp_path: Path) -> None:
    make_plan([str(album / "**"), str(album / "00.png"), str(album)], str(tmp_path / "out"))
    names = [item.name for item in items(tmp_path / "out")]
    assert len(names) == len(set(names)) == 8
    with pytest.raises(RecipeError, match="other than the photos"):
        make_plan([str(album / "*.png")], str(album))


def test_folders_with_odd_names(album: Path, tmp_path: Path) -> None:
    odd = tmp_path / "wow! [1]"
    album.rename(odd)
    with tarfile.open(odd / "t.tar", "w") as archive:
        archive.add(odd / "00.png", "x.png")
    for given in (str(odd), str(odd / "*.tar").replace("[", "[[]", 1)):
        make_plan([given], str(tmp_path / "out"))
        (inner,) = [item for item in items(tmp_path / "out") if item.start >= 0]
        place = place_of(read_plan(str(tmp_path / "out")).inputs[inner.input])
        assert place.read(inner.archive, inner.start, inner.size) == (odd / "00.png").read_bytes()


def test_many_photos_of_one_name_are_planned_quickly(tmp_path: Path) -> None:
    names = Names()
    with names:
        found = [names.free("a.*.jpg", ".jpg")[0] for _ in range(3000)]
    assert len(set(found)) == 3000
    assert found[:4] == ["a.*.jpg", "a.jpg.*.jpg", "a.jpg-2.*.jpg", "a.jpg-3.*.jpg"]


@pytest.mark.parametrize("damage", ["header", "second", "twice"])
def test_odd_tar_files(damage: str, album: Path, tmp_path: Path, model: Path) -> None:
    path = tmp_path / "in" / "t.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        archive.add(album / "00.png", "00.png")
        archive.add(album / "01.png", "00.png" if damage == "twice" else "01.png")
    with tarfile.open(path) as archive:
        second = archive.getmembers()[1].offset
    if damage == "header":
        content = bytearray(path.read_bytes())
        content[second : second + 10] = b"\xff" * 10
        path.write_bytes(content)
    elif damage == "second":
        path.write_bytes(path.read_bytes() * 2)
    make_plan([str(path.parent)], str(tmp_path / "out"))
    totals = run_bulk(str(tmp_path / "out"), settings(model), InProcess())
    expected = {"header": (1, 1), "second": (2, 1), "twice": (2, 0)}[damage]
    assert (totals.done, totals.failed) == expected
    if damage == "twice":
        direct = colorized(album, tmp_path / "direct", model)
        assert sorted(tree(tmp_path / "out").values()) == sorted([direct["00.color.png"], direct["01.color.png"]])


def test_photos_in_tar_files(album: Path, tmp_path: Path, model: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "0001.tar", "w") as archive:
        archive.add(album / "00.png", "x/00.png")
        archive.add(album / "notes.txt", "x/notes.txt")
        archive.add(album / "01.png", "./01.png")
    (shards / "0002.tar").write_bytes(b"no tar" * 200)
    said: list[str] = []
    make_plan([str(shards)], str(tmp_path / "out"), say=said.append)
    assert [item.name for item in items(tmp_path / "out")] == ["0001.tar!x/00.png", "0001.tar!01.png", "0002.tar"]
    assert any("0002.tar: expected a whole, uncompressed tar file" in line for line in said)
    totals = run_bulk(str(tmp_path / "out"), settings(model), InProcess())
    assert (totals.done, totals.failed) == (2, 1)
    direct = colorized(album, tmp_path / "direct", model)
    assert (tmp_path / "out" / "0001" / "x" / "00.color.png").read_bytes() == direct["00.color.png"]
    assert (tmp_path / "out" / "0001" / "01.color.png").read_bytes() == direct["01.color.png"]


def test_a_walk_of_a_large_folder_is_sorted_in_parts_on_disk(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: Counter[str] = Counter()
    before = list(files.walk(album, SUFFIXES, others))
    entries = [name for name, _ in files.walk_entries(album, SUFFIXES, Counter())]
    assert [album / name for name in entries] == before
    monkeypatch.setattr(files, "IN_MEMORY", 2)
    again: Counter[str] = Counter()
    assert list(files.walk(album, SUFFIXES, again)) == before
    assert [name for name, _ in files.walk_entries(album, SUFFIXES, Counter())] == entries
    assert again == others


# --- shards -----------------------------------------------------------------------------------------


class InProcess:
    """An engine without processes."""

    workers = 1

    def run(self, output: str, settings: BulkSettings, shards: Iterator[Shard]) -> Iterator[object]:
        done = Shards(output, settings)
        for shard in shards:
            try:
                yield done.process(shard)
            except StorageError as error:
                yield Lost(shard, str(error))


def colorized(album: Path, out: Path, model: Path) -> Tree:
    list(run_jobs(load(model, size=32), plan_jobs([album], out, "color")))
    return tree(out)


def test_results_are_those_of_colorize(album: Path, tmp_path: Path, model: Path, small_shards: None) -> None:
    out = tmp_path / "out"
    (album / "broken.png").write_bytes((album / "00.png").read_bytes()[:300])
    assert len(planned(album, out)) > 1
    totals = run_bulk(str(out), settings(model), InProcess())
    assert (totals.done, totals.failed, totals.remaining) == (8, 1, 0)
    (line,) = (out / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["input"] == str(album / "broken.png")
    assert {name: content for name, content in tree(out).items() if name != "failures.jsonl"} == colorized(
        album, tmp_path / "direct", model
    )
    for shard in read_shards(Folder(out)):
        for photo in read_photos(Folder(out), shard.id):
            if photo.state == "done":
                assert (out / photo.target).stat().st_mtime_ns == Path(photo.source).stat().st_mtime_ns


def test_a_second_run_changes_nothing(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    planned(album, out)
    run_bulk(str(out), settings(model), InProcess())
    before = {path: path.stat().st_ctime_ns for path in out.rglob("*.png")}
    monkeypatch.setattr(Shards, "process", None)
    planned(album, out)
    assert run_bulk(str(out), settings(model), InProcess()).done == 8
    assert {path: path.stat().st_ctime_ns for path in out.rglob("*.png")} == before


def test_only_what_changed_is_made_again(album: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    planned(album, out)
    assert run_bulk(str(out), settings(model), InProcess()).made == 8
    Image.fromarray(tiny.photo()).convert("L").save(album / "00.png")
    Image.fromarray(tiny.photo()).convert("L").save(album / "new.png")
    planned(album, out)
    totals = run_bulk(str(out), settings(model), InProcess())
    assert (totals.done, totals.made) == (9, 2)
    totals = run_bulk(str(out), settings(model, quality=50), InProcess())
    assert totals.made == 9
    assert read_status(str(out)).totals.done == 9


def test_a_result_stays_only_if_it_is_the_same_photos_and_has_the_same_name(
    album: Path, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "out"
    planned(album, out)
    run_bulk(str(out), settings(model), InProcess())
    make_plan([str(album)], str(out), format="TIFF")
    assert run_bulk(str(out), settings(model), InProcess()).made == 8
    assert (out / "00.color.tif").exists()
    date = (album / "00.png").stat()
    Image.fromarray(tiny.photo()).convert("L").save(album / "00.png")  # another size, the same date
    os.utime(album / "00.png", ns=(date.st_atime_ns, date.st_mtime_ns))
    make_plan([str(album)], str(out), format="TIFF")
    assert run_bulk(str(out), settings(model), InProcess()).made == 1
    album.rename(tmp_path / "other")  # the same names and dates in another folder
    make_plan([str(tmp_path / "other")], str(out), format="TIFF")
    assert run_bulk(str(out), settings(model), InProcess()).made == 8


def test_a_plan_that_changes_during_a_run_loses_nothing(album: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    (shard, *_) = planned(album, out)
    (album / "000.png").write_bytes((album / "00.png").read_bytes())
    planned(album, out)
    with pytest.raises(StorageError, match="plan has changed"):
        Shards(str(out), settings(model)).process(replace(shard, digest="other"))
    with files.locked(out / STATE / "run.lock", "busy"), pytest.raises(BusyError):
        planned(album, out)


def test_a_date_that_cannot_be_set_is_a_note(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    planned(album, tmp_path / "out")
    monkeypatch.setattr("hashigo.bulk.shards.copy_date", refuse)
    assert run_bulk(str(tmp_path / "out"), settings(model), InProcess()).done == 8


def test_a_stopped_run_lists_all_failures(album: Path, tmp_path: Path, model: Path, small_shards: None) -> None:
    out = tmp_path / "out"
    (album / "zz.png").write_bytes(b"broken")
    planned(album, out)
    run_bulk(str(out), settings(model), InProcess())

    class Stops(InProcess):
        def run(self, *_: object) -> Iterator[object]:
            raise KeyboardInterrupt
            yield

    with pytest.raises(KeyboardInterrupt):
        run_bulk(str(out), settings(model), Stops())
    assert "zz.png" in (out / "failures.jsonl").read_text()


def test_failed_photos_are_tried_again_when_asked(album: Path, tmp_path: Path, model: Path) -> None:
    out, broken = tmp_path / "out", album / "broken.png"
    content = (album / "00.png").read_bytes()
    broken.write_bytes(content[:300])
    status = broken.stat()
    planned(album, out)
    run_bulk(str(out), settings(model), InProcess())
    broken.write_bytes(content)
    os.utime(broken, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run_bulk(str(out), settings(model), InProcess()).failed == 1
    totals = run_bulk(str(out), settings(model), InProcess(), again=True)
    assert (totals.done, totals.failed, totals.made) == (9, 0, 1)
    assert not (out / "failures.jsonl").exists()


def test_photos_in_colour_can_be_left_alone(album: Path, tmp_path: Path, model: Path) -> None:
    planned(album, tmp_path / "out")
    totals = run_bulk(str(tmp_path / "out"), settings(model, only_grey=True), InProcess())
    known = load(model)
    grey = {item.result("color") for item in items(tmp_path / "out") if not known.recolours(read(album / item.name))}
    assert set(tree(tmp_path / "out")) == grey
    assert (totals.done, totals.left) == (len(grey), 8 - len(grey))
    assert 0 < len(grey) < 8


def test_tar_files_as_results(album: Path, tmp_path: Path, model: Path, small_shards: None) -> None:
    out = tmp_path / "out"
    shards = planned(album, out)
    run_bulk(str(out), settings(model, tars=True), InProcess())
    found = {}
    for shard in shards:
        with tarfile.open(out / f"{shard.id}.tar") as archive:
            found |= {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert found == colorized(album, tmp_path / "direct", model)
    first = (out / f"{shards[0].id}.tar").read_bytes()
    Shards(str(out), settings(model, tars=True)).process(shards[0])
    assert (out / f"{shards[0].id}.tar").read_bytes() == first


@pytest.mark.parametrize("where", ["write", "report"])
def test_a_full_disk_stops_the_run_and_loses_nothing(
    where: str, album: Path, tmp_path: Path, model: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    planned(album, out)

    def full(self: Path, target: object) -> Path:
        if ("reports" in str(target)) if where == "report" else str(target).lower().endswith(".png"):
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return original(self, target)  # type: ignore[arg-type]

    original = Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match=r"No space left.*fix this and run again"):
            run_bulk(str(out), settings(model), InProcess())
    assert not any(read_report(Folder(out), shard.id) for shard in read_shards(Folder(out)))
    assert run_bulk(str(out), settings(model), InProcess()).done == 8


def test_a_photo_folder_that_vanishes_stops_the_run(album: Path, tmp_path: Path, model: Path) -> None:
    planned(album, tmp_path / "out")
    album.rename(tmp_path / "elsewhere")
    totals = run_bulk(str(tmp_path / "out"), settings(model), InProcess())
    assert "folder is gone" in totals.lost[0]
    assert (totals.done, totals.failed, totals.remaining) == (0, 0, 8)
    (tmp_path / "elsewhere").rename(album)
    assert run_bulk(str(tmp_path / "out"), settings(model), InProcess()).done == 8


def test_two_runs_on_one_folder(album: Path, tmp_path: Path, model: Path) -> None:
    planned(album, tmp_path / "out")
    with (
        files.locked(tmp_path / "out" / STATE / "run.lock", "busy"),
        pytest.raises(BusyError, match="another bulk run"),
    ):
        run_bulk(str(tmp_path / "out"), settings(model), InProcess())


# --- workers ----------------------------------------------------------------------------------------

ODD = """
import os, sys, time
import hashigo.bulk.shards as shards
from hashigo.bulk.worker import main
read, held = shards.read, []
def odd(source, **options):
    name = os.path.basename(str(getattr(source, "name", source)))
    if name.startswith("crash"): os.abort()
    if name.startswith("hang"): time.sleep(1000)
    if name.startswith("bug"): raise TypeError("nobody expected this")
    if name.startswith("hungry"): held.append(bytearray(600 << 20)); bytearray(600 << 20)
    return read(source, **options)
shards.read = odd
main()
"""


def test_photos_that_crash_hang_or_eat_memory_are_listed_and_the_others_done(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    expected = colorized(album, tmp_path / "direct", model)
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.setattr(working, "COMMAND", [sys.executable, str(tmp_path / "odd.py")])
    for name in ("crash", "hang", "bug", "hungry"):
        (album / f"{name}.png").write_bytes((album / "00.png").read_bytes())
    planned(album, out)
    chosen = settings(model, photo_seconds=3.0, photo_mb=1000.0)
    totals = run_bulk(str(out), chosen, LocalEngine(2))
    assert (totals.done, totals.failed, totals.remaining, totals.lost) == (8, 4, 0, [])
    reasons = {
        Path(line["input"]).stem: line["error"]
        for line in map(json.loads, (out / "failures.jsonl").read_text().splitlines())
    }
    assert "SIGABRT" in reasons["crash"]
    assert "not done after 3 s" in reasons["hang"]
    assert "nobody expected this" in reasons["bug"]
    assert "hungry.png" in reasons["hungry"]
    assert {name: content for name, content in tree(out).items() if name != "failures.jsonl"} == expected
    assert not list((out / STATE / "attempts").iterdir())


def test_a_worker_that_was_stopped_starts_nothing(album: Path, tmp_path: Path, model: Path) -> None:
    (shard, *_) = planned(album, tmp_path / "out")
    worker = Worker(str(tmp_path / "out"), settings(model))
    worker.stop()
    with pytest.raises(StorageError, match="stopped"):
        worker.process(shard)
    assert not list((tmp_path / "out" / STATE / "attempts").iterdir())


def test_a_model_that_cannot_be_used_stops_the_run(album: Path, tmp_path: Path, model: Path) -> None:
    planned(album, tmp_path / "out")
    worker = Worker(str(tmp_path / "out"), settings(model, vivid=0.5))
    (shard, *_) = read_shards(Folder(tmp_path / "out"))
    with pytest.raises(Exception, match="vivid"):
        worker.process(shard)
    worker.end()
    assert not list((tmp_path / "out" / STATE / "attempts").iterdir())


def test_results_are_on_the_disk_before_their_report(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (shard, *_) = planned(album, out)
    settled: list[str] = []

    def settle(self: Folder, names: list[str], _alive: object) -> None:
        assert not list((out / STATE).glob("reports/*"))
        assert all((self.root / name).is_file() for name in names)
        settled.extend(names)

    monkeypatch.setattr(Folder, "settle", settle)
    shards = Shards(str(out), settings(model))
    report = shards.process(shard)
    assert len(settled) == len(set(settled)) == report.done > 0


def test_other_options_that_end_half_way_do_not_leave_the_old_report(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run with the old options would take the new results for its own."""
    out = tmp_path / "out"
    (shard, *_) = planned(album, out)
    Shards(str(out), settings(model)).process(shard)
    expected = tree(out)

    def full(*_: object) -> None:
        raise StorageError(errno.ENOSPC, "No space left on device", "x")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "settle", full)
        with pytest.raises(StorageError):
            Shards(str(out), settings(model, size=16)).process(shard)
    assert read_report(Folder(out), shard.id) is None
    Shards(str(out), settings(model)).process(shard)
    assert tree(out) == expected


def test_a_report_stays_only_for_its_own_options(album: Path, tmp_path: Path, model: Path) -> None:
    """Also where photos are tried one by one, which begins with the same question."""
    out = tmp_path / "out"
    (shard, *_) = planned(album, out)
    own, other = settings(model), settings(model, size=16)
    done = Shards(str(out), own).process(shard).done
    place, plan = Folder(out), read_plan(str(out))
    found = read_manifest(place, shard)
    kept = earlier(place, plan, shard, found, options_key(own), own, "color")
    assert sum(photo is not None for photo in kept) == done
    assert read_report(place, shard.id) is not None
    assert earlier(place, plan, shard, found, options_key(other), other, "color") == [None] * len(found)
    assert read_report(place, shard.id) is None


def test_a_disk_that_fails_when_results_settle_leaves_no_report(
    album: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (shard, *_) = planned(album, out)

    def fsync(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    shards = Shards(str(out), settings(model))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(StorageError):
            shards.process(shard)
    assert read_report(Folder(out), shard.id) is None
    assert shards.process(shard).done > 0


def test_a_killed_run_continues(album: Path, tmp_path: Path, model: Path, small_shards: None) -> None:
    out = tmp_path / "out"
    for number in range(30):
        (album / f"more-{number}.png").write_bytes((album / "00.png").read_bytes())
    planned(album, out)
    command = [
        sys.executable,
        "-m",
        "hashigo.cli.main",
        "bulk",
        "run",
        "-o",
        str(out),
        "-m",
        str(model),
        "--size",
        "32",
        "--workers",
        "2",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((out / STATE / "reports").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = len(list((out / STATE / "reports").glob("*.jsonl")))
    assert before > 0
    assert subprocess.run(command, check=False).returncode == 0
    assert tree(out) == colorized(album, tmp_path / "direct", model)
    assert not [path for path in out.rglob(".*") if path.is_file()]


def test_the_command_and_python_agree_about_what_is_done(
    album: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    planned(album, out)
    run_bulk(str(out), BulkSettings(model=str(model)), InProcess())
    assert main(["bulk", "run", "-o", str(out), "-m", str(model)]) == 0
    assert "8 done in" in capsys.readouterr().err  # none of them made now


# --- the command ------------------------------------------------------------------------------------


def test_the_command(album: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["bulk", "run", "-o", out, "-m", str(model)]) == 2
    assert "hashigo bulk plan" in capsys.readouterr().err
    assert main(["bulk", "plan", str(album), "-o", out]) == 0
    assert "8 photos" in capsys.readouterr().err
    assert main(["bulk", "status", "-o", out]) == 0
    assert "remaining   8" in capsys.readouterr().out
    assert main(["bulk", "retry", "-o", out]) == 2
    (album / "00.png").write_bytes(b"broken")
    assert main(["bulk", "run", "-o", out, "-m", str(model), "--size", "32"]) == 1
    assert "7 done, 1 failed" in capsys.readouterr().err
    assert main(["bulk", "status", "-o", out]) == 1
    printed = capsys.readouterr().out
    assert "failed      1" in printed
    assert "remaining   0" in printed
    (album / "00.png").write_bytes((album / "01.png").read_bytes())
    assert main(["bulk", "retry", "-o", out]) == 0
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "out" / "00.color.png")),
        np.asarray(Image.open(tmp_path / "out" / "01.color.png")),
    )
