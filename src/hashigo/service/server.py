"""uvicorn's server with an orderly end: on SIGTERM or Ctrl-C accepted photos are finished first."""

from __future__ import annotations

import time
from types import FrameType

import uvicorn

from hashigo.service.app import Service, build
from hashigo.service.protocol import MOST_HEAD_BYTES, configured

LAST_SECONDS = 5
"""Time to send the last answers once all photos are done."""


class Server(uvicorn.Server):
    """Serves until it is told to stop. Then `/readyz` says 503, new photos are refused, and accepted ones are finished."""

    def __init__(self, service: Service) -> None:
        limits = service.settings.limits
        config = uvicorn.Config(
            build(service), http=configured(limits, service.overload, service.note_request), ws="none", loop="asyncio", log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=max(1, int(limits.head_seconds)), backlog=512, timeout_graceful_shutdown=LAST_SECONDS,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        )  # fmt: skip
        super().__init__(config)
        self.service = service
        self._stop_by = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop; a second signal stops at once."""
        if self.service.draining:
            self.should_exit = self.force_exit = True
        self.drain()

    def drain(self) -> None:
        """Begins to stop."""
        self.service.draining = True
        self._stop_by = time.monotonic() + self.service.settings.limits.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop now; called ten times a second."""
        if self.service.draining and (self.service.is_idle or time.monotonic() > self._stop_by):
            return True
        return await super().on_tick(counter)
