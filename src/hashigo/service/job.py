"""What goes to a worker and what comes back: a job with its photo's bytes, and an answer. Headers travel as JSON, never as pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Job:
    """A photo and what to do with it.

    Args:
        photo: The bytes of its file.
        model: The model's name.
        vivid: 0 to 1, or None for the model's own.
        hints: Colour hints as "x,y,#rrggbb", in pixels of the upright photo.
        kind: The format of the result, by Pillow's name; if empty, that of the photo.
        quality: Quality of JPEG, WebP and AVIF, 1 to 100; None takes the default.
        width: Reduce the photo to at most this width first; 0 keeps its size.
        whole: See all of a photo as one picture, even if it looks like a page with photos or an empty sheet.
    """

    photo: bytes = field(repr=False)
    model: str
    vivid: float | None = None
    hints: tuple[str, ...] = ()
    kind: str = ""
    quality: int | None = None
    width: int = 0
    whole: bool = False

    def send(self, connection: Connection) -> None:
        """Sends the job to a worker."""
        head = {key: value for key, value in asdict(self).items() if key != "photo"}
        connection.send_bytes(json.dumps(head).encode())
        connection.send_bytes(self.photo)

    @classmethod
    def receive(cls, connection: Connection) -> Job:
        """Waits for a job. Raises EOFError when the service has ended."""
        head = json.loads(connection.recv_bytes())
        return cls(connection.recv_bytes(), **(head | {"hints": tuple(head["hints"])}))


@dataclass(frozen=True)
class Answer:
    """A worker's answer: a result (status 200) or an error.

    Args:
        status: The HTTP status.
        result: The bytes of the result's file; empty for an error.
        detail: What went wrong.
        media_type: Media type of the result.
        width: Width of the result in pixels.
        height: Height of the result in pixels.
        photo_width: Width of the upright photo before it was reduced.
        photo_height: Its height.
        was_coloured: Whether the photo was already in colour and got new colours.
        notes: What people should know about the result, for instance metadata that its format cannot keep.
        seconds: Duration of each stage: read, network, write.
        memory_mb: What the worker holds now, in MB.
    """

    status: int = 200
    result: bytes = field(default=b"", repr=False)
    detail: str = ""
    media_type: str = ""
    width: int = 0
    height: int = 0
    photo_width: int = 0
    photo_height: int = 0
    was_coloured: bool = False
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory_mb: float = 0

    def send(self, connection: Connection) -> None:
        """Sends the answer to the service."""
        head = {key: value for key, value in asdict(self).items() if key != "result"}
        connection.send_bytes(json.dumps(head).encode())
        connection.send_bytes(self.result)

    @classmethod
    def receive(cls, connection: Connection) -> Answer:
        """Waits for an answer. Raises EOFError or OSError when the worker has died."""
        head: dict[str, Any] = json.loads(connection.recv_bytes())
        return cls(**(head | {"result": connection.recv_bytes(), "notes": tuple(head["notes"])}))
