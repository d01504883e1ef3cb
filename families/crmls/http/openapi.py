"""OpenAPI of the CRMLS route that publishes, and the errors of the family."""

from __future__ import annotations

from typing import Any

from ingest_api.management.openapi import IDEMPOTENCY_KEY, OVER_QUOTA

_PROBLEM = {"$ref": "#/components/schemas/CrmlsProblem"}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}


def _answer(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


TOKEN: dict[int | str, dict[str, Any]] = {200: _answer("A token, and until when it is good.", "CrmlsToken")}
EVENT: dict[int | str, dict[str, Any]] = {200: _answer("The event.", "CrmlsEvent")}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _problem("A member or parameter is missing or wrong; `errors` maps it to what is wrong."),
    401: _problem("The API key or token is missing, unknown or expired."),
    413: _problem("The body or the message is too large."),
    503: _problem(
        "Kafka does not answer in time, and the events may still be written. Repeat the request after `Retry-After` "
        "seconds with the same `Idempotency-Key`: they are then written once."
    ),
}

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: _problem("This account has posted no such event.")}

SCHEMAS: dict[str, Any] = {
    "CrmlsEventPost": {
        "type": "object",
        "required": ["eventName", "eventTime", "messageType", "message"],
        "properties": {
            "eventName": {"type": "string", "minLength": 1},
            "eventTime": {"type": "string", "format": "date-time", "description": "ISO 8601 with an offset."},
            "messageType": {"type": "string", "minLength": 1, "maxLength": 200},
            "message": {"type": "object", "additionalProperties": True},
        },
        "example": {
            "eventName": "Offer1234",
            "eventTime": "2021-03-04T16:36:54.591Z",
            "messageType": "Offer",
            "message": {"ListingId": "L-1", "OfferId": "O-1", "OfferAmount": "450000"},
        },
    },
    "CrmlsToken": {
        "type": "object",
        "required": ["token", "expiration"],
        "properties": {
            "token": {"type": "string", "description": "A JSON Web Token."},
            "expiration": {"type": "string", "example": "2021-03-11T16:08:02.0000000+00:00"},
        },
    },
    "CrmlsEvent": {
        "type": "object",
        "properties": {
            "eventName": {"type": "string"},
            "eventTime": {"type": "string", "example": "2021-03-04T16:36:54.591+00:00"},
            "sourceAccount": {"type": "string", "format": "uuid"},
            "message": {"type": "object", "additionalProperties": True},
            "messageType": {"type": "string"},
            "createdBy": {"type": ["string", "null"]},
            "createdOn": {"type": "string", "example": "2021-03-04T16:47:21.9708890+00:00"},
            "id": {"type": "string", "format": "uuid"},
            "modifiedBy": {"type": ["string", "null"]},
            "modifiedOn": {"type": "string", "example": "2021-03-04T16:47:21.9708890+00:00"},
        },
    },
    "CrmlsProblem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        },
    },
}

POST_EVENT: dict[str, Any] = {
    "tags": ["CRMLS EventGateway"],
    "summary": "Post an event",
    "description": (
        "Answered once Kafka has acknowledged the event. `messageType` is its event type; the first use registers it. "
        "A repeat with the same `Idempotency-Key` is answered like the first and writes nothing."
    ),
    "operationId": "crmls_post_event",
    "security": [{"crmlsToken": []}],
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CrmlsEventPost"}}},
    },
    "responses": {
        "200": _answer("The event as it was accepted.", "CrmlsEvent"),
        "400": ERRORS[400],
        "401": ERRORS[401],
        "403": _problem("The account may not post, or has registered as many message types as it may."),
        "409": _problem("The message type was registered as another one at this moment."),
        "413": ERRORS[413],
        "415": _problem("The body is not application/json in UTF-8."),
        "422": _problem("The Idempotency-Key was used with another body."),
        "429": _problem(OVER_QUOTA),
        "503": ERRORS[503],
    },
}

SECURITY = {
    "crmlsToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token from POST /api/token.",
    }
}
"""OpenAPI security schemes of the family's operations."""
