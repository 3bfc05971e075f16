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
from hashigo.service.security import HEADERS
from hashigo.service.settings import Limits

_HEADERS = {name.decode(): value.decode() for name, value in HEADERS}

MOST_HEAD_BYTES = 32 << 10
"""Largest head of a request. h11 itself only limits heads that arrive in several pieces."""

LINGER_SECONDS = 1.0
"""After an answer that came before the whole body, what still arrives is read, until it comes slower than a photo must. If the connection
were closed at once, the client's system would throw the answer away."""

LINGER_MOST_SECONDS = 5.0
"""… and at most this long."""

FREE_PARTS, LEAST_PART = 100, 500
"""A body in more than 100 chunks must have 500 bytes per chunk on average: h11 takes as long for a chunk of one byte as for one of 64 kB."""

Overload = Callable[[str, str], Problem | None]
"""Given a request's method and path: why it is refused at once, or None."""

Note = Callable[[str, str, int, float], object]
"""Takes note of an answer: method, route, status, seconds."""


class Connection(h11.Connection):
    """h11's connection; bodies in tiny chunks and contradicting heads are errors."""

    _parts = _bytes = 0
    _is_new = True

    def receive_data(self, data: bytes) -> None:
        """Takes what has arrived."""
        self._is_new = True
        super().receive_data(data)

    def next_event(self) -> Any:
        """The next event. Raises h11.RemoteProtocolError for what is not valid."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._parts = self._bytes = 0
            names = {bytes(name) for name, _ in event.headers}
            if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
                raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length or HTTP/1.0")  # RFC 9112, 6.1
        elif isinstance(event, h11.Data):
            self._parts += not self._is_new  # a network packet is no part
            self._is_new = False
            self._bytes += len(event.data)
            if self._parts > FREE_PARTS and self._bytes < LEAST_PART * self._parts:
                raise h11.RemoteProtocolError("tiny chunks")
        return event


class Transport:
    """A transport for uvicorn, whose `close` lets the client finish sending first."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport, self._protocol = transport, protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether it closes or is about to."""
        return self._protocol.ending or self._transport.is_closing()

    def close(self) -> None:
        """Closes it once the client has stopped sending, and aborts it if the client does not take its answer."""
        self._protocol.end()


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with deadlines and with limits on connections. `configured` makes it for given limits."""

    limits: ClassVar[Limits] = Limits()
    addresses: ClassVar[Counter[str]] = Counter()
    overload: ClassVar[Overload]  # static methods
    note: ClassVar[Note]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = Connection(h11.SERVER, MOST_HEAD_BYTES)
        self.ending = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._counted = ""
        self._head_bytes = 0
        self._lingering_bytes = 0
        self._linger_end = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses connections beyond the limits and starts the clock for the first head."""
        self.bare = transport
        super().connection_made(Transport(transport, self))  # type: ignore[arg-type]
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
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.transport = self.bare  # without a circle, memory is freed at once
        if self.cycle is not None:
            self.cycle.transport = self.bare
        self.addresses[self._counted] -= 1
        if not self.addresses[self._counted]:
            del self.addresses[self._counted]

    def data_received(self, data: bytes) -> None:
        """Passes on data; the first bytes of a later head start the clock. Refuses large heads, and photos under overload."""
        self._lingering_bytes += len(data)
        if self.ending or self.bare.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            if "head" not in self._timers:
                self._await_head()
            end = data.find(b"\r\n\r\n")
            self._head_bytes += len(data) if end < 0 else end
            if self._head_bytes > MOST_HEAD_BYTES:
                most = f"{MOST_HEAD_BYTES >> 10} kB"
                self._refuse(431, f"expected the head of a request of at most {most}, got more; send fewer headers")
                return
            if self._head_bytes == end and (problem := self._overload(data)):  # the head is complete and in one piece
                self._answer(problem)
                return
        super().data_received(data)

    def _overload(self, data: bytes) -> Problem | None:
        words = data[: data.find(b"\r")].decode("latin-1").split(" ")
        return type(self).overload(words[0], words[1].partition("?")[0]) if len(words) == 3 else None

    def handle_events(self) -> None:
        """Stops the clocks that have served their purpose."""
        super().handle_events()
        if self.ending:
            return
        state = self.conn.their_state
        if state is not h11.IDLE:
            self._stop_clock("head")
            self._head_bytes = 0
        if state is not h11.SEND_BODY and self._stop_clock("linger") and state is h11.IDLE:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Watches a body that is still arriving after the answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.ending:
            self._linger()

    def pause_writing(self) -> None:
        """Starts the clock for the client to take its answer."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Stops it."""
        super().resume_writing()
        if not self.ending:
            self._stop_clock("write")

    def end(self) -> None:
        """Closes the connection as soon as the client has stopped sending and taken its answer."""
        if self.bare.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY and not self.ending:
            self.ending = True
            self._linger()
        elif not self.ending:
            self._close()

    def send_400_response(self, msg: str) -> None:
        """Answers a request that is not valid HTTP."""
        self._refuse(
            400, f"expected a valid HTTP/1.1 request, got none ({msg.rstrip('.')}); send it again with an HTTP client"
        )

    # --- clocks ---

    def _start_clock(self, name: str, seconds: float, action: Callable[..., object], *args: object) -> None:
        self._stop_clock(name)
        self._timers[name] = self.loop.call_later(seconds, action, *args)

    def _stop_clock(self, name: str) -> bool:
        """Whether it was running."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _await_head(self) -> None:
        self._start_clock("head", self.limits.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        del self._timers["head"]
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            seconds = f"{self.limits.head_seconds:g} s"
            self._refuse(408, f"expected the head of a request within {seconds}, got none; send it faster")
            self._close()

    def _linger(self) -> None:
        self.flow.resume_reading()
        self._lingering_bytes = 0
        self._linger_end = self.loop.time() + LINGER_MOST_SECONDS
        self._start_clock("linger", LINGER_SECONDS, self._check_linger)

    def _check_linger(self) -> None:
        least = 1000 * self.limits.body_kb_per_second * LINGER_SECONDS
        if self._lingering_bytes >= least and self.loop.time() < self._linger_end:
            self._lingering_bytes = 0
            self._start_clock("linger", LINGER_SECONDS, self._check_linger)
        else:
            self._close()

    def _close(self) -> None:
        self.ending = True
        self.bare.close()
        if self.bare.get_write_buffer_size():
            self._watch_writing()

    def _watch_writing(self) -> None:
        """Ends a connection whose client takes its answer more slowly than it may send a photo."""
        size, seconds = self.bare.get_write_buffer_size(), self.limits.body_seconds
        self._start_clock("write", seconds, self._check_writing, size - 1000 * self.limits.body_kb_per_second * seconds)

    def _check_writing(self, most: float) -> None:
        size = self.bare.get_write_buffer_size()
        if size > max(most, 0):
            self.bare.abort()
        elif size:
            self._watch_writing()

    # --- answers without the application ---

    def _refuse(self, status: int, detail: str) -> None:
        type(self).note("", "other", status, 0)
        self._answer(Problem(status, detail, retry_after=1 if status in (429, 503) else None))

    def _answer(self, problem: Problem) -> None:
        """Answers, ignores whatever else arrives, and closes."""
        self._stop_clock("head")
        self.ending = True
        if self.cycle is not None and not self.cycle.response_complete:  # the application must not go on
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # no answer has begun
            body = problem.body()
            headers = problem.headers() | {"content-length": str(len(body)), "connection": "close"} | _HEADERS
            lines = [f"HTTP/1.1 {problem.status} {title(problem.status)}", *map(": ".join, headers.items()), "", ""]
            # not by h11, which takes longer than all the rest
            self.bare.write("\r\n".join(lines).encode("latin-1") + body)
        self._linger()


def configured(limits: Limits, overload: Overload, note: Note) -> type[Protocol]:
    """The protocol with these limits, and with its own count of addresses. note: called for answers without the application."""
    return type(
        "Protocol",
        (Protocol,),
        {"limits": limits, "addresses": Counter(), "overload": staticmethod(overload), "note": staticmethod(note)},
    )
