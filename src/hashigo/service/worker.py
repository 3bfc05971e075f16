"""A worker process: photos in, results out, one at a time, bytes to bytes. It ends when the service does."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from hashigo.errors import HashigoError, ModelError, PictureError
from hashigo.machine import held_memory, limit_memory
from hashigo.service.job import Answer, Job

if TYPE_CHECKING:
    from hashigo.apply.model import Model
    from hashigo.image.photo import Photo

NICENESS = 5
"""Workers leave the processor to the event loop, which must answer within milliseconds."""


def work(connection: Connection, models: Mapping[str, str | Path], max_pixels: int, memory_mb: float) -> None:
    """Loads the models, reports the memory in use, then answers jobs until the service has ended.

    Args:
        connection: To the service.
        models: Name → name or folder of each model.
        max_pixels: Largest photo.
        memory_mb: Memory that the process may use on top of what it has when the models are loaded.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # the service decides when its workers end
        signal.signal(number, signal.SIG_IGN)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with contextlib.suppress(EOFError, OSError):
        try:
            loaded = _load(models)
        except HashigoError as error:
            Answer(500, detail=str(error)).send(connection)
            return
        Answer(memory_mb=held_memory(0.0)).send(connection)
        if not connection.poll():
            _warm_up(loaded)
        limit_memory(memory_mb)
        while True:
            _answer(Job.receive(connection), loaded, max_pixels).send(connection)


def _load(models: Mapping[str, str | Path]) -> dict[str, Model]:
    from hashigo.apply.model import load

    return {name: load(where, threads=1) for name, where in models.items()}


def _warm_up(models: Mapping[str, Model]) -> None:
    """The first photo takes several times as long as later ones: an empty one goes first while nobody waits."""
    import numpy as np

    from hashigo.image.photo import encode, photo_of

    for model in models.values():
        encode(model.apply(photo_of(np.zeros((256, 256), np.uint8))), "JPEG")


def _answer(job: Job, models: Mapping[str, Model], max_pixels: int) -> Answer:
    try:
        answer = _process(job, models[job.model], max_pixels)
    except _Refused as refused:
        answer = Answer(refused.status, detail=str(refused))
    except (MemoryError, ModelError) as error:
        answer = Answer(
            413,
            detail=f"expected a photo that fits in the worker's memory, got none ({error or 'out of memory'}); reduce it",
        )
    except HashigoError as error:
        answer = Answer(422, detail=str(error))
    except Exception as error:  # one odd photo must not take the others' worker away
        answer = Answer(500, detail=f"the photo could not be processed ({type(error).__name__}: {error})")
    return replace(answer, memory_mb=held_memory(0.0))


class _Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _process(job: Job, model: Model, max_pixels: int) -> Answer:
    from hashigo.image.formats import format_for_output
    from hashigo.image.photo import encode, losses
    from hashigo.tasks.hints import parse_hint

    times = [time.perf_counter()]
    photo = _read(job.photo, max_pixels)
    height, width = photo.size
    hints = [parse_hint(text) for text in job.hints]
    if 0 < job.width < photo.width:
        scale = job.width / photo.width
        photo = photo.with_rgb(photo.resized(max(1, round(photo.height * scale)), job.width))
        hints = [hint._replace(x=hint.x * scale, y=hint.y * scale) for hint in hints]
    times.append(time.perf_counter())
    result = model.apply(photo, hints, vivid=job.vivid, whole=job.whole)
    times.append(time.perf_counter())
    kind = job.kind or format_for_output(photo.format)
    content = encode(result, kind) if job.quality is None else encode(result, kind, job.quality)
    times.append(time.perf_counter())
    recoloured = model.recolours(photo)
    notes = [
        *result.warnings,
        losses(result, kind),
        "it was already in colour and got new colours" if recoloured else "",
    ]
    if not job.kind and photo.format not in (kind, "MPO"):  # an MPO file is a JPEG with further pictures
        notes.append(f"a {photo.format} photo has a {kind} result unless another format is asked for")
    return Answer(
        result=content,
        media_type=media_type(kind),
        width=result.width,
        height=result.height,
        photo_width=width,
        photo_height=height,
        was_coloured=recoloured,
        notes=tuple(note for note in notes if note),
        seconds={
            stage: end - start
            for stage, start, end in zip(("read", "network", "write"), times, times[1:], strict=False)
        },
    )


def _read(content: bytes, max_pixels: int) -> Photo:
    """The photo, with the status of HTTP for each way in which a file can be wrong."""
    from hashigo.image.formats import kind_of
    from hashigo.image.photo import pixels_in, read

    try:
        kind_of(io.BytesIO(content))
    except PictureError as error:
        raise _Refused(415, str(error)) from error
    try:
        return read(content, max_pixels=max_pixels)
    except PictureError as error:
        if (pixels := pixels_in(content)) > max_pixels:
            raise _Refused(
                413, f"expected a photo of at most {max_pixels / 1e6:g} megapixels, got {pixels / 1e6:.1f}; reduce it, or start the service with "
                "a higher --limit photo_megapixels",
            ) from error  # fmt: skip
        status = 413 if isinstance(error.__cause__, MemoryError) else 415 if "pip install" in str(error) else 422
        raise _Refused(status, str(error).removeprefix("picture in memory: ")) from error


def media_type(kind: str) -> str:
    """The media type of a format, by Pillow's name."""
    return f"image/{kind.lower()}"
