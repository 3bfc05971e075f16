"""The routes of the service: photos over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from hashigo.errors import HashigoError, did_you_mean, plural
from hashigo.service.body import ClientLeft, read_body
from hashigo.service.description import ANSWERS, PHOTO_BODY, Format, HintTexts, ModelName, Quality, Vivid, Whole, Width
from hashigo.service.docs import docs_page
from hashigo.service.job import Answer, Job
from hashigo.service.metrics import Metrics
from hashigo.service.pool import Pool
from hashigo.service.problems import Problem
from hashigo.service.security import App, Guard, Message, Receive, Send
from hashigo.service.settings import Limits, Settings
from hashigo.service.static_files import StaticFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hashigo.models.folder import ModelFolder

LOGGER = logging.getLogger("hashigo.service")

COLORIZE, APPLY = "/v1/colorize", "/v1/models/{name}/apply"
"""The routes that take photos."""


class Service:
    """What all requests share."""

    def __init__(self, settings: Settings, folders: Mapping[str, ModelFolder], pool: Pool) -> None:
        self.settings, self.folders, self.pool = settings, folders, pool
        self.metrics = Metrics()
        self.metrics.watch(pool)
        pool.on_restart = lambda reason: self.metrics.restarts.labels(reason).inc()
        self.draining = False
        self.accepted = 0
        """Photos that are being received, processed or answered."""

    @property
    def is_idle(self) -> bool:
        """Whether no photo is being received, waiting or processed."""
        return not self.accepted and self.pool.is_idle

    @property
    def default(self) -> str:
        """The name of the default model."""
        return next(iter(self.folders))

    def overload(self, method: str, path: str) -> Problem | None:
        """Why a request is refused before anything is done for it: it brings a photo, and the queue is full.

        Under overload most requests are refused, and what they cost is missing for the photos.
        """
        start, _, end = APPLY.partition("{name}")
        route = COLORIZE if path == COLORIZE else APPLY if path.startswith(start) and path.endswith(end) else ""
        if method != "POST" or not route or self.draining:
            return None
        try:
            self.pool.check_room()
        except Problem as problem:
            self.note_request(method, route, problem.status, 0)
            return problem
        return None

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answered request and writes a log line for it."""
        self.metrics.requests.labels(route, status).inc()
        facts = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
        LOGGER.info("request", extra=facts)

    async def process(self, request: Request, job_of: _JobOf) -> Response:
        """Receives a photo, has it processed, and answers with the result.

        Raises:
            Problem: see `ERRORS`.
        """
        if self.draining:
            raise Problem(503, "expected a running service, got one that is stopping; try again later", retry_after=5)
        _check_type(request)
        length = None if "transfer-encoding" in request.headers else request.headers.get("content-length")
        self.accepted += 1
        try:
            photo = await read_body(request.receive, int(length) if length else None, self.pool, self.settings.limits)
            job, start = job_of(photo), time.monotonic()
            answer = await self._unless_client_leaves(request, job)
            total = time.monotonic() - start
        finally:
            self.accepted -= 1
        waited = max(0.0, total - sum(answer.seconds.values()))
        if answer.status != 200:
            raise Problem(answer.status, answer.detail)
        self.metrics.add(job, answer, waited)
        return Response(answer.result, media_type=answer.media_type, headers=_headers(job, answer, waited))

    async def _unless_client_leaves(self, request: Request, job: Job) -> Answer:
        """The worker's answer; a job that still waits when its client leaves is dropped."""
        answer = asyncio.create_task(self.pool.submit(job))
        left = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientLeft
            return answer.result()
        finally:
            answer.cancel()
            left.cancel()

    def models(self) -> list[dict[str, object]]:
        """The models, the default first."""
        from hashigo.tasks.capabilities import TakesHints
        from hashigo.tasks.capabilities import Vivid as HasVivid

        return [
            {
                "name": name,
                "task": folder.task.name,
                "default": name == self.default,
                "suffix": folder.task.suffix,
                "hints": isinstance(folder.task, TakesHints),
                "vivid": getattr(folder.task, "vivid", None) if isinstance(folder.task, HasVivid) else None,
                "side": folder.size,
            }
            for name, folder in self.folders.items()
        ]


