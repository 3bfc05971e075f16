"""What uvicorn does not have: deadlines and limits per connection, and refusals that cost next to nothing under overload."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hashigo.service.problems import Problem, title
from hashigo.service.settings import Limits

MOST_HEAD_BYTES = 32 << 10
"""Largest head of a request. h11 itself only limits heads that arrive in several pieces."""

LINGER_SECONDS = 1.0
"""After an answer that came before the whole body, the rest of the body is read this long, so that the client can read the answer."""


Overload = Callable[[str, str], Problem | None]
"""Given a request's method and path: why it is refused at once, or None."""


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for heads and with limits on connections. `configured` makes it for given limits."""

    limits: ClassVar[Limits] = Limits()
    addresses: ClassVar[Counter[str]] = Counter()
    overload: ClassVar[Overload]  # a static method

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._counted = ""
        self._head_bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses connections beyond the limits and starts the clock for the first head."""
        super().connection_made(transport)
        # asyncio does so only for sockets that state their protocol; without it, the end of an answer may wait 40 ms for an acknowledgement
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._counted = self.client[0] if self.client else "local"
        self.addresses[self._counted] += 1
        if len(self.connections) > self.limits.connections:
            self._refuse(503, f"expected at most {self.limits.connections} connections, got more; try again later")
        elif self.addresses[self._counted] > self.limits.connections_per_address:
            most = self.limits.connections_per_address
            self._refuse(429, f"expected at most {most} connections from one address, got more; use fewer at a time")
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        super().connection_lost(exc)
        for timer in (self._deadline, self._linger):
            if timer is not None:
                timer.cancel()
        self.addresses[self._counted] -= 1
        if not self.addresses[self._counted]:
            del self.addresses[self._counted]

    def data_received(self, data: bytes) -> None:
        """Passes on data; the first bytes of a later head start the clock. Refuses large heads, and photos under overload."""
        if self._refused or self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            if self._deadline is None:
                self._await_head()
            end = data.find(b"\r\n\r\n")
            self._head_bytes += len(data) if end < 0 else end
            if self._head_bytes > MOST_HEAD_BYTES:
                most = f"{MOST_HEAD_BYTES >> 10} kB"
                self._refuse(431, f"expected the head of a request of at most {most}, got more; send fewer headers")
                return
            if self._head_bytes == end and (problem := self._overload(data)):  # the head is complete and in one piece
                self._answer(problem)
                self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)
                return
        super().data_received(data)

    def _overload(self, data: bytes) -> Problem | None:
        words = data[: data.find(b"\r")].decode("latin-1").split(" ")
        return type(self).overload(words[0], words[1].partition("?")[0]) if len(words) == 3 else None

    def handle_events(self) -> None:
        """Stops the clock once the head is complete."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._head_bytes = 0
        if self.conn.their_state is not h11.SEND_BODY and self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def on_response_complete(self) -> None:
        """Closes connections whose body is still arriving after the answer."""
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Answers a request that is not valid HTTP."""
        self._refuse(
            400, f"expected a valid HTTP/1.1 request, got none ({msg.rstrip('.')}); send it again with an HTTP client"
        )

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self.limits.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            seconds = f"{self.limits.head_seconds:g} s"
            self._refuse(408, f"expected the head of a request within {seconds}, got none; send it faster")

    def _refuse(self, status: int, detail: str) -> None:
        """Answers without the application, and closes."""
        self._answer(Problem(status, detail, retry_after=1 if status in (429, 503) else None))
        self.transport.close()

    def _answer(self, problem: Problem) -> None:
        """Answers without the application; whatever else arrives is ignored."""
        self._refused = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has already begun
            return
        body = problem.body()
        headers = problem.headers() | {"content-length": str(len(body)), "connection": "close"}
        lines = [f"HTTP/1.1 {problem.status} {title(problem.status)}", *map(": ".join, headers.items()), "", ""]
        self.transport.write(
            "\r\n".join(lines).encode("latin-1") + body
        )  # not by h11, which takes longer than all the rest


def configured(limits: Limits, overload: Overload) -> type[Protocol]:
    """The protocol with these limits, and with its own count of addresses."""
    return type("Protocol", (Protocol,), {"limits": limits, "addresses": Counter(), "overload": staticmethod(overload)})
