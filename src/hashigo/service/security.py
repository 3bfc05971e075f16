"""What browsers and strangers may do: allowed hosts (against DNS rebinding), no posts from other sites, tokens, and safe headers."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from hashigo.service.problems import Problem
from hashigo.service.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
     b"form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
"""Headers of every answer."""

WITHOUT_TOKEN = ("/livez", "/readyz", "/docs", "/openapi.json", "/static/")
"""Paths, besides the page itself, that need no token: they reveal nothing."""


class Guard:
    """ASGI middleware that refuses what is not allowed and adds `HEADERS`."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Passes an allowed request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            await send_problem(problem, guarded)
            return
        await self.app(scope, receive, guarded)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self._is_allowed(_name_of(host)):
            raise Problem(403, f"expected a host that this service knows, got {host!r}; allow it with --allow-host")
        if scope["method"] not in ("GET", "HEAD"):
            _check_origin(headers, host)
        path = scope["path"]
        if self.settings.token and path != "/" and not path.startswith(WITHOUT_TOKEN):
            given = headers.get("authorization", "")
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                token.strip().encode(), self.settings.token.encode()
            ):
                raise Problem(
                    403,
                    "expected the header 'Authorization: Bearer TOKEN' with this service's token, got none or another",
                )

    def _is_allowed(self, name: str) -> bool:
        if name in ("localhost", *map(str.lower, self.settings.hosts)):
            return True
        if not self.settings.is_local and name in own_names():
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:  # a name, which anyone may point to this computer
            return False
        return address.is_loopback or not self.settings.is_local


@cache
def own_names() -> tuple[str, ...]:
    """Names of this computer in its network. Nobody else can have a page under them."""
    name = socket.gethostname().lower()
    return (name, f"{name}.local") if name else ()


def _name_of(host: str) -> str:
    """The host without its port, in lower case; "" for anything odd."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _check_origin(headers: dict[str, str], host: str) -> None:
    """Raises Problem 403 for a request that another site's page made."""
    site, origin = headers.get("sec-fetch-site", "same-origin"), headers.get("origin")
    same = origin is None
    with contextlib.suppress(ValueError):  # an odd origin is another one
        same = same or urlsplit(origin).netloc.lower() == host.lower()
    if site not in ("same-origin", "none") or not same:
        raise Problem(
            403,
            f"expected a request from this service's own page or from a program, got one from {origin or site}",
        )


async def send_problem(problem: Problem, send: Send) -> None:
    """Answers with problem details."""
    body = problem.body()
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
