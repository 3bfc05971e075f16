"""Ctrl-C, SIGTERM and two at once: nothing reports success, nothing half-done stays, and what was done is kept."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hashigo.cli.main import main
from hashigo.errors import BusyError, Terminated
from hashigo.files import atomic_path, clear_leftovers, locked
from hashigo.training.recipe import OptimizerRecipe
from hashigo.training.run import Run, save_recipe, train
from tiny import photo, recipe

SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def start(words: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hashigo.cli.main", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def stopped(process: subprocess.Popen[str], number: int, when: Callable[[], bool]) -> tuple[int, str]:
    """Sends the signal as soon as it is time; returns the exit status and what was said."""
    end = time.monotonic() + 120
    while not when():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


LONGER = recipe(epochs=4, batch_size=4, optimizer=OptimizerRecipe("adamw", lr=3e-3), panels=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training that was not interrupted."""
    return train(LONGER, tmp_path_factory.mktemp("whole"), onnx=False)


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_an_interrupted_training(tmp_path: Path, number: int, status: int, whole: Run) -> None:
    given = LONGER
    save_recipe(given, tmp_path / "digits.yaml")
    run = tmp_path / "run"
    process = start(["train", tmp_path / "digits.yaml", "--run", run])
    code, said = stopped(process, number, (run / "checkpoints" / "last.ckpt").is_file)
    assert code == status, said
    assert "interrupted; continue with --resume" in said
    assert "Traceback" not in said
    assert "the model is in" not in said
    assert not (run / "model").exists()
    resumed = train(given, run, resume=True, onnx=False)
    assert resumed.metrics == whole.metrics
    first, second = load_file(resumed.model.weights), load_file(whole.model.weights)
    assert all(torch.equal(first[name], second[name]) for name in second)


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_an_interrupted_album(tmp_path: Path, number: int, status: int) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    (album / "a.png").write_bytes(b"broken")
    for i in range(400):
        Image.fromarray(photo("coffee", 300, 400)).convert("L").save(album / f"b{i:03d}.png")
    process = start(["colorize", album, "-o", out, "-m", "fast"])
    code, said = stopped(process, number, lambda: out.is_dir() and len(list(out.iterdir())) > 3)
    assert code == status, said
    assert "interrupted" in said
    assert "1 failed" in said  # the summary
    assert json.loads((out / "failures.jsonl").read_text())["input"].endswith("a.png")
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []
    done = len(list(out.glob("*.color.png")))
    assert 0 < done < 400
    for path in out.glob("*.color.png"):
        Image.open(path).load()


def test_an_interrupted_pack(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    picture = Image.fromarray(photo("coffee", 400, 500))
    picture.save(album / "0.png", compress_level=0)
    for i in range(1, 1500):
        os.link(album / "0.png", album / f"{i}.png")
        if i % 50 == 0:
            picture.save(album / f"{i}x.png", compress_level=0)
    process = start(["data", "pack", album, "-o", tmp_path / "packed.safetensors"])
    code, said = stopped(process, signal.SIGTERM, lambda: any(tmp_path.glob(".hashigo-*")))
    assert code == 143, said
    assert [path.name for path in tmp_path.iterdir()] == ["album"]


def test_leftovers_of_killed_processes_go(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.npz") as ours:
        ours.write_bytes(b"being written")
        parts = ours.name.split("-")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        left = tmp_path / "-".join([parts[0], parts[1], str(dead.pid), parts[3]])
        left.write_bytes(b"left by a killed process")
        elsewhere = tmp_path / "-".join([parts[0], "0123abcd", "1", parts[3]])
        elsewhere.mkdir()
        (tmp_path / ".hidden").write_bytes(b"somebody's")
        assert clear_leftovers(tmp_path) == 1
        assert ours.exists()
        assert not left.exists()
        assert elsewhere.exists()  # of another computer, and not a day old
        os.utime(elsewhere, (0, 0))
        assert clear_leftovers(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "x.npz"]
    assert clear_leftovers(tmp_path / "missing") == 0


# --- two at once --------------------------------------------------------------------------------------------


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = f"import sys, time; sys.path.insert(0, {str(Path('src').resolve())!r})\nfrom hashigo.files import locked\n"
    code += f"with locked({str(tmp_path / '.lock')!r}, 'busy'):\n    print('held', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="busy"), locked(tmp_path / ".lock", "busy"):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with locked(tmp_path / ".lock", "busy"):
        pass


def test_two_trainings_of_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_recipe(recipe(epochs=1), tmp_path / "digits.yaml")
    with locked(tmp_path / "run" / ".lock", "busy"):
        assert main(["train", str(tmp_path / "digits.yaml"), "--run", str(tmp_path / "run")]) == 2
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert "another process is training here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()  # nothing came of it


@pytest.mark.parametrize("study", ["autoencode", "colorize", "purity"])
def test_two_studies_of_one_folder(tmp_path: Path, study: str, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(tmp_path / ".lock", "busy"):
        assert main(["study", study, "--data", "digits", "--run", str(tmp_path)]) == 2
    assert "another process is working on this study" in capsys.readouterr().err


def test_sigterm_has_its_own_kind() -> None:
    assert issubclass(Terminated, KeyboardInterrupt)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["doctor"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_killed_demo_can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(["demo", "-o", tmp_path / "demo"])
    last = tmp_path / "demo" / "digits" / "concat" / "checkpoints" / "last.ckpt"
    code, said = stopped(process, signal.SIGKILL, last.is_file)
    assert code == -9, said
    assert not (tmp_path / "demo" / "report.html").exists()
    monkeypatch.setattr("hashigo.demo.EPOCHS", 2)
    monkeypatch.setattr("hashigo.demo.SHOWN", (1, 2))
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0, "neither lock nor half a run is in the way"
    assert (tmp_path / "demo" / "report.html").is_file()


def test_a_photo_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """Whole or cut short at any instant: done or listed, and nothing is left behind."""
    album = tmp_path / "album"
    album.mkdir()
    whole = io.BytesIO()
    Image.fromarray(photo("coffee", 200, 300)).save(whole, "PNG", compress_level=0)
    content = whole.getvalue()
    for i in range(20):
        (album / f"{i:02d}.png").write_bytes(content)
    ended = threading.Event()

    def change() -> None:
        cut = 0
        while not ended.is_set():
            cut = (cut * 31 + 9973) % len(content)
            (album / f"{cut % 20:02d}.png").write_bytes(content[: cut if cut % 2 else len(content)])

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for turn in range(5):
            out = tmp_path / f"out{turn}"
            status = main(["colorize", str(album), "-m", "fast", "-o", str(out)])
            failed = (out / "failures.jsonl").read_text().splitlines() if status else []
            done = list(out.glob("*.color.png"))
            assert len(done) + len(failed) == 20
            assert not list(out.glob(".hashigo-*"))
            for path in done:
                Image.open(path).load()
    finally:
        ended.set()
        changing.join()
