"""hashigo.jobs: which file becomes which, in what order, what fails, what is left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hashigo
from hashigo.apply import Model, batches, jobs
from hashigo.apply.jobs import Options, Outcome, Tally, run, write_failures
from hashigo.apply.planning import Job, plan
from hashigo.errors import ModelError, PictureError, RecipeError
from hashigo.image import read, write
from tiny import model as tiny_model
from tiny import photo


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return hashigo.load(tiny_model(tmp_path_factory.mktemp("model")), precision="fp32")


def touch(folder: Path, *names: str) -> Path:
    """Small grey photos of these names, one size each."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo("coffee", 20 + 4 * (i % 3), 24)).convert("L").save(path)
    return folder


def named(planned: list[Job], folder: Path) -> dict[str, str]:
    return {job.source.relative_to(folder).as_posix(): job.target.relative_to(folder).as_posix() for job in planned}


# --- the plan -------------------------------------------------------------------------------------------


def test_beside_the_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.PNG", "in/c.tiff", "in/deep/d.webp", "e.gif", "x.y.z.jpeg")
    assert named(plan([tmp_path], None, "color"), tmp_path) == {
        "a.jpg": "a.color.jpg", "b.PNG": "b.color.PNG", "in/c.tiff": "in/c.color.tiff",
        "in/deep/d.webp": "in/deep/d.color.webp", "e.gif": "e.color.png", "x.y.z.jpeg": "x.y.z.color.jpeg",
    }  # fmt: skip


def test_the_tree_is_mirrored(tmp_path: Path) -> None:
    touch(tmp_path / "album", "a.jpg", "in/a.jpg", "in/deep/a.jpg")
    assert named(plan([tmp_path / "album"], tmp_path / "out", "clean"), tmp_path) == {
        "album/a.jpg": "out/a.clean.jpg", "album/in/a.jpg": "out/in/a.clean.jpg",
        "album/in/deep/a.jpg": "out/in/deep/a.clean.jpg",
    }  # fmt: skip


def test_a_pattern_is_mirrored_below_its_fixed_part(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/deep/b.jpg", "in/c.png")
    planned = plan([str(tmp_path / "in" / "**" / "*.jpg")], tmp_path / "out", "color")
    assert named(planned, tmp_path) == {"in/a.jpg": "out/a.color.jpg", "in/deep/b.jpg": "out/deep/b.color.jpg"}


@pytest.mark.parametrize("name", ["made.png", "made.JPG", "deep/er/made.webp"])
def test_one_file_may_name_its_output(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.jpg")
    assert plan([tmp_path / "a.jpg"], tmp_path / name, "color") == [Job(tmp_path / "a.jpg", tmp_path / name)]


def test_a_folder_called_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "out.png").mkdir()
    assert plan([tmp_path / "a.jpg"], tmp_path / "out.png", "color")[0].target == tmp_path / "out.png" / "a.color.jpg"


def test_an_unknown_suffix_becomes_png(tmp_path: Path) -> None:
    touch(tmp_path, "a.png").joinpath("a.png").rename(tmp_path / "scan.dat")
    assert plan([tmp_path / "scan.dat"], None, "color")[0].target.name == "scan.color.png"


def test_a_file_given_twice_is_one_job(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert len(plan([tmp_path / "a.jpg", tmp_path, str(tmp_path / "*.jpg")], None, "color")) == 1


def test_results_of_an_earlier_run_are_no_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.color.jpg", "out/b.jpg")
    assert named(plan([tmp_path], tmp_path / "out", "color"), tmp_path) == {"a.jpg": "out/a.color.jpg"}
    assert [job.source.name for job in plan([tmp_path], None, "color")] == ["a.jpg", "b.jpg"]
    given = plan([tmp_path / "a.color.jpg"], None, "color")  # given by name it is meant
    assert given[0].target.name == "a.color.color.jpg"


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (("a.gif", "a.png"), ("a.color.png", "a.png.color.png")),
        (("in/a.png", "on/a.png", "un/a.png"), ("a.color.png", "a.png.color.png", "a.png-2.color.png")),
        (("a.gif", "a.png", "a.png.gif"), ("a.color.png", "a.png.color.png", "a.png.gif.color.png")),
    ],
)
def test_collisions(tmp_path: Path, names: tuple[str, ...], targets: tuple[str, ...]) -> None:
    touch(tmp_path, *names)
    planned = plan([tmp_path / name for name in names], tmp_path / "out", "color")
    assert tuple(job.target.name for job in planned) == targets
    assert [bool(job.note) for job in planned] == [False, True, True][: len(names)]
    assert str(tmp_path / names[0]) in planned[1].note


