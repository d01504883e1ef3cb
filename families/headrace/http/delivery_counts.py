"""How many deliveries came to what, by hour, event type and endpoint, as the ledger has them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from backbone.ledger.delivery_counts import HOUR, LONGEST_SPAN, MOST_COUNTS, CountQuery, DeliveryCount
from backbone.ledger.delivery_counts import DeliveryCounts as LedgerCounts
from families.headrace.http.deliveries import topics_of
from families.headrace.http.events_openapi import answer
from ingest_api.management.dependencies import Caller, Scope, TheGateway
from ingest_api.management.models import Instant
from schemas.model import timestamps
from schemas.model.access import Role
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.standing import Standing
from schemas.model.topics import type_of
from schemas.security.reading import READERS

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway

router = APIRouter(tags=["Deliveries"])

_DAY = 24 * HOUR


class Of(StrEnum):
    """Which deliveries are counted."""

    RECEIVED = "received"
    PUBLISHED = "published"


@router.get(
    "/delivery-counts",
    summary="Count deliveries",
    response_class=Response,
    responses=answer("The counts, the latest hour first.", "DeliveryCounts"),
)
async def count_deliveries(
    gateway: TheGateway,
    caller: Caller,
    scope: Scope,
    since: Annotated[Instant | None, Query(description="Routed then or later; a day before `until`.")] = None,
    until: Annotated[Instant | None, Query(description="Routed before; now.")] = None,
    endpoint: Annotated[str | None, Query(description="The endpoint's id.")] = None,
    namespace: Annotated[str | None, Query(description="Of the event's type.")] = None,
    type: Annotated[str | None, Query(description="The event type's code, or `<namespace>/<code>`.")] = None,  # noqa: A002
    of: Annotated[
        Of | None,
        Query(description="`received`: deliveries to the caller's endpoints; `published`: deliveries of its events."),
    ] = None,
) -> Response:
    """Deliveries by the hour in which they were routed, by event type and endpoint; replays and other runs apart.

    A client sees the counts of its own endpoints, and with `of=published` those of the events that it published, to
    whatever endpoints, without their names: what a producer alone is shown. `viewer`, `operator` and `admin` see the
    workspace's.
    """
    until = timestamps.now() if until is None else until
    since = max(timestamps.EARLIEST, until - _DAY) if since is None else since
    query = CountQuery(
        since=since,
        until=until,
        endpoint=endpoint,
        topics=topics_of(gateway, scope, namespace, type),
        published=(of or _usual(caller.roles)) is Of.PUBLISHED,
    )
    if query.published and endpoint is not None:
        problem = Problem(path="endpoint", message="is not told of the deliveries of published events")
        raise InvalidRequest("The request is not valid.", [problem])
    counts = await gateway.ask(lambda: gateway.kept(_counts_of).counts(scope, query))
    items = [_count(each, since, until) for each in counts]
    body = {"since": timestamps.to_text(since), "until": timestamps.to_text(until), "items": items}
    return Response(msgspec.json.encode(body), media_type="application/json")


def _counts_of(gateway: Gateway) -> LedgerCounts:
    return LedgerCounts(gateway.clients.ledger)


def _usual(roles: tuple[Role, ...]) -> Of:
    return Of.RECEIVED if {Role.SUBSCRIBER, *READERS}.intersection(roles) else Of.PUBLISHED


def _count(count: DeliveryCount, since: int, until: int) -> dict[str, Any]:
    namespace, code = type_of(count.topic)
    seconds = (min(until, count.hour + HOUR) - max(since, count.hour)) / 1_000_000
    delivered = count.outcomes.get(Standing.DELIVERED, 0)
    failed = count.outcomes.get(Standing.DEAD, 0)
    return {
        "hour": timestamps.to_text(count.hour),
        "namespace": namespace,
        "code": code,
        "endpoint": count.endpoint,
        "live": count.live,
        "deliveries": count.total,
        "per_second": round(count.total / seconds, 6) if seconds else None,
        "attempts": count.attempts,
        "outcomes": count.outcomes,
        "delivered_rate": round(delivered / (delivered + failed), 6) if delivered + failed else None,
    }


_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}

_MEMBERS: dict[str, Any] = {
    "hour": _TIME | {"description": "Its beginning."},
    "namespace": _TEXT_OR_NULL,
    "code": _TEXT_OR_NULL,
    "endpoint": _TEXT_OR_NULL | {"description": "Null where it is not the caller's to know."},
    "live": {"type": "boolean", "description": "False for replays and other runs."},
    "deliveries": {"type": "integer"},
    "per_second": _NUMBER_OR_NULL | {"description": "Deliveries, over the part of the hour that was asked for."},
    "attempts": {"type": "integer", "description": "Made for these deliveries so far."},
    "outcomes": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "How many deliveries stand where; `pending`: not tried yet.",
        "example": {"delivered": 20, "retrying": 1},
    },
    "delivered_rate": _NUMBER_OR_NULL | {"description": "Delivered, of those that were delivered or given up."},
}

SCHEMAS: dict[str, Any] = {
    "DeliveryCount": {"type": "object", "properties": _MEMBERS},
    "DeliveryCounts": {
        "type": "object",
        "description": f"At most {MOST_COUNTS:,} counts, of at most {LONGEST_SPAN // _DAY} days.",
        "properties": {
            "since": _TIME,
            "until": _TIME,
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/DeliveryCount"}},
        },
    },
}
