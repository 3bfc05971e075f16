"""A disk that is full is an error that names the file, before the work where that can be known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hashigo.errors import RecipeError
from hashigo.files import check_output
from hashigo.training.run import save_recipe
from tiny import album, recipe
from tiny import model as tiny_model

resource = pytest.importorskip("resource")

LIMITED = """
import resource, sys
from hashigo.cli.main import main
import torch, openvino, onnx  # they write files of their own
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


def limited(size: int, *words: str) -> tuple[int, str]:
    """The exit status and messages of a command none of whose files may be larger than `size` bytes."""
    command = [sys.executable, "-W", "ignore", "-c", LIMITED, str(size), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model"), onnx=True))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(album(tmp_path_factory.mktemp("album"), 6))


@pytest.mark.parametrize(
    ("size", "words", "name"),
    [
        (1000, ["export", "MODEL", "-o", "OUT/model.onnx"], "model.onnx"),
        (1000, ["features", "MODEL", "IN", "-o", "OUT/latents.npz"], "latents.npz"),
        (5_000, ["features", "MODEL", "IN", "-o", "OUT/latents.npz", "--layer", "up.0"], "latents.npz"),
        (1000, ["evaluate", "MODEL", "IN", "--json", "OUT/figures.json"], "figures.json"),
        (5_000, ["evaluate", "MODEL", "IN", "--page", "OUT/page.html"], "page.html"),
        (5_000, ["data", "pack", "IN", "-o", "OUT/cats.safetensors"], "cats.safetensors"),
        (1000, ["data", "pack", "IN", "-o", "OUT/cats.npz"], "cats.npz"),
    ],
)
def test_a_full_disk_names_the_file(
    size: int, words: list[str], name: str, model: str, pictures: str, tmp_path: Path
) -> None:
    words = [word.replace("MODEL", model).replace("IN", pictures).replace("OUT", str(tmp_path)) for word in words]
    status, said = limited(size, *words)
    assert status == 2, said
    last = said.splitlines()[-1]
    assert str(tmp_path / name) in last
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    if size == 1000:
        assert "pictures" not in said, "before the work"


def test_a_checkpoint_that_does_not_fit(pictures: str, tmp_path: Path) -> None:
    save_recipe(recipe(epochs=2), tmp_path / "tiny.yaml")
    status, said = limited(
        20_000, "train", str(tmp_path / "tiny.yaml"), "--data.train", pictures, "--run", str(tmp_path / "run")
    )
    assert status == 2, said
    assert str(tmp_path / "run") in said.splitlines()[-1]
    assert "Traceback" not in said


def test_an_output_is_tried_out_first(tmp_path: Path) -> None:
    (tmp_path / "there.npz").write_bytes(b"before")
    check_output(tmp_path / "there.npz", "-o", [".npz"])
    check_output(tmp_path / "new" / "x.npz", "-o")
    assert (tmp_path / "there.npz").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"], "no trace"
    with pytest.raises(OSError, match=r"there\.npz.x\.npz"):
        check_output(tmp_path / "there.npz" / "x.npz", "-o")
    for path, endings in ((tmp_path, []), (".", []), (tmp_path / "x.txt", [".npz"])):
        with pytest.raises(RecipeError, match="-o"):
            check_output(path, "-o", endings)
    with pytest.raises(RecipeError, match="never overwritten"):
        check_output(tmp_path / "there.npz", "-o", inputs=[tmp_path / "there.npz"])