def test_an_output_that_is_an_input(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.color.jpg", "b.jpg")
    planned = plan([tmp_path / "a.jpg", tmp_path / "a.color.jpg"], None, "color")
    assert [job.target.name for job in planned] == ["a.jpg.color.jpg", "a.color.color.jpg"]
    assert "is an input too" in planned[0].note
    with pytest.raises(RecipeError, match="overwrite an input"):
        plan([tmp_path / "a.jpg"], tmp_path / "a.jpg", "color")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(RecipeError, match="overwrite an input"):
        plan([tmp_path / "a.jpg"], tmp_path / "link.jpg", "color")


def test_several_inputs_for_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(RecipeError, match="2 inputs"):
        plan([tmp_path], tmp_path / "one.png", "color")


def test_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="missing"):
        plan([tmp_path / "missing.jpg"], None, "color")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="found none"):
        plan([tmp_path], None, "color")


# --- the run --------------------------------------------------------------------------------------------


def test_every_job_in_order_and_as_the_model_does_it_alone(tmp_path: Path, model: Model) -> None:
    touch(tmp_path, *(f"{i:02d}.png" for i in range(11)))
    planned = plan([tmp_path], tmp_path / "out", "color")
    for batch_size in (1, 3):
        outcomes = list(run(model, planned, Options(existing="overwrite"), batch_size=batch_size))
        assert [outcome.job for outcome in outcomes] == planned
        assert {outcome.state for outcome in outcomes} == {"done"}
        for job in planned:
            expected = np.asarray(model(job.source)).astype(int)
            assert np.abs(np.asarray(Image.open(job.target)).astype(int) - expected).max() <= 1


def test_outcomes_come_while_the_work_goes_on(tmp_path: Path, model: Model) -> None:
    touch(tmp_path, *(f"{i:02d}.png" for i in range(40)))
    outcomes: Iterator[Outcome] = run(model, plan([tmp_path], tmp_path / "out", "color"))
    next(outcomes)
    assert len(list((tmp_path / "out").glob("*.png"))) < 40
    assert len(list(outcomes)) == 39


def test_many_decoded_pixels_wait_for_each_other(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *(f"{i:02d}.png" for i in range(24)))
    monkeypatch.setattr(batches, "IN_FLIGHT_PIXELS", 10)
    monkeypatch.setattr(batches, "cores", lambda: 2)
    begun, written, most = 0, 0, 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal begun, most
        begun += 1
        most = max(most, begun - written)
        return read(*args, **options)

    def put(*args: Any, **options: Any) -> None:
        nonlocal written
        write(*args, **options)
        written += 1

    monkeypatch.setattr(jobs, "read", counted)
    monkeypatch.setattr(jobs, "write", put)
    outcomes = list(run(model, plan([tmp_path], None, "color")))
    assert [outcome.state for outcome in outcomes] == ["done"] * 24
    assert most <= 5, "one on the way through, and twice as many as workers begun before their sizes were known"


def test_an_output_folder_that_holds_the_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "album/a.jpg", "album/1931/b.jpg")
    expected = {"album/a.jpg": "album/a.color.jpg", "album/1931/b.jpg": "album/1931/b.color.jpg"}
    assert named(plan([tmp_path / "album"], tmp_path / "album", "color"), tmp_path) == expected
    inner = plan([tmp_path / "album" / "1931"], tmp_path / "album", "color")
    assert named(inner, tmp_path) == {"album/1931/b.jpg": "album/b.color.jpg"}


def test_names_in_no_encoding(tmp_path: Path, model: Model) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        touch(tmp_path, name)
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    (tmp_path / os.fsdecode(b"bad\xe9.png")).write_bytes(b"nothing")
    outcomes = list(run(model, plan([tmp_path], None, "color")))
    assert sorted(outcome.state for outcome in outcomes) == ["done", "failed"]
    assert write_failures(outcomes, tmp_path / "failures.jsonl")
    listed = json.loads((tmp_path / "failures.jsonl").read_text(encoding="utf-8"))
    assert listed["input"] == str(tmp_path / os.fsdecode(b"bad\xe9.png"))


def test_a_network_that_fails_on_some_photos(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):  # one size, so that they go through the network together
        Image.fromarray(photo("coffee", 20, 24)).convert("L").point(lambda v, i=i: v if i != 2 else 0).save(
            tmp_path / f"{i}.png"
        )
    engine = model.engine

    def failing(x: np.ndarray) -> np.ndarray:
        if (x.max(axis=(1, 2, 3)) == 0).any():
            raise ModelError("out of memory")
        return engine(x)

    monkeypatch.setattr(model, "engine", failing)
    outcomes = list(run(model, plan([tmp_path], None, "color"), batch_size=4))
    assert [outcome.state for outcome in outcomes] == ["done", "done", "failed", "done"]
    assert "out of memory" in outcomes[2].error


