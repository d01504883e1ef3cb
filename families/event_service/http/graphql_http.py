"""GraphQL over HTTP: how the requests of the event-service family are read, and its results and errors written."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi.responses import Response as HttpResponse

from ingest_api import problems
from ingest_api.http import JSON, Response
from ingest_api.management.dependencies import check_digits
from schemas.model.errors import HeadraceError, InvalidRequest, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        InvalidRequest: the variables or the extensions are no JSON object.
    """
    given = request.query_params
    return Operation(
        query=given.get("query"),
        variables=_object(given, "variables"),
        operation_name=given.get("operationName"),
        extensions=_object(given, "extensions"),
    )


def _object(given: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """A query parameter that is a JSON object, if it is there."""
    text = given.get(name)
    check_digits((text or "").encode(errors="replace"))
    try:
        read = None if not text else msgspec.json.decode(text, type=dict[str, Any] | None)
        # JSON can spell half of a surrogate pair, which is no character.
        json.dumps([read, *given.values()], ensure_ascii=False).encode()
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(f"{name} must be a JSON object: {error}") from error
    return read


def persisted_answer(operation: Operation) -> HttpResponse | None:
    """The answer to a persisted query of which only the hash was sent; None for every other operation.

    No query is kept here. "PersistedQueryNotFound", with status 200, makes clients of Apollo's protocol send the query.

    Raises:
        InvalidRequest: it is of another version, has no hash, or the hash is not the query's.
    """
    given = (operation.extensions or {}).get("persistedQuery")
    if given is None:
        return None
    sent = given.get("sha256Hash") if isinstance(given, dict) else None
    if not isinstance(sent, str):
        raise InvalidRequest("extensions.persistedQuery must have a version and a sha256Hash.")
    if given.get("version") != 1 or isinstance(given.get("version"), bool):
        raise InvalidRequest("Unsupported persisted query version: this server knows version 1.")
    if operation.query:
        if hashlib.sha256(operation.query.encode(errors="replace")).hexdigest() != sent.lower():
            raise InvalidRequest("The provided sha256Hash does not match the query.")
        return None
    error = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
    headers = {"cache-control": "private, no-cache, must-revalidate"}
    return HttpResponse(msgspec.json.encode({"errors": [error]}), headers=headers, media_type=JSON.decode())


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
