"""What the driver needs from an engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from hashigo.bulk.plan import Shard
from hashigo.bulk.reports import ShardReport
from hashigo.bulk.settings import BulkSettings


@dataclass(frozen=True)
class Lost:
    """A shard that was not done: it has no report and is to be done again.

    fatal: whether no other shard can be done either.
    """

    shard: Shard
    reason: str
    fatal: bool = False


class Engine(Protocol):
    """Gives shards to workers."""

    workers: int
    """How many shards are processed at a time."""

    def run(self, output: str, settings: BulkSettings, shards: Iterator[Shard]) -> Iterator[ShardReport | Lost]:
        """Yields what became of each shard, in any order. When the generator is closed, all workers end at once.

        shards: taken one at a time, when a worker is free.
        """
