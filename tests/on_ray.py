"""Run by test_bulk_ray.py in a process of its own, as Ray ends the whole process when it loses its cluster: a bulk run on two nodes, some of which are lost.

Arguments: the folder of results (with a plan), the model, the file in which it leaves the totals as JSON (Ray prints the log of its workers).
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from hashigo.bulk.engines.ray import RayEngine
from hashigo.bulk.plan import STATE
from hashigo.bulk.run import run_bulk
from hashigo.bulk.settings import BulkSettings


def main(out: Path, model: str, report: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    os.environ["RAY_ADDRESS"] = cluster.address
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

    striking = threading.Thread(target=strike, daemon=True)
    striking.start()
    settings = BulkSettings(model=model, size=32)
    totals = run_bulk(str(out), settings, engine)
    striking.join()
    again = run_bulk(str(out), settings, engine)
    report.write_text(json.dumps({"totals": dataclasses.asdict(totals), "made_again": again.made}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
