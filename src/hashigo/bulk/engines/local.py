"""The engine for one computer: a thread per worker, each with its process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from hashigo.bulk.engines.base import Lost
from hashigo.bulk.plan import Shard
from hashigo.bulk.reports import ShardReport
from hashigo.bulk.settings import BulkSettings
from hashigo.bulk.worker import Worker
from hashigo.errors import HashigoError, ModelError
from hashigo.machine import cores


@dataclass
class LocalEngine:
    """Workers on this computer.

    workers: 0 takes one per core.
    """

    workers: int = 0

    def __post_init__(self) -> None:
        self.workers = self.workers or cores()

    def run(self, output: str, settings: BulkSettings, shards: Iterator[Shard]) -> Iterator[ShardReport | Lost]:
        """See `Engine`."""
        results: queue.Queue[ShardReport | Lost | BaseException | None] = queue.Queue()
        taking = threading.Lock()
        stopped = threading.Event()
        workers = [Worker(output, settings) for _ in range(self.workers)]

        def take() -> Shard | None:
            with taking:
                return None if stopped.is_set() else next(shards, None)

        def work(worker: Worker) -> None:
            try:
                while (shard := take()) is not None:
                    try:
                        results.put(worker.process(shard))
                    except HashigoError as error:
                        results.put(Lost(shard, str(error), fatal=isinstance(error, ModelError)))
                    except Exception as error:  # one odd shard never stops the rest
                        results.put(Lost(shard, f"shard {shard.id}: {type(error).__name__}: {error}"))
            except BaseException as error:  # it must reach the driver
                results.put(error)
            finally:
                worker.end()
                results.put(None)

        threads = [threading.Thread(target=work, args=(worker,), name="hashigo-bulk") for worker in workers]
        started: list[threading.Thread] = []
        try:
            for thread in threads:
                thread.start()
                started.append(thread)
            running = len(threads)
            while running:
                result = results.get()
                if result is None:
                    running -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            stopped.set()
            for worker in workers:
                worker.stop()
            for thread in started:
                thread.join()
