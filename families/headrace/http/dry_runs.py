"""What an event filter would have matched: to try one out before anything depends on it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from families.headrace.http.filters import EventFilterInput, Written, condition_errors, stored
from ingest_api.management.dependencies import Caller, Scope, TheGateway
from ingest_api.management.models import Time
from schemas.model.access import Role
from schemas.model.endpoint import EventFilter
from schemas.security.permissions import require
from schemas.security.reading import READERS

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


class LookedAt(BaseModel):
    """An event of the types that the filter selects."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: str
    type: str
    source: str
    event_id: str
    clientid: str
    time: Time
    topic: str
    partition: int
    offset: int
    matches: bool


class DryRunOutput(BaseModel):
    """The last events, the latest first."""

    matched: int
    events: list[LookedAt]


@router.post("/filters/dry-run", summary="Which of the last events would a filter have matched?")
async def dry_run(
    gateway: TheGateway,
    caller: Caller,
    scope: Scope,
    body: EventFilterInput,
    written: Written,
    last: Annotated[int, Query(ge=1, le=1_000, description="How many events to look at, at most.")] = 100,
) -> DryRunOutput:
    """Nothing is created and nothing is sent. The events are read from Kafka as they are there now.

    Subscribers see what became of the events that they may read: their own, and those delivered to their endpoints as
    far as the ledger has them. `viewer`, `operator` and `admin` see those of the workspace.
    """
    require(caller, Role.SUBSCRIBER, *READERS)
    with condition_errors():
        members = stored(body.model_dump(), written)
        wanted = EventFilter(id="", workspace=scope.workspace, created_at=0, updated_at=0, **members)
        looked = await gateway.dry_runs.of_filter(scope, wanted, last=last)
    return DryRunOutput(
        matched=sum(event.matches for event in looked), events=[LookedAt.model_validate(event) for event in looked]
    )
