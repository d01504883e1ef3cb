"""Events and what became of them, as the ledger has them: a moment after they were accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from backbone.ledger.queries import MOST_EVENTS, EventQuery, LedgerEvent
from families.headrace.http import events_openapi
from families.headrace.http.ledger_members import attempt_members, delivery_members, members
from ingest_api.management.dependencies import Scope, TheGateway
from ingest_api.management.models import Instant
from ingest_api.management.pages import Cursor, items_answer
from schemas.model import timestamps
from schemas.model.errors import Ambiguous, NotFound, Problem

if TYPE_CHECKING:
    from backbone.ledger.delivery_rows import LedgerDelivery
    from ingest_api.gateway import Gateway
    from schemas.security.reading import ReadScope

router = APIRouter(tags=["Events"])


@router.get(
    "/events",
    summary="List events",
    response_class=Response,
    responses=events_openapi.answer("A page of events.", "LedgerEventPage"),
)
async def list_events(
    gateway: TheGateway,
    scope: Scope,
    id: Annotated[  # noqa: A002  # the parameter's name in the API
        str | None, Query(description="Any id: the gateway's, the producer's, or a delivery's (`webhook-id`).")
    ] = None,
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

    With an `id` they are the events that have it: several sources may have used one.

    A client sees what it published and what was delivered to its endpoints; `viewer`, `operator` and `admin` see the
    workspace's events.
    """
    found = None if id is None else await gateway.events_called(scope, id, source)
    query = EventQuery(
        ids=None if found is None else tuple(each.event_id for each in found),
        namespace=namespace,
        type=type,
        source=source,
        clientid=clientid,
        subject=subject,
        since=since,
        until=until,
    )
    page = await gateway.events(scope, query, limit=limit, cursor=cursor)
    return await items_answer(
        gateway.slices, lambda event: msgspec.json.encode(_event(event)), page.events, page.cursor
    )


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
    event = await the_event(gateway, scope, event_id, source)
    deliveries = [_delivery(delivery) for delivery in event.deliveries]
    redacted = None if event.redacted_at is None else timestamps.to_text(event.redacted_at)
    return _json({**_event(event), "redacted_at": redacted, "outcomes": event.outcomes, "deliveries": deliveries})


async def the_event(gateway: Gateway, scope: ReadScope, any_id: str, source: str | None) -> LedgerEvent:
    """The event that an id stands for.

    Raises:
        Ambiguous: it stands for several.
        NotFound: the ledger has none, or none that may be seen.
        Unavailable: the ledger cannot be read.
    """
    found = await gateway.events_called(scope, any_id, source)
    if len(found) > 1:
        raise Ambiguous(
            f"{len(found)} events have the id {any_id}. Ask for one of them by `event_id`, or add its `source`.",
            [Problem(path=each.event_id, message=f"source {each.source}, clientid {each.clientid}") for each in found],
        )
    event = await gateway.event(scope, found[0].event_id) if found else None
    if event is None:
        raise NotFound(f"The ledger has no event {any_id}.")
    return event


def _event(event: LedgerEvent) -> dict[str, Any]:
    """``data`` goes out as subscribers get it, digit for digit."""
    own = {"id": event.producer_id or event.id, "event_id": event.id}
    shown = members(event, "id", "deliveries", "offset", "outcomes", "redacted_at", "time_text")
    return {**own, **shown, "time": event.time_text, "topic_offset": str(event.offset)}


def _delivery(delivery: LedgerDelivery) -> dict[str, Any]:
    return {**delivery_members(delivery), "tries": [attempt_members(attempt) for attempt in delivery.tries]}


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
