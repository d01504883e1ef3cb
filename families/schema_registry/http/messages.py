"""Answers in the Confluent Schema Registry's shapes: its media type, its error codes, every error in its own form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from ingest_api.http import Response as WireResponse
from ingest_api.problems import headers_of, internal, status_of
from schemas.model.errors import HeadraceError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response
    from starlette.types import Scope

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"

SUBJECT_NOT_FOUND = 40401
VERSION_NOT_FOUND = 40402
SCHEMA_NOT_FOUND = 40403
LEVEL_NOT_FOUND = 40408
INVALID_SCHEMA = 42201
INVALID_VERSION = 42202
NOT_PERMITTED = 42205
_STORE_ERROR = 50001
_NO_STORE = 50003
_INVALID = 422
_SERVER_ERROR = 500


_SLASH = "\ue000"
"""Stands for an encoded slash while a path is matched: a character for private use."""


class RegistryError(HeadraceError):
    """An error with a code of the Confluent API, whose first three digits are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RegistryResponse(JSONResponse):
    """JSON under the registry's own media type."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """``content`` as JSON."""
        return self.encoded(content)

    @staticmethod
    def encoded(content: Any) -> bytes:
        """The JSON of an answer."""
        try:
            return msgspec.json.encode(content)
        except UnicodeEncodeError:
            # A schema may spell half of a surrogate pair; an error that quotes it does too.
            return json.dumps(content).encode()


class RegistryRoute(APIRoute):
    """Answers every error in the registry's shape, whatever the rest of the app does."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is this route: a slash at the end says nothing, and an encoded one is part of its segment."""
        raw = bytes(scope.get("raw_path") or b"")
        if b"%2f" in raw.lower():
            path = "/".join(unquote(each).replace("/", _SLASH) for each in raw.decode("latin-1").split("/"))
        else:
            path = scope["path"]
        found, child = super().matches({**scope, "path": path.removesuffix("/")})
        for name, value in child.get("path_params", {}).items():
            child["path_params"][name] = value.replace(_SLASH, "/")
        return found, child

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, which raises nothing but that the client has gone."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                raise
            except Exception as error:  # noqa: BLE001 - a bug answers 500 in the registry's shape, and is logged
                return _refusal(error)

        return answer


def declared(description: str) -> dict[str, Any]:
    """An OpenAPI response with an error of the registry."""
    members = {"error_code": {"type": "integer"}, "message": {"type": "string"}}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"type": "object", "properties": members}}}}


def render(error: HeadraceError) -> WireResponse:
    """An error that arose before the request reached a route, such as an unknown path."""
    refusal = _refusal(error)
    return WireResponse(refusal.status_code, bytes(refusal.body), MEDIA_TYPE.encode(), headers_of(error))


def _refusal(error: Exception) -> RegistryResponse:
    status = 0
    headers: dict[str, str] = {}
    match error:
        case RegistryError(code=code):
            message = str(error)
        case RequestValidationError():
            code, message = _INVALID, str(error.errors()[0]["msg"])
        case HTTPException():
            code, message = error.status_code, error.detail
            headers.update(error.headers or {})
        case Unavailable():
            status, code, message = int(status_of(error)), _NO_STORE, error.told
            headers["Retry-After"] = str(error.retry_after)
        case Unauthenticated():
            code, message = int(status_of(error)), str(error)
            headers["WWW-Authenticate"] = 'Basic realm="schema-registry"'
        case HeadraceError() if status_of(error) < _SERVER_ERROR:
            code, message = int(status_of(error)), str(error)
        case _:
            code, message = _STORE_ERROR, str(internal(error))
    return RegistryResponse({"error_code": code, "message": message}, status or int(str(code)[:3]), headers)
