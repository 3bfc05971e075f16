"""Reading a photo from the body of a request, within limits of size, memory and time."""

from __future__ import annotations

import asyncio
import time

from hashigo.service.pool import Pool
from hashigo.service.problems import Problem
from hashigo.service.security import Message, Receive
from hashigo.service.settings import MEGABYTE, Limits


class ClientLeft(Exception):
    """The client closed the connection."""


async def read_body(receive: Receive, declared: int | None, pool: Pool, limits: Limits) -> bytes:
    """The whole body.

    declared: its Content-Length, if there is one.

    Raises:
        Problem: 400 for an empty body, 408 for a slow one, 413 for a large one, 429 if there is no memory for it.
        ClientLeft: the client closed the connection.
    """
    most = int(limits.photo_mb * MEGABYTE)
    if declared is not None and declared > most:
        raise _too_large(declared, limits)
    pool.check_room(declared or 0)
    parts: list[bytes] = []
    size, start = 0, time.monotonic()
    try:
        while True:
            message = await _message(receive, size, start, limits)
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            pool.arriving_bytes += len(part)
            if size > most:
                raise _too_large(size, limits)
            pool.check_room()
            if not message.get("more_body", False):
                break
    finally:
        pool.arriving_bytes -= size
    if not size:
        raise Problem(400, "expected a photo as the body of the request, got an empty body; send the bytes of its file")
    return b"".join(parts)


async def _message(receive: Receive, size: int, start: float, limits: Limits) -> Message:
    """The next part of a body; it must arrive by the time that its average speed allows."""
    allowed = max(limits.body_seconds, size / (limits.body_kb_per_second * 1000))
    left = start + min(allowed, limits.body_most_seconds) - time.monotonic()
    try:
        async with asyncio.timeout(max(left, 0)):
            return await receive()
    except TimeoutError:
        speed = f"{limits.body_kb_per_second:g} kB/s"
        raise Problem(408, f"expected the photo at {speed} or faster, got {size:,} bytes in {time.monotonic() - start:.0f} s; "
                      "send it again over a faster connection") from None  # fmt: skip


def _too_large(size: int, limits: Limits) -> Problem:
    return Problem(413, f"expected a photo of at most {limits.photo_mb:g} MB, got {size / MEGABYTE:.1f} MB; reduce it")
