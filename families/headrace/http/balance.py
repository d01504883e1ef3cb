"""The balance: what was matched, what became of it, and whether every event was routed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from backbone.ledger.balance import BalanceQuery
from backbone.ledger.balance_tables import HOUR
from ingest_api.management.dependencies import Caller, Scope, TheGateway, Workspace
from ingest_api.management.models import Instant
from ingest_api.management.pages import Cursor, Limit
from schemas.model import timestamps
from schemas.model.cursors import read_cursor, write_cursor
from schemas.model.errors import InvalidRequest, Problem
from schemas.security.permissions import require
from schemas.security.reading import READERS

if TYPE_CHECKING:
    from backbone.ledger.balance import BalanceRow, RoutedPartition

_DAY = 24 * HOUR
_LONGEST = 31 * _DAY
"""Microseconds that one page may look back over."""

router = APIRouter(tags=["Balance"])


class BalancePlaceOutput(BaseModel):
    """Offsets whose deliveries do not add up; null where the router matched nothing."""

    topic: str
    partition: int
    first_offset: int | None
    next_offset: int | None
    matched: int
    found: int = Field(description="Deliveries that the ledger has.")


class BalanceOutput(BaseModel):
    """What became of the deliveries that were matched for one endpoint in one hour; replays do not count."""

    endpoint: str
    hour: str = Field(description="Its first instant.", json_schema_extra={"format": "date-time"})
    matched: int = Field(description="By the router, as its receipts say.")
    delivered: int
    dead: int
    retrying: int
    in_flight: int = Field(description="Routed and not tried yet.")
    held: int = Field(description="Of an endpoint that its owner paused.")
    cancelled: int
    not_kept: int = Field(description="Of event types that the ledger does not keep.")
    difference: int = Field(description="`matched`, less all the others. 0 once the hour is `complete`.")
    complete: bool = Field(description="Whether the ledger has all of this hour. Until then a difference may pass.")
    places: list[BalancePlaceOutput] = Field(description="Where a difference is, with `unbalanced=true`.")


class BalancePage(BaseModel):
    """The latest hour first; ``next_cursor`` is null on the last page."""

    complete_until: str | None = Field(
        description="The ledger has all that happened before; null until it had all for the first time.",
        json_schema_extra={"format": "date-time"},
    )
    items: list[BalanceOutput]
    next_cursor: str | None = None


class RoutingFaultOutput(BaseModel):
    """Offsets that no receipt accounts for (`gap`), or that two do (`overlap`)."""

    kind: str
    first_offset: int
    next_offset: int


class RoutedPartitionOutput(BaseModel):
    """The offsets of one partition that the router's receipts account for."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    events: int
    skipped: int = Field(description="Offsets without an event, or from when nobody subscribed to the topic.")
    routed_at: str = Field(description="The latest of them.", json_schema_extra={"format": "date-time"})
    faults: list[RoutingFaultOutput]


class RoutedPage(BaseModel):
    """Partitions in the order of their topics' names; ``next_cursor`` is null on the last page."""

    items: list[RoutedPartitionOutput]
    next_cursor: str | None = None


@router.get("/balance", summary="Show what became of matched deliveries")
async def get_balance(
    gateway: TheGateway,
    scope: Scope,
    *,
    endpoint: Annotated[str | None, Query(description="Only this endpoint's.")] = None,
    since: Annotated[Instant | None, Query(description="24 hours ago, if not given.")] = None,
    until: Annotated[Instant | None, Query(description="Now, if not given.")] = None,
    unbalanced: Annotated[bool, Query(description="Only what does not add up, with its places.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> BalancePage:
    """Per endpoint and hour: `matched` = delivered + dead + retrying + in flight + held + cancelled + not kept.

    A client sees its own endpoints; `viewer`, `operator` and `admin` see the workspace's.
    """
    now = timestamps.now()
    last = now + 1 if until is None else until
    first = last - _DAY if since is None else since
    if not first < last <= first + _LONGEST:
        message = "must be before `until`, and at most 31 days before it"
        raise InvalidRequest("The request is not valid.", [Problem(path="since", message=message)])
    after = None if cursor is None else read_cursor("balance", cursor, tuple[int, str])
    query = BalanceQuery(
        since=first, until=last, endpoint=endpoint, unbalanced=unbalanced, limit=limit + 1, after=after
    )
    complete, rows = await gateway.balance(scope, query)
    page = rows[:limit]
    return BalancePage(
        complete_until=None if complete is None else timestamps.to_text(complete),
        items=[_balance(row, complete) for row in page],
        next_cursor=write_cursor("balance", (page[-1].hour, page[-1].endpoint)) if len(rows) > limit else None,
    )


@router.get("/balance/topics", summary="Show which offsets were routed")
async def get_routed(
    gateway: TheGateway, caller: Caller, workspace: Workspace, limit: Limit = 100, cursor: Cursor = None
) -> RoutedPage:
    """The receipts of the router tile every partition from the first offset that was routed: `faults` is empty.

    For `viewer`, `operator` and `admin`.
    """
    require(caller, *READERS)
    after = None if cursor is None else read_cursor("balance/topics", cursor, tuple[str, int])
    rows = await gateway.routed(workspace, limit=limit + 1, after=after)
    page = rows[:limit]
    following = write_cursor("balance/topics", (page[-1].topic, page[-1].partition)) if len(rows) > limit else None
    return RoutedPage(items=[_routed(row) for row in page], next_cursor=following)


def _balance(row: BalanceRow, complete_until: int | None) -> BalanceOutput:
    counts = {name: getattr(row, name) for name in BalanceOutput.model_fields if hasattr(row, name)}
    return BalanceOutput(
        **counts
        | {
            "hour": timestamps.to_text(row.hour),
            "complete": complete_until is not None and row.hour + HOUR <= complete_until,
            "places": [BalancePlaceOutput.model_validate(place, from_attributes=True) for place in row.places],
        }
    )


def _routed(row: RoutedPartition) -> RoutedPartitionOutput:
    return RoutedPartitionOutput(
        topic=row.topic,
        partition=row.partition,
        first_offset=row.first_offset,
        next_offset=row.next_offset,
        events=row.events,
        skipped=row.skipped,
        routed_at=timestamps.to_text(row.routed_at),
        faults=[RoutingFaultOutput.model_validate(fault, from_attributes=True) for fault in row.faults],
    )
