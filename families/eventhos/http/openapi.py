"""OpenAPI of the eventhos routes that FastAPI does not see into, and the errors of the family."""

from __future__ import annotations

from typing import Any

from ingest_api.management.openapi import OVER_QUOTA

_ERROR = {"$ref": "#/components/schemas/EventhosError"}
_JSON = "application/json"


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _ERROR}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("Something in the request is wrong, or the present state contradicts it; `code` says what."),
    401: _error("`401202` an incorrect token, `401002` the permission is missing, `401100` a wrong secret."),
    403: _error("`403002` no token."),
    404: _error("There is none with that id."),
    409: _error("The identifier is taken."),
    413: _error("The body is too large."),
    500: _error(
        "`500000` Kafka does not answer in time, and the event may still be received. Repeat the request after "
        "`Retry-After` seconds with the same `Idempotency-Key`: it is then received once."
    ),
}

SCHEMAS: dict[str, Any] = {
    "EventhosError": {
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "description": "Its first three digits are the HTTP status."},
            "message": {"type": "string"},
        },
    },
    "EventhosTokenRequest": {
        "type": "object",
        "required": ["grant_type", "client_id", "client_secret"],
        "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "client_id": {"type": "string", "minLength": 1},
            "client_secret": {"type": "string", "minLength": 1},
        },
    },
}

_CREDENTIALS = {"schema": {"$ref": "#/components/schemas/EventhosTokenRequest"}}

TOKEN: dict[str, Any] = {
    "requestBody": {
        "required": True,
        # JSON is taken, too; generators of clients make a broken call of two media types.
        "content": {"application/x-www-form-urlencoded": _CREDENTIALS},
    },
}


def _parameter(name: str, place: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


SEND: dict[str, Any] = {
    "tags": ["eventhos events"],
    "summary": "Send an event",
    "description": (
        "Answered once Kafka has acknowledged the event; its contracts are run in the background. The body is any "
        "JSON, none is `{}`. A repeat with the same `Idempotency-Key` writes nothing."
    ),
    "operationId": "eventhos_send",
    "security": [{"eventhosAccessKey": []}],
    "parameters": [
        _parameter("event-identifier", "query", "Of the event, as its creation made it.", required=True),
        _parameter("access-key", "query", "Instead of the header."),
        _parameter("Idempotency-Key", "header", "Of the sender's own choice."),
    ],
    "requestBody": {
        "required": False,
        "content": {_JSON: {"schema": {}, "example": {"name": "Morpheush", "job": "Leader", "id": "199"}}},
    },
    "responses": {
        "200": {
            "description": "`200000` received; `200310` received, but it has no contracts.",
            "content": {
                _JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "code": {"type": "integer", "enum": [200000, 200310]},
                            "message": {"type": "string"},
                        },
                    },
                },
            },
        },
        "203": {
            "description": "`200310`, where `HEADRACE_INGEST_EVENTHOS_COMPAT_STATUS` is set.",
            "content": {_JSON: {"schema": {"type": "object"}}},
        },
        "400": _error(
            "`400201` no event-identifier, `400024` no such event, `400004` its system has no client, `400000` no JSON."
        ),
        "401": _error("`401202` the access key is not that of the event's client."),
        "413": _error("The body or the event is too large."),
        "415": _error("The body is in a charset or coding other than JSON's."),
        "422": _error("The Idempotency-Key was used with another event."),
        "429": _error(f"`429000` {OVER_QUOTA}"),
        "500": ERRORS[500],
    },
}

_CREDENTIAL = "A token from POST /auth/token, or a long-lived token."

SECURITY = {
    "eventhosAccessKey": {"type": "apiKey", "in": "header", "name": "access-key", "description": _CREDENTIAL},
    "eventhosToken": {"type": "http", "scheme": "bearer", "description": _CREDENTIAL},
}
"""OpenAPI security schemes of the family's operations."""
