"""Errors of the service, as problem details (RFC 9457): what was expected, what was found and what to do."""

from __future__ import annotations

import json
import math
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that is answered with problem details.

    Args:
        status: The HTTP status.
        detail: What was expected, what was found and what to do.
        retry_after: Seconds after which the request may be repeated; None if repeating it is useless.
        close: Whether the connection must be closed, because the rest of the request is not read.
    """

    def __init__(self, status: int, detail: str, *, retry_after: float | None = None, close: bool = False) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after, self.close = status, detail, retry_after, close

    def body(self) -> bytes:
        """The problem details as JSON."""
        content = {"type": "about:blank", "title": title(self.status), "status": self.status, "detail": self.detail}
        return json.dumps(content, ensure_ascii=False).encode()

    def headers(self) -> dict[str, str]:
        """The headers of the answer, apart from its length."""
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.close:
            headers["connection"] = "close"
        return headers


def title(status: int) -> str:
    """The standard phrase of a status."""
    return HTTPStatus(status).phrase
