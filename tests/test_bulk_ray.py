"""Bulk processing on a Ray cluster of two nodes on this computer, some of which are lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiny
from hashigo.bulk import plan as planning
from hashigo.bulk.engines.ray import RayEngine
from hashigo.bulk.plan import Shard, make_plan
from hashigo.bulk.settings import BulkSettings
from hashigo.errors import RecipeError, StorageError
from test_bulk import colorized, tree

pytest.importorskip("ray")


def test_every_photo_is_done_though_a_node_and_an_actor_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PHOTOS", 3)
    model = tiny.model(tmp_path / "model", onnx=True)
    album, out = tiny.album(tmp_path / "album", 6, 40), tmp_path / "out"
    for number in range(60):
        (album / f"more-{number}.png").write_bytes((album / "00.png").read_bytes())
    (album / "broken.png").write_bytes(b"\x89PNG")
    make_plan([str(album)], str(out))
    script = Path(__file__).with_name("on_ray.py")
    words = [sys.executable, str(script), str(out), str(model), str(tmp_path / "report.json")]
    run = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    totals = report["totals"]
    assert (totals["photos"], totals["done"], totals["failed"], totals["lost"]) == (67, 66, 1, [])
    assert report["made_again"] == 0
    results = tree(out)
    del results["failures.jsonl"]
    (album / "broken.png").unlink()
    assert results == colorized(album, tmp_path / "direct", model)


class DeadNode:
    """Ray after its process on this computer has died: actors are never ready, and nothing says why."""

    def __init__(self) -> None:
        self.killed = 0

    def remote(self, **_: object) -> Any:
        return lambda _: SimpleNamespace(
            remote=lambda *_: SimpleNamespace(ready=SimpleNamespace(remote=object), process=None)
        )

    def wait(self, references: list[object], timeout: float) -> tuple[list[object], list[object]]:
        return [], references

    def nodes(self) -> list[dict[str, object]]:
        return [{"NodeID": "here", "Alive": False}, {"NodeID": "there", "Alive": True}]

    def kill(self, _: object) -> None:
        self.killed += 1


def test_a_dead_node_ends_the_run_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashigo.bulk.engines.ray.SILENT_SECONDS", -1.0)
    engine = object.__new__(RayEngine)
    engine._ray, engine._node, engine.workers = DeadNode(), "here", 2
    with pytest.raises(StorageError, match="give the same command again"):
        list(engine.run("out", BulkSettings(), iter([Shard("a", 1, 1, "")])))
    assert engine._ray.killed == 2


def test_where_the_cluster_that_ray_knows_of_has_gone_a_new_one_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def init(address: str, **_: object) -> None:
        begun.append(address)
        if address != "local":  # without an address, Ray tries the one that it knows of again
            raise ConnectionError

    engine = object.__new__(RayEngine)
    engine._ray = SimpleNamespace(init=init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    engine._connect()
    assert begun == ["auto", "local"]
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    with pytest.raises(RecipeError, match=r"192\.0\.2\.1:6379, got no answer"):
        engine._connect()