class _JobOf:
    """Makes the job of a photo, with options that were checked before the photo was received."""

    def __init__(
        self,
        service: Service,
        model: str,
        vivid: float | None,
        hint: list[str],
        format: str,
        quality: int | None,
        width: int,
        whole: bool,
    ) -> None:
        from hashigo.image.formats import format_of
        from hashigo.tasks.capabilities import TakesHints
        from hashigo.tasks.capabilities import Vivid as HasVivid
        from hashigo.tasks.hints import parse_hint

        if model not in service.folders:
            raise Problem(404, f"expected the name of a model, got {model!r}; {did_you_mean(model, service.folders)}")
        task = service.folders[model].task
        most = service.settings.limits.hints
        if len(hint) > most:
            raise Problem(422, f"expected at most {plural(most, 'hint')}, got {len(hint)}; send fewer")
        if hint and not isinstance(task, TakesHints):
            raise Problem(
                422, f"expected no hints for the model {model}, whose task {task.name} takes none, got {len(hint)}"
            )
        if vivid is not None and not isinstance(task, HasVivid):
            raise Problem(
                422, f"expected no vividness for the model {model}, whose task {task.name} has none, got {vivid:g}"
            )
        try:
            for text in hint:
                parse_hint(text)
            kind = format_of(format) if format else ""
        except HashigoError as error:
            advice = "; in a URL, write # as %23" if hint and "#" not in "".join(hint) else ""
            raise Problem(422, str(error) + advice) from error
        self.options = {
            "model": model, "vivid": vivid, "hints": tuple(hint), "kind": kind, "quality": quality, "width": width,
            "whole": whole,
        }  # fmt: skip

    def __call__(self, photo: bytes) -> Job:
        return Job(photo, **self.options)  # type: ignore[arg-type]


def _check_type(request: Request) -> None:
    """Raises Problem 415 for a body that does not claim to be a picture, as forms of other sites cannot."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind != "application/octet-stream":
        raise Problem(
            415, f"expected the header Content-Type: image/jpeg, another image type or application/octet-stream, got {kind or 'none'}; "
            "send the photo itself as the body",
        )  # fmt: skip


def _headers(job: Job, answer: Answer, waited: float) -> dict[str, str]:
    """Model, size, timing and notes of a result."""
    stages = {"queue": waited, **answer.seconds}
    headers = {
        "cache-control": "no-store",
        "hashigo-model": quote(job.model),
        "hashigo-size": f"{answer.width}x{answer.height}",
        "hashigo-photo-size": f"{answer.photo_width}x{answer.photo_height}",
        "server-timing": ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in stages.items()),
    }
    if answer.was_coloured:
        headers["hashigo-was-coloured"] = "1"
    if answer.notes:
        headers["hashigo-notes"] = quote("; ".join(answer.notes), safe=" ;,:/()+=")
    return headers


def build(service: Service) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.pool.stop()

    app = FastAPI(
        title="hashigo", version="1", redirect_slashes=False, docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Colorize and restore photos: one request per photo, the bytes of its file in, the bytes of the result out.",
    )  # fmt: skip
    _add_errors(app)
    _add_photos(app, service)
    _add_facts(app, service)
    _add_pages(app, service)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Observer, service=service)
    return app


def _add_photos(app: FastAPI, service: Service) -> None:
    @app.post(
        COLORIZE,
        responses=ANSWERS,
        response_class=Response,
        openapi_extra=PHOTO_BODY,
        summary="Colorize a photo",
    )
    async def colorize(
        request: Request, vivid: Vivid = None, hint: HintTexts = [], format: Format = "",  # noqa: B006
        quality: Quality = None, width: Width = 0, whole: Whole = False,
    ) -> Response:  # fmt: skip
        """Runs the default model on the photo in the body. The result has the photo's size and format and keeps its metadata."""
        _check_names(request, "vivid", "hint", "format", "quality", "width", "whole")
        return await service.process(
            request, _JobOf(service, service.default, vivid, hint, format, quality, width, whole)
        )

    @app.post(
        APPLY,
        responses=ANSWERS,
        response_class=Response,
        openapi_extra=PHOTO_BODY,
        summary="Apply a model",
    )
    async def apply(
        request: Request, name: ModelName, vivid: Vivid = None, hint: HintTexts = [], format: Format = "",  # noqa: B006
        quality: Quality = None, width: Width = 0, whole: Whole = False,
    ) -> Response:  # fmt: skip
        """Runs a model on the photo in the body."""
        _check_names(request, "vivid", "hint", "format", "quality", "width", "whole")
        return await service.process(request, _JobOf(service, name, vivid, hint, format, quality, width, whole))


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", summary="List the models")
    async def models() -> list[dict[str, Any]]:
        """Names, tasks and options of the models; the default comes first."""
        return service.models()

    @app.get("/v1/limits", summary="List the limits")
    async def limits() -> Limits:
        """All limits of this service; `hashigo serve --limit NAME=VALUE` changes them."""
        return service.settings.limits

    @app.get("/livez", summary="Is the service alive?", response_class=PlainTextResponse)
    async def livez() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get(
        "/readyz",
        summary="Does the service accept photos?",
        response_class=PlainTextResponse,
        responses={503: ANSWERS[503]},
    )
    async def readyz() -> Response:
        if service.draining or not service.pool.ready:
            state = "is stopping" if service.draining else "is starting"
            raise Problem(503, f"expected a service that accepts photos, got one that {state}", retry_after=1)
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_pages(app: FastAPI, service: Service) -> None:
    files = StaticFiles()

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return files.answer(request, "index.html")

    @app.get("/static/{name}", include_in_schema=False)
    async def static(request: Request, name: str) -> Response:
        return files.answer(request, name)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        text = docs_page(app.openapi(), str(request.base_url).rstrip("/"), service.settings.limits)
        return Response(text, media_type="text/html; charset=utf-8")


