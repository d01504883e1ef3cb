"""The two apps behind one port: a request goes to the hot app if it covers it, else to the control app."""

from __future__ import annotations

import asyncio
import os
import time
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from backbone.collection import spare_the_collector
from backbone.readiness import READY_FILE, mark_ready
from ingest_api import problems
from ingest_api.control import schema_registry
from ingest_api.control.app import create_control_app
from ingest_api.families import crmls, envoy, event_service, eventhos, exchange, headrace
from ingest_api.hot import HotApp
from ingest_api.problems import HttpProblem
from ingest_api.state import Gateway
from ingest_api.text import check_target
from ingest_api.wire import CODED, is_coded, send_response
from schemas.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from ingest_api.settings import IngestSettings
    from ingest_api.wire import Asgi, Receive, Scope, Send

FAMILIES = (
    crmls.FAMILY,
    eventhos.FAMILY,
    envoy.FAMILY,
    exchange.FAMILY,
    event_service.FAMILY,
    headrace.FAMILY,
)
"""The API families. A new one is one line here."""

_SHAPES = (*FAMILIES, schema_registry.SHAPE)
"""Who answers errors, each on its own paths."""

HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
"""Served by every worker, whichever app it runs."""

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_EXPOSED = ("Retry-After", "WWW-Authenticate")
"""Headers of answers that a page's script may read, beside those it always may."""

CORS_MAX_AGE = 600
"""Seconds a browser may remember a preflight's answer."""

_MOST_COMMAS = 50_000
"""In a body for the control app: what is wrong with it is told of every value, at 15 µs and a kilobyte each."""

_KEPT = frozenset({b"cache-control", b"etag"})
"""Headers of answers that say how they may be kept; files of pages have an ``ETag``."""

_REACHED_EVERY = 0.02
"""Seconds between two looks whether the server listens yet."""


class IngestApp:
    """Hot and control app, and the life of the gateway that they share."""

    def __init__(self, settings: IngestSettings) -> None:
        self._only = settings.only
        self._address = (settings.host, settings.port)
        self._gateway = Gateway(settings)
        self._hot = HotApp(FAMILIES, self._gateway)
        self._control = create_control_app(
            FAMILIES, self._gateway, version=version("headrace"), hot_methods=self._hot.methods
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server, which takes no WebSockets."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            try:
                check_target(scope["raw_path"], scope["query_string"])
            except InvalidRequest as error:
                await send_response(send, problems.answer(error, scope["path"], _SHAPES))
                return
            await self._dispatch(scope)(scope, receive, send)

    def _dispatch(self, scope: Scope) -> Asgi:
        path = scope["path"]
        if self._hot.covers(scope["method"], path):
            return self._refuse if self._only == "control" else self._hot
        return self._refuse if self._only == "hot" and path not in HEALTH else self._measured

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The control app, with its requests counted by route template as the hot app counts its own."""
        started = time.perf_counter()
        status: int | None = None
        scope = _as_get(scope)

        async def note_status(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                message = _not_stored(message)
                if status == HTTPStatus.UNAUTHORIZED:
                    await self._gateway.brake.refused()
            await send(message)

        try:
            await self._control(scope, _bounded(scope, receive, self._gateway.settings.max_body_bytes), note_status)
        finally:
            # A client that has gone before its request was complete is not answered.
            if status is not None:
                route = getattr(scope.get("route"), "path", "other")
                self._gateway.metrics.answered(route, status, time.perf_counter() - started)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an ASGI app
        error = HttpProblem(404, f"This worker serves only the {self._only} routes.")
        await send_response(send, problems.answer(error, scope["path"], _SHAPES))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._gateway.open()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        spare_the_collector()
        await send({"type": "lifespan.startup.complete"})
        announcing = asyncio.create_task(self._announce())
        await receive()
        announcing.cancel()
        await self._gateway.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _announce(self) -> None:
        """Say that we are ready once a request reaches us: the server begins to listen only after our start."""
        while READY_FILE in os.environ:
            try:
                _, writer = await asyncio.open_connection(*self._address)
            except OSError:
                await asyncio.sleep(_REACHED_EVERY)
            else:
                writer.close()
                mark_ready()
                return


def _not_stored(start: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Ask caches to keep no answer that does not say how it may be kept: many show keys and secrets."""
    headers = start.get("headers", ())
    if any(name.lower() in _KEPT for name, _ in headers):
        return start
    return {**start, "headers": [*headers, (b"cache-control", b"no-store")]}


def _as_get(scope: Scope) -> Scope:
    """A HEAD as the GET whose answer it gets; the server leaves out the body (RFC 9110, 9.3.2).

    Not in the families of other documents: these name no HEAD, and have a GET that changes something.
    """
    if scope["method"] != "HEAD":
        return scope
    others = (family for family in FAMILIES if family is not headrace.FAMILY)
    return scope if any(family.owns(scope["path"]) for family in others) else {**scope, "method": "GET"}


def _bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    """``receive`` for uncoded bodies of bounded size: the control app reads one whole before all else."""
    size = commas = 0
    coded = is_coded(scope["headers"])

    async def receive_bounded() -> MutableMapping[str, Any]:
        nonlocal size, commas
        message = await receive()
        body = message.get("body", b"")
        size += len(body)
        commas += body.count(b",")
        if size > most:
            raise HTTPException(413, f"The body is over the limit of {most} bytes.")
        if commas > _MOST_COMMAS:
            raise HTTPException(413, f"The body is over the limit of {_MOST_COMMAS} commas: it has too many values.")
        if coded and size:
            raise HTTPException(415, CODED, {"Accept-Encoding": "identity"})
        return message

    return receive_bounded


def create_app(settings: IngestSettings) -> Asgi:
    """The ASGI application of one worker process. Kafka clients come into being in its lifespan, after any fork."""
    app: Asgi = IngestApp(settings)
    open_paths = frozenset(path for family in FAMILIES for path in family.any_origin)
    for_all = _with_cors(app, ("*",))
    for_some = _with_cors(app, settings.cors_origins) if settings.cors_origins else app

    async def app_with_cors(scope: Scope, receive: Receive, send: Send) -> None:
        await (for_all if scope.get("path") in open_paths else for_some)(scope, receive, send)

    return app_with_cors


def _with_cors(app: Asgi, origins: Sequence[str]) -> Asgi:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=CORS_METHODS,
        allow_headers=("*",),
        expose_headers=CORS_EXPOSED,
        max_age=CORS_MAX_AGE,
    )
