"""OpenAPI of what the ledger says of events: its answers are encoded as they are, so that no model declares them."""

from __future__ import annotations

from typing import Any

from schemas.model.delivery import Outcome
from schemas.model.standing import Reason

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}
_TIME_OR_NULL: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_REASON = {"enum": [*(each.value for each in Reason), None], "description": "Why the latest attempt failed."}
_OUTCOMES = [each.value for each in Outcome]


def _list(of: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}}


_DELIVERY: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "description": "Its receiver gets it as `webhook-id`."},
    "run": {"type": "string", "description": "`live`, or the id of a replay or resend."},
    "event": {"type": "string", "description": "The gateway's id of its event."},
    "endpoint": _TEXT,
    "subscriptions": {"type": "array", "items": _TEXT},
    "routed_at": _TIME_OR_NULL,
    "attempts": _NUMBER,
    "outcome": {
        "enum": [*_OUTCOMES, None],
        "description": "Of the latest attempt, or `dead` once it was given up; null before either.",
    },
    "status": _NUMBER_OR_NULL,
    "reason": _REASON,
    "error": _TEXT_OR_NULL,
    "next_at": _TIME_OR_NULL | {"description": "When the next attempt is due."},
    "dead_reason": _TEXT_OR_NULL | {"description": "Why it was given up; it may have been without a single attempt."},
    "changed_at": _TIME,
}
_LOGGED: dict[str, dict[str, Any]] = {
    **_DELIVERY,
    "namespace": _TEXT_OR_NULL | {"description": "Of the event's type."},
    "code": _TEXT_OR_NULL | {"description": "Of the event's type, in the namespace."},
    "producer_id": _TEXT_OR_NULL | {"description": "The producer's own id of the event."},
}


def _object(description: str, **members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": members}


_EVENT: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "description": "As its producer sent it; else the gateway's."},
    "event_id": {"type": "string", "description": "The gateway's id of it, as its publisher was answered."},
    "workspace": _TEXT,
    "namespace": {"type": "string", "description": "Of its event type."},
    "code": {"type": "string", "description": "Of its event type, in the namespace."},
    "clientid": {"type": "string", "description": "The client that published it."},
    "type": {"type": "string", "description": "The CloudEvents type, as sent; else the code."},
    "source": {"type": "string", "description": "The CloudEvents source, as sent; else the client that published it."},
    "subject": _TEXT_OR_NULL,
    "time": _TIME | {"description": "As sent."},
    "dataschema": _TEXT_OR_NULL,
    "datacontenttype": _TEXT_OR_NULL,
    "extensions": {"type": "object", "additionalProperties": {"type": ["string", "boolean", "integer"]}},
    "received_at": _TIME,
    "channel": _TEXT_OR_NULL,
    "identifiers": {"type": "array", "items": _object("One of them.", name=_TEXT, value=_TEXT)},
    "data": {"description": "As subscribers get it."},
    "producer_id": {"type": ["string", "null"], "description": "The producer's own id, if it gave one."},
    "topic_offset": {"type": "string", "description": "`<topic>/<partition>/<offset>`"},
}

SCHEMAS: dict[str, Any] = {
    "LedgerEvent": _object("An event as the ledger has it.", **_EVENT),
    "LedgerEventWithDeliveries": _object(
        "An event, and where it went as far as the caller may see it.",
        **_EVENT,
        redacted_at=_TIME_OR_NULL | {"description": "When its payload was forgotten; `data` is null then."},
        outcomes={
            "type": "object",
            "additionalProperties": _NUMBER,
            "description": "How many deliveries came to what; `pending`: not tried yet.",
            "example": {"delivered": 2, "retrying": 1},
        },
        deliveries=_list("LedgerDelivery"),
    ),
    "LedgerEventPage": _object(
        "Events, the latest first; `next_cursor` is null on the last page.",
        items=_list("LedgerEvent"),
        next_cursor=_TEXT_OR_NULL,
    ),
    "LedgerDelivery": _object("One event for one endpoint, in one run.", **_DELIVERY, tries=_list("LedgerAttempt")),
    "LoggedDelivery": _object("One event for one endpoint, in one run, without its attempts.", **_LOGGED),
    "DeliveryPage": _object(
        "Deliveries in the order they were routed; `next_cursor` is null on the last page.",
        items=_list("LoggedDelivery"),
        next_cursor=_TEXT_OR_NULL,
    ),
    "Delivery": _object(
        "One event for one endpoint, in one run, with its attempts.",
        **_LOGGED,
        tries=_list("LedgerAttempt"),
        runs=_list("LoggedDelivery") | {"description": "Where it stands in its other runs."},
    ),
    "KeptRequest": _object(
        "A request as it was sent, without credentials, and without the headers that the HTTP client adds.",
        method=_TEXT,
        url=_TEXT,
        headers={"type": "object", "additionalProperties": _TEXT},
        body={"type": "string", "description": "The first bytes of it."},
        size={"type": "integer", "description": "Bytes of the whole body."},
    ),
    "LedgerAttempt": _object(
        "One try.",
        id=_TEXT,
        run=_TEXT,
        number=_NUMBER,
        outcome={"enum": _OUTCOMES},
        started_at=_TIME,
        duration={"type": "number", "description": "Seconds."},
        status=_NUMBER_OR_NULL,
        reason=_REASON,
        error=_TEXT_OR_NULL,
        request={
            "description": "As sent, without credentials; null where it was not kept.",
            "anyOf": [{"$ref": "#/components/schemas/KeptRequest"}, {"type": "null"}],
        },
        response_head={"type": ["object", "null"], "additionalProperties": _TEXT},
        response=_TEXT_OR_NULL,
        next_at=_TIME_OR_NULL,
    ),
}


def answer(description: str, schema: str) -> dict[int | str, dict[str, Any]]:
    """The response of a successful read."""
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {200: {"description": description, "content": {"application/json": {"schema": reference}}}}
