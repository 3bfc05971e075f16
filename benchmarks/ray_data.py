"""Ray's actors, as `hashigo bulk run --engine ray` uses them, beside Ray Data's pool of actors: speed, and what is left when an actor is killed.

    pip install pandas pyarrow        # what Ray Data needs beyond hashigo[cluster]
    .venv/bin/python benchmarks/ray_data.py PHOTOS --count 600 --rounds 2

Both do the same shards with the same workers; they differ in who gives shards to actors. Each run is a process of its own. With `--kill`, an actor is killed some seconds after the start of each run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bulk import album_of
from hashigo.bulk.engines.base import Lost
from hashigo.bulk.engines.ray import RayEngine, RayWorker, _result
from hashigo.bulk.plan import Shard, make_plan
from hashigo.bulk.reports import ShardReport
from hashigo.bulk.run import run_bulk, summary
from hashigo.bulk.settings import BulkSettings


class OnBlocks:
    """A worker for Ray Data: a batch of one shard in, its report out."""

    def __init__(self, output: str, settings: dict[str, Any]) -> None:
        self.worker = RayWorker(output, settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"answer": [json.dumps([shard, self.worker.process(shard)]) for shard in map(json.loads, batch["item"])]}


class RayData(RayEngine):
    """An engine that leaves everything to `map_batches`."""

    def run(self, output: str, settings: BulkSettings, shards: Iterator[Shard]) -> Iterator[ShardReport | Lost]:
        """See `Engine`."""
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # else one lost actor ends the run
        items = [{"item": json.dumps(asdict(shard))} for shard in shards]
        pool = ray.data.ActorPoolStrategy(size=self.workers)
        answers = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            OnBlocks, fn_constructor_args=(output, asdict(settings)), compute=pool, batch_size=1, num_cpus=1,
            max_restarts=4, max_task_retries=1,
        )  # fmt: skip
        for row in answers.iter_rows():
            shard, answer = json.loads(row["answer"])
            yield _result(answer, Shard(**shard))


def one(args: argparse.Namespace) -> None:
    """One run."""
    engine = RayData() if args.engine == "ray-data" else RayEngine()

    def strike() -> None:
        time.sleep(args.kill)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes()
            if words.startswith((b"ray::RayWorker", b"ray::MapWorker", b"ray::OnBlocks")):
                os.kill(int(path.parent.name), signal.SIGKILL)
                return
        print("no actor found", flush=True)

    if args.kill:
        threading.Thread(target=strike, daemon=True).start()
    print(summary(run_bulk(args.output, BulkSettings(), engine)), flush=True)


def main() -> None:
    """Runs in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kill", type=float, default=0, help="seconds after which an actor is killed")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        one(args)
        return
    root = Path(tempfile.mkdtemp(prefix="hashigo-ray-"))
    try:
        album = album_of(args.photos, args.count, root / "album")
        for turn in range(args.rounds):
            for engine in ("ray", "ray-data"):
                out = root / f"{engine}-{turn}"
                make_plan([str(album)], str(out))
                start = time.perf_counter()
                words = [sys.executable, __file__, args.photos, "--engine", engine, "--output", str(out)]
                done = subprocess.run(
                    [*words, "--kill", str(args.kill)], capture_output=True, text=True,
                    check=False, timeout=3600,
                )  # fmt: skip
                said = done.stdout.strip() if not done.returncode else done.stderr.strip()[-600:]
                print(f"{engine}: {time.perf_counter() - start:.1f} s in all; {said}", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
