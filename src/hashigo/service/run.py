"""Running the service: models, socket, workers and server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from hashigo.errors import BusyError, MissingExtraError, RecipeError
from hashigo.machine import cores, return_large_memory
from hashigo.models.folder import MODELS, ModelFolder, open_model

if TYPE_CHECKING:
    from hashigo.service.settings import Settings


def serve(settings: Settings, say: Callable[[str], object], log: int = logging.INFO) -> None:
    """Runs the service until SIGTERM or Ctrl-C; accepted photos are finished first.

    say: called with a line when the service is ready. log: least level of log lines.

    Raises:
        BusyError: the port is in use. ModelError: a model cannot be loaded. RecipeError: two models have the same name, or a wrong
        address. MissingExtraError: the extra `serve` is not installed.
    """
    from hashigo.service.logs import set_up

    return_large_memory()
    folders = open_models(settings.models)
    set_up(log)
    with _listen(settings.host, settings.port) as listener:
        asyncio.run(_serve(settings, folders, listener, say))


async def _serve(
    settings: Settings, folders: Mapping[str, ModelFolder], listener: socket.socket, say: Callable[[str], object]
) -> None:
    from hashigo.service.pool import Pool

    # first, so that the workers load their models while this process imports the web server
    pool = Pool({name: folder.path for name, folder in folders.items()}, settings.workers or cores(), settings.limits)
    try:
        try:
            from hashigo.service.app import Service
            from hashigo.service.server import Server
        except ModuleNotFoundError as error:
            raise MissingExtraError("hashigo serve", "serve", error.name or "") from error
        server = Server(Service(settings, folders, pool))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        started = asyncio.create_task(pool.start())
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        if started.done() and started.exception() is None and not server.service.draining:
            say(f"hashigo is running: open {address(settings, listener)} in a browser (Ctrl-C stops it)")
        elif started.done():
            server.should_exit = True
        await running
        await started
    finally:
        await pool.stop()


def open_models(models: tuple[str | Path, ...]) -> dict[str, ModelFolder]:
    """The models' folders by name: that of a bundled model, else that of its folder or training run.

    Raises:
        ModelError: no such model. RecipeError: two have the same name.
    """
    folders: dict[str, ModelFolder] = {}
    for model in models:
        folder = open_model(model)
        path = folder.path.resolve()
        name = str(model) if str(model) in MODELS else path.parent.name if path.name == "model" else path.name
        if name in folders:
            raise RecipeError(f"--model: expected different names, got {name!r} twice; rename a folder")
        folders[name] = folder
    return folders


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except OSError as error:
        raise RecipeError(f"--host: expected an address of this computer, got {host!r} ({error.strerror})") from error
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        if not port or error.errno is None:
            raise
        raise BusyError(
            f"port {port} of {host} cannot be used ({error.strerror}); choose another with --port"
        ) from error


def address(settings: Settings, listener: socket.socket) -> str:
    """The URL of the page; where other computers can reach it, theirs too."""
    token = f"#token={quote(settings.token, safe='')}" if settings.token else ""

    def url(host: str) -> str:
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{listener.getsockname()[1]}/{token}"

    if settings.host not in ("0.0.0.0", "::"):
        return url(settings.host)
    own, outer = url("127.0.0.1" if settings.host == "0.0.0.0" else "::1"), _outer_address()
    return f"{own}, or {url(outer)} on other computers," if outer else own


def _outer_address() -> str:
    """This computer's address in its network; "" if it is in none. Nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""
