"""OpenAPI of the route of our own API that publishes, and the shape of its errors."""

from __future__ import annotations

from typing import Any

from ingest_api.management.openapi import ERRORS, OVER_QUOTA, problem

SCHEMAS: dict[str, Any] = {
    "CloudEvent": {
        "type": "object",
        "required": ["specversion", "type"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "type": {
                "type": "string",
                "description": "The code of an event type in namespace `events`, or `<namespace>/<code>`.",
            },
            "id": {
                "type": "string",
                "description": "Your own id. A repeat of `source` and `id` within the window is not written again.",
            },
            "source": {
                "type": "string",
                "format": "uri-reference",
                "description": "Without one, the source is the id of the client that publishes.",
            },
            "subject": {"type": "string"},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"type": "string", "default": "application/json"},
            "dataschema": {"type": "string", "format": "uri"},
            "data": {"description": "What the event type's registration says; any JSON for an open type."},
            "data_base64": {"type": "string", "format": "byte"},
            "channel": {"type": "string", "description": "The device or method it happened on."},
        },
        "additionalProperties": {
            "description": "Extension attributes; `clientid` is the gateway's own.",
            "oneOf": [{"type": "string"}, {"type": "boolean"}, {"type": "integer"}],
        },
        "example": {
            "specversion": "1.0",
            "type": "Offer",
            "subject": "Offer1234",
            "time": "2021-03-04T16:36:54.591Z",
            "data": {"ListingId": "L-1", "OfferAmount": 450000},
        },
    },
    "Published": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "event_id": {"type": "string", "description": "The gateway's id of the event, the same as `id` here."},
            "topic": {"type": "string"},
            "partition": {"type": "integer"},
            "offset": {"type": "integer"},
            "received_at": {"type": "string", "format": "date-time"},
        },
    },
    "PublishedBatch": {
        "type": "object",
        "properties": {"events": {"type": "array", "items": {"$ref": "#/components/schemas/Published"}}},
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
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

_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    {
        "name": "workspace",
        "in": "query",
        "required": False,
        "description": "Administrators may publish into any workspace.",
        "schema": {"type": "string"},
    },
]


def _published(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _responses(schema: str, unsupported: str) -> dict[str, Any]:
    return {
        "201": {"description": "Acknowledged by Kafka.", "content": _published(schema)},
        "200": {"description": "A repeat: as the first request was answered.", "content": _published(schema)},
        "400": ERRORS[400],
        "401": ERRORS[401],
        "403": ERRORS[403],
        "404": problem("There is no such workspace."),
        "413": problem("The body or an event is too large."),
        "415": problem(unsupported),
        "422": problem(
            "The Idempotency-Key was used with another body, or an event's source and id with other content: `errors` "
            "then names each such event."
        ),
        "429": problem(OVER_QUOTA),
        "503": ERRORS[503],
    }


POST_EVENTS: dict[str, Any] = {
    "tags": ["Events"],
    "summary": "Publish an event",
    "description": (
        "A CloudEvent 1.0, answered once Kafka has acknowledged it. Beside the structured mode that is shown here this "
        "path takes the binary mode (attributes as `ce-*` headers, the data as JSON) and, as "
        "`application/cloudevents-batch+json`, batches: for these it answers as `/headrace/v1/events/batch` does."
    ),
    "operationId": "publish_events",
    "security": [{"apiKey": []}],
    "parameters": _PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {"application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/CloudEvent"}}},
    },
    "responses": _responses("Published", "The body is in none of the three modes."),
}

POST_BATCH: dict[str, Any] = {
    "tags": ["Events"],
    "summary": "Publish a batch of events",
    "description": (
        "CloudEvents 1.0 in batched mode, answered in their order once Kafka has acknowledged every event. A batch is "
        "all or nothing: one event that is not valid refuses it, `errors` names every event that is not, and nothing "
        "is written."
    ),
    "operationId": "publish_batch",
    "security": [{"apiKey": []}],
    "parameters": _PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}},
            },
        },
    },
    "responses": _responses("PublishedBatch", "The body is not JSON."),
}