def test_a_list_of_failures_keeps_what_was_not_tried_again(tmp_path: Path) -> None:
    def outcome(name: str, state: Any) -> Outcome:
        return Outcome(Job(Path(name), Path(name + ".out")), state, "broken" if state == "failed" else "")

    path = tmp_path / "failures.jsonl"
    assert write_failures([outcome("a", "failed"), outcome("b", "failed")], path)
    assert not write_failures([outcome("a", "done"), outcome("c", "done")], path)
    assert [json.loads(line)["input"] for line in path.read_text(encoding="utf-8").splitlines()] == ["b"]
    assert not write_failures([outcome("b", "done")], path)
    assert not path.exists()


def test_a_bad_file_stops_no_other(tmp_path: Path, model: Model) -> None:
    touch(tmp_path, *(f"{i}.png" for i in range(6)))
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "4.png").write_bytes((tmp_path / "4.png").read_bytes()[:150])
    outcomes = list(run(model, plan([tmp_path], tmp_path / "out", "color")))
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done", "done", "failed", "done"]
    assert all(outcome.job.source.name in outcome.error for outcome in outcomes if outcome.state == "failed")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{i}.color.png" for i in (0, 2, 3, 5)]


def test_too_large_or_not_to_be_written(tmp_path: Path, model: Model) -> None:
    touch(tmp_path, "a.png")
    outcome = next(run(model, plan([tmp_path / "a.png"], None, "color"), Options(max_pixels=100)))
    assert outcome.state == "failed"
    assert "a.png" in outcome.error
    (tmp_path / "file").write_text("no folder")
    outcome = next(run(model, plan([tmp_path / "a.png"], tmp_path / "file" / "deep", "color")))
    assert outcome.state == "failed"
    assert "place to write" in outcome.error


def test_a_broken_network_fails_every_file(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "b.png")
    engine = model.engine
    monkeypatch.setattr(model, "engine", lambda x: engine(x) * np.float32(np.nan))
    outcomes = list(run(model, plan([tmp_path], None, "color")))
    assert [outcome.state for outcome in outcomes] == ["failed"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("existing", ["skip", "overwrite", "error"])
def test_existing_targets(tmp_path: Path, model: Model, existing: Any) -> None:
    touch(tmp_path, "a.png", "b.png")
    (tmp_path / "b.color.png").write_bytes(b"here before")
    planned = plan([tmp_path / "a.png", tmp_path / "b.png"], None, "color")
    if existing == "error":
        with pytest.raises(RecipeError, match=r"b\.color\.png already exists"):
            list(run(model, planned, Options(existing=existing)))
        assert not (tmp_path / "a.color.png").exists()
    else:
        states = [outcome.state for outcome in run(model, planned, Options(existing=existing))]
        assert states == ["done", "skipped" if existing == "skip" else "done"]
    untouched = (tmp_path / "b.color.png").read_bytes() == b"here before"
    assert untouched is (existing != "overwrite")


def test_a_model_of_full_size_goes_by_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = hashigo.load(tiny_model(tmp_path / "model", "denoise"), precision="fp32")
    touch(tmp_path / "in", "a.png", "b.png")
    monkeypatch.setattr("hashigo.apply.model.WHOLE_PIXELS", 20 * 24)  # the second is larger
    planned = plan([tmp_path / "in"], None, model.task.suffix)
    assert [outcome.state for outcome in run(model, planned)] == ["done", "done"]
    assert sorted(path.name for path in (tmp_path / "in").glob("*.clean.png")) == ["a.clean.png", "b.clean.png"]


# --- the lists ------------------------------------------------------------------------------------------


def test_failures_are_listed_and_an_old_list_goes(tmp_path: Path) -> None:
    job = Job(Path("梯子.jpg"), Path("out/梯子.color.jpg"))
    path = tmp_path / "deep" / "failures.jsonl"
    assert write_failures([Outcome(job, "done"), Outcome(job, "failed", "broken\nvery")], path)
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"input": "梯子.jpg", "output": "out/梯子.color.jpg", "error": "broken\nvery"}
    assert not write_failures([Outcome(job, "done"), Outcome(job, "skipped")], path)
    assert not path.exists()


def test_the_summary_counts() -> None:
    tally, job = Tally(), Job(Path("a"), Path("b"))
    for state in ("done", "done", "skipped", "failed"):
        tally.add(Outcome(job, state, reason="up to date" if state == "skipped" else ""))  # type: ignore[arg-type]
    assert tally.summary().startswith("2 done, 1 skipped (up to date), 1 failed in 0.0 s (")
    tally.add(Outcome(job, "skipped", reason="in colour already"))
    assert "2 skipped (1 up to date, 1 in colour already)" in tally.summary()
    assert "--existing overwrite" in tally.summary()
