"""The engine for a cluster: actors of Ray (https://docs.ray.io), each with a worker. Only shards' ids and counts cross the object store.

An actor that dies with its computer is replaced, and its shard done again, carefully. Where the cluster has no room for all actors, those that have one work, and the
others wait: Ray's autoscaler sees them and may add computers.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hashigo.bulk.engines.base import Lost
from hashigo.bulk.lines import made
from hashigo.bulk.plan import Shard
from hashigo.bulk.reports import ShardReport
from hashigo.bulk.settings import BulkSettings
from hashigo.errors import HashigoError, MissingExtraError, ModelError, RecipeError, StorageError

if TYPE_CHECKING:
    from hashigo.bulk.worker import Worker

TRIES = 3
"""A shard whose actor has died so often is lost. Photos cannot do this, since they run in processes of their own; computers can."""

MOST_STARTS = 20
"""After so many actors in a row that cannot be started, the run stops."""

WAIT_SECONDS = 1.0
"""At least so often, the driver looks whether it was interrupted."""

SILENT_SECONDS = 30.0
"""After so long without any answer, the driver asks whether its node is still alive."""


class RayWorker:
    """A worker as an actor; what it returns are plain values."""

    def __init__(self, output: str, settings: dict[str, Any]) -> None:
        self._of = output, settings
        self._worker: Worker | None = None

    def ready(self) -> str:
        """The node, once the actor runs."""
        return os.uname().nodename if hasattr(os, "uname") else ""

    def process(self, shard: dict[str, Any]) -> dict[str, Any]:
        """A shard's report, or why it has none."""
        from hashigo.bulk.worker import Worker

        if self._worker is None:
            self._worker = Worker(self._of[0], made(BulkSettings, self._of[1]))
        try:
            return {"report": asdict(self._worker.process(made(Shard, shard)))}
        except HashigoError as error:
            return {"lost": str(error), "fatal": isinstance(error, ModelError)}
        except Exception as error:  # one odd shard never stops the rest
            return {"lost": f"shard {shard['id']}: {type(error).__name__}: {error}", "fatal": False}


@dataclass
class RayEngine:
    """Workers on a Ray cluster: the one at RAY_ADDRESS, one that was started on this computer, or a new one for this run.

    workers: 0 takes one per processor of the cluster.
    """

    workers: int = 0

    def __post_init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # one attempt of 40 seconds, where Ray makes 20, to reach a cluster that it knows of but that has gone or is just ending
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
        try:
            self._ray: Any = import_module("ray")
        except ImportError as error:
            raise MissingExtraError("the engine 'ray'", "cluster", error.name or "ray") from error
        ray = self._ray
        if not ray.is_initialized():
            try:
                self._connect()
            except HashigoError:
                raise
            except Exception as error:  # Ray has no class of its own for these
                raise StorageError(
                    f"Ray could not be started ({str(error).splitlines()[0]}); see its logs, or use --engine local"
                ) from error
        self._node: str = ray.get_runtime_context().get_node_id()
        self.workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def _connect(self) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            self._ray.init(address=os.environ.get("RAY_ADDRESS") or "auto", **quiet)
        except ConnectionError:
            if os.environ.get("RAY_ADDRESS"):
                raise RecipeError(
                    f"expected a Ray cluster at RAY_ADDRESS={os.environ['RAY_ADDRESS']}, got no answer; start one with 'ray start --head'"
                ) from None
            self._ray.init(address="local", include_dashboard=False, **quiet)

    def run(self, output: str, settings: BulkSettings, shards: Iterator[Shard]) -> Iterator[ShardReport | Lost]:
        """See `Engine`."""
        ray, todo = self._ray, _Todo(shards)
        make = ray.remote(num_cpus=1, max_restarts=0)(RayWorker)
        tries: Counter[str] = Counter()
        starting: dict[Any, Any] = {}
        working: dict[Any, tuple[Any, Shard]] = {}
        in_vain = 0
        silent_since = time.monotonic()

        def start() -> None:
            actor = make.remote(output, asdict(settings))
            starting[actor.ready.remote()] = actor

        def give(actor: Any) -> None:
            if (shard := todo.take()) is None:
                ray.kill(actor)
            else:
                working[actor.process.remote(asdict(shard))] = actor, shard

        for _ in range(self.workers):
            start()
        try:
            while working or todo:
                ready, _ = ray.wait([*starting, *working], timeout=WAIT_SECONDS)
                if ready:
                    silent_since = time.monotonic()
                elif time.monotonic() - silent_since > SILENT_SECONDS:
                    self._check_node()
                    silent_since = time.monotonic()
                for ref in ready:
                    answer = self._answer(ref)
                    if ref in starting:
                        actor = starting.pop(ref)
                        in_vain = 0 if answer is not None else in_vain + 1
                        if in_vain > MOST_STARTS:
                            raise StorageError(
                                "no worker can be started on the Ray cluster; see 'ray status' and its logs"
                            )
                        give(actor) if answer is not None else start()
                        continue
                    actor, shard = working.pop(ref)
                    if answer is not None:
                        give(actor)
                        yield _result(answer, shard)
                        continue
                    start()
                    tries[shard.id] += 1
                    if tries[shard.id] < TRIES:
                        todo.put(shard)
                    else:
                        yield Lost(
                            shard, f"shard {shard.id}: the computer or process that worked on it was lost {TRIES} times"
                        )
        finally:
            for actor in [*starting.values(), *(actor for actor, _ in working.values())]:
                ray.kill(actor)

    def _check_node(self) -> None:
        """Raises StorageError if Ray's process on this computer has died: then actors that are being started stay so for ever, without an error."""
        if not any(node["Alive"] for node in self._ray.nodes() if node["NodeID"] == self._node):
            raise StorageError(
                "Ray's process on this computer has died; give the same command again, which goes on with the shards that are left"
            )

    def _answer(self, ref: Any) -> Any:
        """An actor's answer; None if it is lost."""
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            if isinstance(error, self._ray.exceptions.RayTaskError):
                raise  # an error of the code
            return None


class _Todo:
    """Shards to be done, with those that have come back."""

    def __init__(self, shards: Iterator[Shard]) -> None:
        self._shards = shards
        self._back: list[Shard] = []

    def take(self) -> Shard | None:
        """The next one; None if there is none."""
        return self._back.pop() if self._back else next(self._shards, None)

    def put(self, shard: Shard) -> None:
        """Takes one back."""
        self._back.append(shard)

    def __bool__(self) -> bool:
        if not self._back and (shard := next(self._shards, None)) is not None:
            self._back.append(shard)
        return bool(self._back)


def _result(answer: dict[str, Any], shard: Shard) -> ShardReport | Lost:
    if "report" in answer:
        return made(ShardReport, answer["report"])
    return Lost(shard, answer["lost"], answer["fatal"])
