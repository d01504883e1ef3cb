"""GraphQL over HTTP: how the requests of the event-service family are read, and its results and errors written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi.responses import Response as HttpResponse

from ingest_api import problems
from ingest_api.control.dependencies import check_digits
from ingest_api.wire import JSON, Response
from schemas.errors import HeadraceError, InvalidRequest, UnsupportedMediaType

if TYPE_CHECKING:
    from fastapi import Request
    from graphql import GraphQLError
    from strawberry.types import ExecutionResult

GRAPHQL_JSON = "application/graphql-response+json"
"""Who accepts it is told by the status whether a request was executed; others always get 200 and ``errors``."""


class Operation(msgspec.Struct, rename="camel"):
    """What a request asks for; ``extensions`` are for servers that know some."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


async def read_body(request: Request) -> Operation:
    """The operation in a request's body.

    Raises:
        UnsupportedMediaType: the body is not said to be JSON.
        InvalidRequest: it is not a JSON object of the members that there are.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON.decode() and not media_type.endswith("+json"):
        raise UnsupportedMediaType("The body must be application/json.")
    try:
        return msgspec.json.decode(await request.body(), type=Operation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body must be a JSON object with query and variables: {error}") from error


def read_query(request: Request) -> Operation:
    """The operation in a request's query parameters.

    Raises:
        InvalidRequest: the variables are no JSON object.
    """
    given = request.query_params
    variables = given.get("variables")
    check_digits((variables or "").encode(errors="replace"))
    try:
        read = None if not variables else msgspec.json.decode(variables, type=dict[str, Any] | None)
        # JSON can spell half of a surrogate pair, which is no character.
        json.dumps([read, *given.values()], ensure_ascii=False).encode()
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(f"variables must be a JSON object: {error}") from error
    return Operation(query=given.get("query"), variables=read, operation_name=given.get("operationName"))


def answer(result: ExecutionResult, accept: str) -> HttpResponse:
    """The result as JSON: status 200 with ``errors`` in it, unless the client's ``Accept`` header knows better."""
    errors = result.errors or []
    refused = result.data is None and all(error.path is None for error in errors)
    content: dict[str, Any] = {} if refused else {"data": result.data}
    if errors:
        content["errors"] = [_formatted(error) for error in errors]
    body = msgspec.json.encode(content)
    if GRAPHQL_JSON in accept:
        return HttpResponse(body, 400 if refused else 200, media_type=GRAPHQL_JSON)
    return HttpResponse(body, media_type=JSON.decode())


def render(error: HeadraceError) -> Response:
    """An error that kept a request from being executed, as GraphQL clients know errors."""
    content = {"errors": [_error(error)]}
    return Response(problems.status_of(error).value, msgspec.json.encode(content), headers=problems.headers_of(error))


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """One error of an execution; what failed inside is logged, not told."""
    told: dict[str, Any] = dict(error.formatted)
    original = error.original_error
    if isinstance(original, HeadraceError):
        told |= _error(original)
    elif original is not None and error.path is not None:
        told |= _error(problems.internal(original))
    return told


def _error(error: HeadraceError) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": problems.status_of(error).name}
    places = [{"path": one.path, "message": one.message} for one in problems.problems_of(error)]
    if places:
        extensions["problems"] = places
    return {"message": problems.document(error)["detail"], "extensions": extensions}
