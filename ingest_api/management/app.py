"""The ASGI app of everything that does not publish: a FastAPI app, with errors in the shape of the path's family."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response as HttpResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from ingest_api import problems
from ingest_api.management import docs, health
from ingest_api.management.dependencies import check_text
from ingest_api.problems import HttpProblem
from ingest_api.refusals import RefusalLog
from schemas.avro.attributes import member
from schemas.model import numbers
from schemas.model.errors import HeadraceError, InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    from ingest_api.family import Family
    from ingest_api.gateway import Gateway
    from ingest_api.http import Asgi, Receive, Scope, Send

_PLAINLY = {
    "tuple_type": "must be an array",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""Types of pydantic's errors that it tells in the words of Python."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

DESCRIPTION = "A Kafka-native event gateway: every accepted event is in Kafka before it is answered."

_NO_JSON = Problem(path="$", message="must be JSON in UTF-8, sent with Content-Type: application/json")

_TOO_LONG = Problem(path="$", message=numbers.TOO_LONG)


def create_control_app(
    families: Sequence[Family], gateway: Gateway, *, version: str, hot_methods: Callable[[str], tuple[str, ...]]
) -> FastAPI:
    """The app; ``gateway`` must be open before it serves.

    Args:
        families: whose other routes it has.
        gateway: what they work on.
        version: of the product, for the OpenAPI document.
        hot_methods: the methods that the hot app answers on a path, so that the others are refused as such.
    """
    app = FastAPI(
        title=docs.TITLE,
        description=DESCRIPTION,
        version=version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is unknown, which its family says in its own shape; a redirect would lose a body.
        redirect_slashes=False,
        dependencies=[Depends(check_text)],
        # Spans that it makes by itself have the query, in which some families take credentials.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.gateway = gateway
    for family in families:
        app.include_router(family.control)
    app.include_router(health.router)
    docs.mount(app, families)

    refusals = RefusalLog()

    async def answer(request: Request, error: HeadraceError) -> HttpResponse:
        refusals.note(error)
        response = problems.answer(error, request.url.path, families)
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return HttpResponse(response.body, response.status, headers, response.content_type.decode())

    async def on_headrace_error(request: Request, error: Exception) -> HttpResponse:
        return await answer(request, error if isinstance(error, HeadraceError) else problems.internal(error))

    async def on_http_error(request: Request, error: Exception) -> HttpResponse:
        # FastAPI takes the refusal of a client for a fault of the body, which it was about to read.
        error = error.__cause__ if isinstance(error.__cause__, HeadraceError) else error
        if not isinstance(error, HTTPException):
            return await on_headrace_error(request, error)
        if error.status_code == HTTPStatus.BAD_REQUEST:
            # FastAPI could not read the body, and does not say why.
            too_long = numbers.has_too_many_digits(await request.body())
            return await answer(
                request, InvalidRequest("The body cannot be read.", [_TOO_LONG if too_long else _NO_JSON])
            )
        named = {name.lower(): value for name, value in (error.headers or {}).items()}
        if "allow" in named:
            # The router names only the methods of the first route on the path.
            named["allow"] = ", ".join(_methods(app, request.scope))
        headers = tuple((name.encode(), value.encode()) for name, value in named.items())
        elsewhere = hot_methods(request.url.path) if error.status_code in (404, 405) else ()
        if elsewhere:
            allowed = [name for header, name in headers if header == b"allow"]
            headers = ((b"allow", b", ".join([*allowed, *(method.encode() for method in elsewhere)])),)
            return await answer(request, HttpProblem(405, "This path does not take that method.", headers))
        return await answer(request, HttpProblem(error.status_code, str(error.detail), headers))

    async def on_invalid(request: Request, error: Exception) -> HttpResponse:
        return await answer(request, InvalidRequest("The request is not valid.", _places(request, error)))

    app.add_exception_handler(HeadraceError, on_headrace_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_middleware(_Failures, answer=on_headrace_error)
    return app


def prepare_routes(app: FastAPI) -> None:
    """Build what FastAPI builds of the routes at the first request: 0.2 s, in which nobody else would be answered."""
    _methods(app, {"type": "http", "path": "/", "root_path": ""})


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that the app's routes take on the path of a request."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


class _Failures:
    """Answers an exception that nobody raised on purpose.

    As the handler of ``Exception`` Starlette would answer it and raise it again: the server would log it a second time
    and close the connection.
    """

    def __init__(self, app: Asgi, answer: Callable[[Request, Exception], Awaitable[HttpResponse]]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def note_start(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except ClientDisconnect:
            return  # before its request was complete: there is nobody to answer
        except Exception as error:
            if started:
                raise
            response = await self._answer(Request(scope), error)
            await response(scope, receive, send)


def _places(request: Request, error: Exception) -> list[Problem]:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    content_type = request.headers.get("content-type", "").lower()
    if "json" not in content_type and any(one["loc"] == ("body",) for one in found):
        # Only a body of that media type is read: of another one nothing more can be said.
        return [_NO_JSON]
    places = [one["loc"] for one in found]
    # An array with a wrong element counts as too short without it.
    return [_problem(one) for one in found if one["type"] != "too_short" or not _has_below(places, one["loc"])]


def _has_below(places: Sequence[Sequence[str | int]], place: Sequence[str | int]) -> bool:
    return any(len(one) > len(place) and one[: len(place)] == place for one in places)


def _problem(found: Mapping[str, Any]) -> Problem:
    """What pydantic found, for people who do not write Python."""
    if found["type"] == "json_invalid":
        # It counts characters, which would pass for the index of an element.
        return Problem(path="$", message=f"is no JSON, from character {found['loc'][-1]} on: {found['ctx']['error']}")
    return Problem(
        path=_json_path(found["loc"]), message=_PLAINLY.get(found["type"], found["msg"].removeprefix("Value error, "))
    )


def _json_path(location: Sequence[str | int]) -> str:
    """``("body", "attributes", 0, "type")`` as ``$.attributes[0].type``; a parameter by its name."""
    if not location or location[0] != "body":
        return ".".join(str(part) for part in location[1:]) or "$"
    path = "$"
    for part in location[1:]:
        path = f"{path}[{part}]" if isinstance(part, int) else member(path, part)
    return path
