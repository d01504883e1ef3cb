"""OpenAPI of the Exchange route that publishes, and the errors of the family."""

from __future__ import annotations

from typing import Any

from ingest_api.management.openapi import IDEMPOTENCY_KEY, OVER_QUOTA

_ERROR = {"$ref": "#/components/schemas/ExchangeError"}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("Something in the request is wrong; `errors` names every place."),
    401: _error("The authentication key is missing or unknown."),
    403: _error("A key of another level, or of another endpoint."),
    503: _error(
        "Kafka does not answer in time, and the events may still be written. Repeat the request after `Retry-After` "
        "seconds with the same `Idempotency-Key`: they are then written once."
    ),
}

WITH_BODY: dict[int | str, dict[str, Any]] = {
    409: _error("It contradicts what is registered."),
    413: _error("The body is too large."),
}
"""More, of routes that take a body."""

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: _error("There is no such thing.")}

_PAIR = {"name": {"type": "string", "minLength": 1}, "value": {"type": "string"}}
_CHANNEL = {"type": "string", "minLength": 1, "description": "At one level only: here, or on the events."}
_IDENTIFIERS = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ExchangeIdentifier"}}

SCHEMAS: dict[str, Any] = {
    "ExchangeIdentifier": {
        "type": "object",
        "required": ["name", "value"],
        "properties": _PAIR,
        "additionalProperties": {"description": "Kept by no one: `channel`, `provider`, `isOriginal`."},
    },
    "ExchangeEvent": {
        "type": "object",
        "required": ["code"],
        "properties": {
            "code": {"type": "string", "description": "Registered by this endpoint with POST /v1/eventtype."},
            "namespace": {"type": "string", "description": "Extension: where the code is registered in several."},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "ISO 8601 with an offset. Required but in an eventbatch (then: time of receipt).",
            },
            "channel": _CHANNEL,
            "identifiers": _IDENTIFIERS,
            "attributes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "value"],
                    "properties": {
                        **_PAIR,
                        "type": {"type": "string", "description": "String, Number, Boolean or Time, in any case."},
                    },
                },
            },
        },
    },
    "ExchangeEvents": {
        "type": "object",
        "description": "One of `events` (individual, simple batch) and `eventbatch` (compound batch).",
        "properties": {
            "channel": _CHANNEL,
            "identifiers": _IDENTIFIERS,
            "events": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ExchangeEvent"}},
            "provider": {"type": "string"},
            "eventbatch": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["events"],
                    "properties": {
                        "channel": _CHANNEL,
                        "identifiers": _IDENTIFIERS,
                        "events": {"type": "array", "items": {"$ref": "#/components/schemas/ExchangeEvent"}},
                    },
                },
            },
        },
        "example": {
            "channel": "mobile",
            "identifiers": [{"name": "email", "value": "someone@example.org"}],
            "events": [
                {
                    "code": "ibmproductView",
                    "timestamp": "2015-02-28T20:16:12Z",
                    "attributes": [{"name": "orderTotal", "value": "125.50", "type": "number"}],
                },
            ],
        },
    },
    "ExchangeError": {
        "type": "object",
        "properties": {
            "message": {"type": "string"},
            "code": {"type": "integer", "description": "The HTTP status."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        },
    },
}


_PUBLISHED = (
    "Answered once Kafka has acknowledged every event. All or nothing: one event that is not valid refuses the "
    "request, and nothing is written. A repeat with the same `Idempotency-Key` writes nothing."
)

POST_EVENT: dict[str, Any] = {
    "tags": ["Exchange events"],
    "summary": "Publish events: individually, in a simple batch, or in a compound batch",
    "description": _PUBLISHED,
    "operationId": "exchange_post_event",
    "security": [{"exchangeKey": []}],
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExchangeEvents"}}},
    },
    "responses": {
        "200": {
            "description": "How many events are in Kafka.",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"accepted": {"type": "integer"}}},
                },
            },
        },
        "400": ERRORS[400],
        "401": ERRORS[401],
        "403": ERRORS[403],
        "413": _error("The body or an event is too large."),
        "415": _error("The body is not application/json in UTF-8."),
        "422": _error("The Idempotency-Key was used with another body."),
        "429": _error(OVER_QUOTA),
        "503": ERRORS[503],
    },
}

POST_CUSTOM_EVENT: dict[str, Any] = {
    **POST_EVENT,
    "summary": "Publish events from a browser",
    "description": f"As `POST /v1/event`, with an endpoint's `eventAuthKey`, from a page of any origin. {_PUBLISHED}",
    "operationId": "exchange_post_custom_event",
}

SECURITY = {
    "exchangeKey": {"type": "http", "scheme": "bearer", "description": "An Exchange authentication key."},
}
"""OpenAPI security schemes of the family's operations."""