class Observer:
    """ASGI middleware that counts requests and writes a log line for each."""

    def __init__(self, app: App, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.monotonic(), 500
        if scope["method"] == "HEAD":  # as GET; the server leaves the body out
            scope = {**scope, "method": "GET"}

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.service.note_request(scope["method"], route, status, time.monotonic() - start)


def _check_names(request: Request, *names: str) -> None:
    """Raises Problem 422 for a query parameter that does not exist, which would be ignored otherwise."""
    for name in request.query_params:
        if name not in names:
            raise Problem(422, f"expected a query parameter of this route, got {name!r}; {did_you_mean(name, names)}")


def _add_errors(app: FastAPI) -> None:
    def answer(problem: Problem) -> Response:
        return Response(problem.body(), problem.status, problem.headers())

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, problem: Problem) -> Response:
        return answer(problem)

    @app.exception_handler(ClientLeft)
    async def on_leave(_request: Request, _error: ClientLeft) -> Response:
        return Response(status_code=499)  # nobody reads it; the log does

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name, wrong = ".".join(map(str, first["loc"][1:])), json.dumps(first.get("input"), default=str)[:100]
        wanted = re.sub(r"^Input should be ", "", first["msg"]).partition(", unable")[0]
        wanted = re.sub(
            r"^(less|greater) than or equal to",
            lambda found: {"less": "at most", "greater": "at least"}[found[1]],
            wanted,
        )
        return answer(Problem(422, f"{name}: expected {wanted}, got {wrong}"))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(Problem(404, f"expected an address of this service, got {request.url.path!r}; see /docs"))
        if error.status_code == 405:
            response = answer(
                Problem(405, f"expected another method for {request.url.path!r}, got {request.method}; see /docs")
            )
            response.headers.update(error.headers or {})  # Allow
            return response
        return answer(Problem(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    async def on_error(_request: Request, _error: Exception) -> Response:
        return answer(Problem(500, "expected a result, got an error of the service; its log has the details"))
