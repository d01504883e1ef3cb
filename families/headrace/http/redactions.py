"""Forgets the payload of an event: in the ledger, now and at every rebuild, and in event files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel

from backbone.kafka.records import Record
from families.headrace.http.events import the_event
from ingest_api.management.dependencies import Caller, Scope, TheGateway
from ingest_api.management.models import Time
from schemas.model import timestamps, topics
from schemas.model.endpoint import EndpointType
from schemas.model.redaction import Redaction
from schemas.security.permissions import Operation, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.ledger.queries import LedgerEvent
    from ingest_api.gateway import Gateway

router = APIRouter(tags=["Events"])


class RedactionOutput(BaseModel):
    """What was redacted, and where the payload still is."""

    event_id: str
    redacted_at: Time
    files: int
    stays_in: list[str]
    stays_until: Time | None


@router.post("/events/{event_id}/redact", status_code=202, summary="Redact an event's payload")
async def redact_event(
    gateway: TheGateway,
    caller: Caller,
    scope: Scope,
    event_id: str,
    source: Annotated[str | None, Query(description="The producer's source: the id is then the producer's.")] = None,
) -> RedactionOutput:
    """Forget what the event said: its data, subject, identifiers and extensions, and what its attempts sent and got.

    By any id, as `GET /headrace/v1/events/{event_id}`. The ledger has forgotten it a moment after the answer, and does
    so again whenever it is rebuilt; `files` event files were written anew without it. That there was an event, and what
    became of its deliveries, is still shown.

    **Kafka keeps the bytes until retention takes them**: `stays_in` lists the topics, and `stays_until` is when the
    last of them has gone, null where a topic is compacted. Until then those who consume the topics read them, and
    deliveries that wait are sent whole. It cannot be undone.
    """
    check(caller, Operation.REDACT)
    event = await the_event(gateway, scope, event_id, source)
    now = timestamps.now()
    redaction = Redaction(workspace=event.workspace, event=event.id, client=caller.id, redacted_at=now)
    record = Record(topics.REDACTIONS, redaction.to_json(), redaction.key)
    await gateway.in_time(gateway.clients.producer.send([record]))
    files = await asyncio.to_thread(_redact_files, gateway, event)
    kind = gateway.catalog.view.event_type(event.offset.topic)
    kept = gateway.settings.kafka
    whole = kind is not None and kind.compacted
    # A delivery may be routed, retried or given up as long as its topic keeps it.
    longest = event.received_at + int((kept.event_retention + kept.delivery_retention) * 1_000_000)
    return RedactionOutput(
        event_id=event.id,
        redacted_at=now,
        files=files,
        stays_in=[event.offset.topic, "deliveries.*", topics.DEAD_LETTERS, topics.ATTEMPTS],
        stays_until=None if whole else longest,
    )


def _redact_files(gateway: Gateway, event: LedgerEvent) -> int:
    found = (gateway.catalog.view.endpoint(each) for each in {each.endpoint for each in event.deliveries})
    endpoints = [each.id for each in found if each is not None and each.type is EndpointType.FILE]
    return sum(gateway.files.redact(each, _shows(event)) for each in endpoints)


def _shows(event: LedgerEvent) -> Callable[[bytes], bool]:
    """Whether a line of a file is this event: by its CloudEvents id and source, else by the gateway's id."""
    own, quoted = event.producer_id or event.id, msgspec.json.encode(event.id)

    def shows(line: bytes) -> bool:
        try:
            body = msgspec.json.decode(line)
        except msgspec.DecodeError:
            return quoted in line
        if isinstance(body, dict) and "specversion" in body:
            return body.get("id") == own and body.get("source") == event.source
        return quoted in line

    return shows
