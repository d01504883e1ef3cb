"""Events and what became of them, as the ledger has them: a moment after they were accepted."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from backbone.ledger.queries import MOST_EVENTS, EventQuery, LedgerAttempt, LedgerDelivery, LedgerEvent
from ingest_api.control import events_openapi
from ingest_api.control.dependencies import Scope, TheGateway
from ingest_api.control.models import Instant
from ingest_api.control.pages import Cursor
from schemas import timestamps
from schemas.errors import Ambiguous, NotFound, Problem

router = APIRouter(tags=["Events"])

_TIMES = frozenset({"time", "received_at", "routed_at", "changed_at", "started_at", "next_at"})


@router.get(
    "/events",
    summary="List events",
    response_class=Response,
    responses=events_openapi.answer("A page of events.", "LedgerEventPage"),
)
async def list_events(
    gateway: TheGateway,
    scope: Scope,
    namespace: str | None = None,
    type: str | None = None,  # noqa: A002 - the parameter's name in the API
    source: str | None = None,
    clientid: str | None = None,
    subject: str | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 50,
    cursor: Cursor = None,
) -> Response:
    """The latest first, without their deliveries; a page of large ones has fewer.

    A client sees what it published and what was delivered to its endpoints; `viewer`, `operator` and `admin` see the
    workspace's events.
    """
    query = EventQuery(
        namespace=namespace,
        type=type,
        source=source,
        clientid=clientid,
        subject=subject,
        since=since,
        until=until,
    )
    page = await gateway.events(scope, query, limit=limit, cursor=cursor)
    items = [_event(event) for event in page.events]
    return _json({"items": items, "next_cursor": page.cursor})


@router.get(
    "/events/{event_id}",
    summary="Get an event with its deliveries and attempts",
    response_class=Response,
    responses=events_openapi.answer("The event.", "LedgerEventWithDeliveries"),
)
async def get_event(
    gateway: TheGateway,
    scope: Scope,
    event_id: str,
    source: Annotated[str | None, Query(description="The producer's source: the id is then the producer's.")] = None,
) -> Response:
    """By any of its ids: the gateway's, a delivery's (`webhook-id`), or the producer's own.

    404 until the ledger has it, a moment after it was accepted; and for an event that the caller may not see. 409 when
    the id is a producer's and several events have it: `errors` lists them by `event_id`, and `source` chooses.

    `deliveries` are those to the caller's own endpoints, or all for `viewer`, `operator` and `admin`. Who published the
    event finds in `outcomes` how many of all its deliveries came to what.
    """
    found = await gateway.events_called(scope, event_id, source)
    if len(found) > 1:
        raise Ambiguous(
            f"{len(found)} events have the id {event_id}. Ask for one of them by `event_id`, or add its `source`.",
            [Problem(path=each.event_id, message=f"source {each.source}, clientid {each.clientid}") for each in found],
        )
    event = await gateway.event(scope, found[0].event_id) if found else None
    if event is None:
        raise NotFound(f"The ledger has no event {event_id}.")
    deliveries = [_delivery(delivery) for delivery in event.deliveries]
    return _json({**_event(event), "outcomes": event.outcomes, "deliveries": deliveries})


def _event(event: LedgerEvent) -> dict[str, Any]:
    """``data`` goes out as subscribers get it, digit for digit."""
    own = {"id": event.producer_id or event.id, "event_id": event.id}
    members = _members(event, "id", "deliveries", "offset", "outcomes", "time_text")
    return {**own, **members, "time": event.time_text, "topic_offset": str(event.offset)}


def _delivery(delivery: LedgerDelivery) -> dict[str, Any]:
    tries = [_members(attempt) for attempt in delivery.tries]
    return {**_members(delivery, "tries", "source"), "tries": tries}


def _members(thing: LedgerEvent | LedgerDelivery | LedgerAttempt, *without: str) -> dict[str, Any]:
    members = {}
    for name in thing.__struct_fields__:
        if name not in without:
            value = getattr(thing, name)
            members[name] = timestamps.to_text(value) if name in _TIMES and value is not None else value
    return members


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
