"""What the OpenAPI description and `/docs` say of the routes that take photos: parameters, answers, headers, errors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

from hashigo.image.formats import FORMATS
from hashigo.service.problems import MEDIA_TYPE

ERRORS = {
    400: "The body is empty, or the request is not valid HTTP.",
    403: "The host name is unknown (--allow-host), the request comes from another site's page, or the token is missing or wrong.",
    404: "There is no such address or model.",
    405: "The address exists, but not with this method.",
    408: "The request arrived too slowly.",
    413: "The file or the picture is too large, or the picture does not fit in the worker's memory.",
    415: "The body is not a picture, or needs an extra that is not installed (HEIC).",
    422: "A parameter is wrong, or the picture is damaged.",
    429: "The queue is full, or the address has too many connections. Wait as long as Retry-After says, then try again.",
    431: "The head of the request is too large.",
    500: "The process that worked on the photo ended. Only this photo is affected.",
    503: "The service is starting or stopping, or the photo waited too long. Try again later.",
    504: "The photo took too long.",
}
"""What each status means."""

HEADERS = {
    "Hashigo-Model": "Name of the model.",
    "Hashigo-Size": "Width and height of the result in pixels.",
    "Hashigo-Photo-Size": "Width and height of the upright photo in pixels, before `width` reduced it.",
    "Hashigo-Was-Coloured": "1 if the photo was already in colour and got new colours.",
    "Hashigo-Notes": "Notes, such as what the result could not keep, percent-encoded. Present only if there are any.",
    "Server-Timing": "Milliseconds in the queue, for reading, for the network and for writing.",
}
"""Headers of results, with their meanings."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}

_PROBLEM = {
    "type": "object",
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
    "required": ["type", "title", "status", "detail"],
}  # fmt: skip

_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}}

PHOTO_BODY = {"requestBody": {"required": True, "content": {"image/*": _BINARY, "application/octet-stream": _BINARY}}}
"""The body of a request with a photo."""

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The result",
        "content": {"image/*": _BINARY},
        "headers": {name: {"schema": {"type": "string"}, "description": about} for name, about in HEADERS.items()},
    },
    **{
        status: {"description": about, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
        | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})
        for status, about in ERRORS.items()
    },
}
"""The answers to a request with a photo."""

Vivid = Annotated[
    float | None,
    Query(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 favours accuracy (muted colours), 1 favours saturation; by default the model's own value.",
    ),
]
HintTexts = Annotated[
    list[str],
    Query(description="A colour hint `x,y,#rrggbb`, in pixels of the upright photo; repeatable. Write # as %23."),
]
Format = Annotated[
    str,
    Query(
        description=f"Format of the result: {', '.join(map(str.lower, FORMATS))}. By default the photo's own; JPEG for HEIC, PNG for GIF and rare formats."
    ),
]
Quality = Annotated[int | None, Query(ge=1, le=100, description="Quality of JPEG, WebP and AVIF.")]
Whole = Annotated[
    bool,
    Query(
        description="Colour the whole photo as one picture, including borders, pages around photos and empty sheets."
    ),
]
Width = Annotated[
    int,
    Query(
        ge=0,
        le=100_000,
        description="Reduce the photo to at most this width first, for a quick preview; 0 keeps its size.",
    ),
]
ModelName = Annotated[str, Path(description="A name from GET /v1/models.")]
