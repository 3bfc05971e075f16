"""The service's figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from hashigo.service.job import Answer, Job
    from hashigo.service.pool import Pool

STAGE_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"hashigo_{name}", about, labels, registry=self.registry)

        self.requests = counter("requests", "Requests by route and status.", "route", "status")
        self.photos = counter("photos", "Photos processed, by model.", "model")
        self.bytes = counter("photo_bytes", "Bytes of photos received and of results sent.", "direction")
        self.restarts = counter("worker_restarts", "Workers replaced, by reason.", "reason")
        self.seconds = Histogram(
            "hashigo_stage_seconds", "Seconds per photo by stage: queue, read, network, write.", ["stage"],
            buckets=STAGE_SECONDS, registry=self.registry,
        )  # fmt: skip

    def watch(self, pool: Pool) -> None:
        """Adds what is read from the pool when somebody asks."""

        def gauge(name: str, about: str, value: Callable[[], float]) -> None:
            Gauge(f"hashigo_{name}", about, registry=self.registry).set_function(value)

        gauge("queue_photos", "Photos waiting for a worker.", lambda: len(pool.queue))
        gauge("queue_bytes", "Bytes of photos arriving or waiting.", lambda: pool.queued_bytes + pool.arriving_bytes)
        gauge("workers_ready", "Workers with their models loaded.", lambda: pool.ready)
        gauge("workers_busy", "Workers with a photo.", lambda: pool.working)

    def add(self, job: Job, answer: Answer, waited: float) -> None:
        """Counts a processed photo. waited: seconds in the queue."""
        self.photos.labels(job.model).inc()
        self.bytes.labels("in").inc(len(job.photo))
        self.bytes.labels("out").inc(len(answer.result))
        for stage, seconds in {"queue": waited, **answer.seconds}.items():
            self.seconds.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)
