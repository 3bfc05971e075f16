"""The service's settings and limits. Nothing heavy is imported here, because the command's help needs them."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hashigo.errors import RecipeError, did_you_mean

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of the service; `GET /v1/limits` lists them.

    Args:
        photo_mb: Size of a photo's file, in MB.
        photo_megapixels: Size of a photo, in megapixels.
        hints: Colour hints per photo.
        head_seconds: Time for the head of a request to arrive.
        body_seconds: Time for its body to arrive; later, it must have arrived at `body_kb_per_second` on average.
        body_kb_per_second: Average speed that a slow body must keep, in kB/s.
        body_most_seconds: Time after which a body is refused at any speed.
        queue_photos: Photos that wait for a worker.
        queue_mb: Memory for photos that arrive or wait, in MB.
        queue_seconds: Time that a photo may wait for a worker.
        work_seconds: Time that a worker may take for a photo.
        connections: Open connections.
        connections_per_address: Open connections from one address.
        photos_per_worker: Photos after which a worker process is replaced.
        worker_mb: Memory that a worker may use on top of what it has when it starts, in MB.
        drain_seconds: Time to finish accepted photos when the service is stopped.
    """

    photo_mb: float = 20
    photo_megapixels: float = 40
    hints: int = 100
    head_seconds: float = 5
    body_seconds: float = 10
    body_kb_per_second: float = 32
    body_most_seconds: float = 120
    queue_photos: int = 64
    queue_mb: float = 256
    queue_seconds: float = 30
    work_seconds: float = 30
    connections: int = 512
    connections_per_address: int = 32
    photos_per_worker: int = 1000
    worker_mb: float = 2000
    drain_seconds: float = 30

    def with_value(self, text: str) -> Limits:
        """The limits with one of them changed by "NAME=VALUE".

        Raises:
            RecipeError: no such limit, or not a number above 0.
        """
        name, _, value = text.partition("=")
        kinds: dict[str, type] = {limit.name: int if limit.type == "int" else float for limit in fields(self)}
        if name not in kinds:
            raise RecipeError(f"--limit: expected NAME=VALUE, got {text!r}; {did_you_mean(name, kinds)}")
        number: Any = 0
        with contextlib.suppress(ValueError):
            number = kinds[name](value)
        if not 0 < number < 1e9:
            kind = "a whole number" if kinds[name] is int else "a number"
            raise RecipeError(f"--limit {name}: expected {kind} above 0, got {value!r}")
        return replace(self, **{name: number})


@dataclass(frozen=True)
class Settings:
    """How the service runs.

    Args:
        models: Names or folders of models; the first one is the default.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        workers: Worker processes; 0 starts one per core.
        hosts: Further host names by which browsers may reach the service.
        token: If not empty, requests must carry it as a bearer token.
        limits: The limits.
    """

    models: tuple[str | Path, ...] = ("colorizer",)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    hosts: tuple[str, ...] = ()
    token: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or "localhost", is this computer's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
