"""Bulk processing on a Ray cluster of two nodes on this computer, some of which are lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny
from hashigo.bulk import plan as planning
from hashigo.bulk.engines.ray import RayEngine
from hashigo.bulk.plan import STATE, make_plan
from hashigo.bulk.run import run_bulk
from hashigo.bulk.settings import BulkSettings
from test_bulk import colorized, tree

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    os.environ["RAY_ADDRESS"] = made.address
    yield made
    del os.environ["RAY_ADDRESS"]
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model(tmp_path_factory.mktemp("model"), onnx=True)


def test_every_photo_is_done_though_a_node_and_an_actor_are_killed(
    cluster: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PHOTOS", 3)
    album, out = tiny.album(tmp_path / "album", 6, 40), tmp_path / "out"
    for number in range(60):
        (album / f"more-{number}.png").write_bytes((album / "00.png").read_bytes())
    (album / "broken.png").write_bytes(b"\x89PNG")
    make_plan([str(album)], str(out))
    node = cluster.add_node(num_cpus=1)
    engine = RayEngine()
    assert engine.workers == 2

    def strike() -> None:
        attempts = out / STATE / "attempts"
        while not attempts.is_dir() or not list(attempts.iterdir()):
            time.sleep(0.01)
        process = int(next(attempts.iterdir()).read_text().split()[0])
        os.kill(process, signal.SIGKILL)
        cluster.remove_node(node, allow_graceful=False)

    striking = threading.Thread(target=strike)
    striking.start()
    totals = run_bulk(str(out), BulkSettings(model=str(model), size=32), engine)
    striking.join()
    assert (totals.done, totals.failed, totals.remaining, totals.lost) == (66, 1, 0, [])
    results = tree(out)
    del results["failures.jsonl"]
    (album / "broken.png").unlink()
    assert results == colorized(album, tmp_path / "direct", model)
    assert run_bulk(str(out), BulkSettings(model=str(model), size=32), engine).made == 0
