"""The two apps behind one port: a request goes to the hot app if it covers it, else to the control app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from backbone.process.collection import spare_the_collector
from backbone.process.readiness import READY_FILE, mark_ready
from backbone.workspace_queue import WORKSPACE
from ingest_api import problems
from ingest_api.http import CODED, LARGE, is_coded, send_response
from ingest_api.large_answers import LargeAnswers
from ingest_api.management.app import create_control_app, prepare_routes
from ingest_api.management.early_authentication import authenticate
from ingest_api.prepared_reads import PreparedReads
from ingest_api.problems import HttpProblem
from ingest_api.publish import HotApp
from ingest_api.request_ids import RequestIds
from ingest_api.text import check_target
from ingest_api.traced import TracedApp
from schemas.model.errors import MOST_PROBLEMS, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence

    from ingest_api.direct import DirectPublishing
    from ingest_api.family import Family
    from ingest_api.gateway import Gateway
    from ingest_api.http import Asgi, Receive, Scope, Send

    Life = Callable[[], contextlib.AbstractAsyncContextManager[None]]

HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
"""Served by every worker, whichever app it runs."""

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_EXPOSED = ("Retry-After", "WWW-Authenticate", "X-Request-Id")
"""Headers of answers that a page's script may read, beside those it always may."""

CORS_MAX_AGE = 600
"""Seconds a browser may remember a preflight's answer."""

_MOST_COMMAS = 50_000
"""In a body for the control app: each value takes microseconds to read and check."""

_KEPT = frozenset({b"cache-control", b"etag"})
"""Headers of answers that say how they may be kept; files of pages have an ``ETag``."""

_REACHED_EVERY = 0.02
"""Seconds between two looks whether the server listens yet."""


class IngestApp:
    """Hot and control app, and the life of the gateway that they share.

    Args:
        gateway: what the routes work with.
        families: whose routes are served.
        opened: keeps the gateway's clients running as long as it is entered.
    """

    def __init__(self, gateway: Gateway, families: Sequence[Family], opened: Life) -> None:
        self._families = families
        self._opened = opened
        self._only = gateway.settings.only
        self._address = (gateway.settings.host, gateway.settings.port)
        self._gateway = gateway
        self._hot = HotApp(families, self._gateway)
        self._publishing: Asgi = self._hot if gateway.tracing is None else TracedApp(self._hot, gateway.tracing)
        self._large = LargeAnswers()
        prepared = (read for family in families for read in family.prepared)
        self._prepared = PreparedReads(
            prepared, gateway, self._measured, lambda error, path: problems.answer(error, path, families)
        )
        self._control = create_control_app(
            families, self._gateway, version=version("headrace"), hot_methods=self._hot.methods
        )

    @property
    def direct(self) -> DirectPublishing | None:
        """What answers the usual requests of hot routes; None where this worker has another way for all of them."""
        settings = self._gateway.settings
        has_time = settings.request_timeout > self._gateway.clients.producer.wait
        is_watched = settings.access_log or self._gateway.tracing is not None
        return self._hot.direct if has_time and self._only != "control" and not is_watched else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server, which takes no WebSockets."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            try:
                check_target(scope["raw_path"], scope["query_string"])
            except InvalidRequest as error:
                await send_response(send, problems.answer(error, scope["path"], self._families))
                return
            await self._dispatch(scope)(scope, receive, send)

    def _dispatch(self, scope: Scope) -> Asgi:
        path = scope["path"]
        if self._hot.covers(scope["method"], path):
            return self._refuse if self._only == "control" else self._publishing
        if self._only == "hot" and path not in HEALTH:
            return self._refuse
        return self._prepared if self._prepared.covers(scope["method"], path) else self._measured

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The control app, with its requests counted by route template as the hot app counts its own."""
        started = time.perf_counter()
        status: int | None = None
        scope = self._as_get(scope)
        # Each request is some milliseconds of work, and one workspace may have hundreds under way. Until it is known
        # whose it is, the credential says so.
        WORKSPACE.set(
            next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), "")
        )
        await self._gateway.slices.turn()

        async def note_status(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                message = _not_stored(message)
                if status == HTTPStatus.UNAUTHORIZED:
                    await self._gateway.brake.refused()
            await send(message)

        bounded = self._large.bounded(note_status, lambda error: problems.answer(error, scope["path"], self._families))
        try:
            await self._control(scope, _bounded(scope, receive, self._gateway), bounded)
        finally:
            # A client that has gone before its request was complete is not answered.
            if status is not None:
                route = getattr(scope.get("route"), "path", "other")
                self._gateway.metrics.answered(route, status, time.perf_counter() - started)

    def _as_get(self, scope: Scope) -> Scope:
        """A HEAD as the GET whose answer it gets; the server leaves out the body (RFC 9110, 9.3.2)."""
        if scope["method"] != "HEAD" or any(each.refuses_head and each.owns(scope["path"]) for each in self._families):
            return scope
        return {**scope, "method": "GET"}

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an ASGI app
        error = HttpProblem(404, f"This worker serves only the {self._only} routes.")
        await send_response(send, problems.answer(error, scope["path"], self._families))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as life:
            try:
                await life.enter_async_context(self._opened())
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            prepare_routes(self._control)
            spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
            announcing = asyncio.create_task(self._announce())
            await receive()
            announcing.cancel()
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


def _bounded(scope: Scope, receive: Receive, gateway: Gateway) -> Receive:
    """``receive`` for uncoded bodies of bounded size, of known clients: the control app reads one before all else.

    A large body waits for its turn: to read and check it takes a while.
    """
    size = commas = 0
    most = gateway.settings.max_body_bytes
    coded = is_coded(scope["headers"])

    async def receive_bounded() -> MutableMapping[str, Any]:
        nonlocal size, commas
        message = await receive()
        body = message.get("body", b"")
        if body and not size:
            await authenticate(scope)
        size += len(body)
        commas += body.count(b",")
        if size > most:
            raise HTTPException(413, f"The body is over the limit of {most} bytes.")
        if commas > _MOST_COMMAS:
            raise HTTPException(413, f"The body is over the limit of {_MOST_COMMAS} commas: it has too many values.")
        if coded and size:
            raise HTTPException(415, CODED, {"Accept-Encoding": "identity"})
        if (size > LARGE or commas > MOST_PROBLEMS) and not message.get("more_body"):
            await gateway.slices.turn()
        return message

    return receive_bounded


def create_app(gateway: Gateway, families: Sequence[Family], opened: Life) -> RequestIds:
    """The ASGI application of one worker process; see ``IngestApp``."""
    app = IngestApp(gateway, families, opened)
    settings = gateway.settings
    open_paths = frozenset(path for family in families for path in family.any_origin)
    for_all = _with_cors(app, ("*",))
    for_some = _with_cors(app, settings.cors_origins) if settings.cors_origins else app

    async def app_with_cors(scope: Scope, receive: Receive, send: Send) -> None:
        await (for_all if scope.get("path") in open_paths else for_some)(scope, receive, send)

    return RequestIds(app_with_cors, access_log=settings.access_log, direct=app.direct)


def _with_cors(app: Asgi, origins: Sequence[str]) -> Asgi:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=CORS_METHODS,
        allow_headers=("*",),
        expose_headers=CORS_EXPOSED,
        max_age=CORS_MAX_AGE,
    )
