"""An owner's pause: the router keeps an endpoint's events, and a backfill sends them when the pause is over."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backbone.endpoint_states import EndpointStatus
from families.headrace.http.replays import Rate
from families.headrace.http.runs import RunOutput
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, TheGateway, Workspace, owned
from ingest_api.management.models import Input, Time
from schemas.model import timestamps
from schemas.model.access import Client
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Conflict
from schemas.model.ids import derived
from schemas.model.run import Run, RunKind
from schemas.security.permissions import Operation, owner_for

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


class PauseOutput(BaseModel):
    """An endpoint that its owner paused."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    held_since: Time
    warnings: tuple[str, ...] = (
        "Events are kept for the retention of their topics and of deliveries: what that takes is lost.",
    )


class ResumeInput(Input):
    """How fast what was kept is sent."""

    rate: Rate = None


class ResumeOutput(BaseModel):
    """An endpoint whose pause is over."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    backfill: Annotated[RunOutput, Field(description="The run that sends what was kept.")]


@router.post("/endpoints/{endpoint_id}/pause", summary="Pause an endpoint, and keep its events")
async def pause_endpoint(gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str) -> PauseOutput:
    """Nothing is sent to it until `…/resume`. Pausing what is paused changes nothing.

    Events that are accepted meanwhile are kept, and sent when the pause is over. What was routed before waits, and is
    tried within a minute after the pause. To have events dropped instead, set `enabled` to false.
    """
    found = await _endpoint(gateway, caller, workspace, endpoint_id)
    standing = (await gateway.endpoint_states()).standing(found)
    if standing.status is EndpointStatus.DISABLED:
        raise Conflict(
            f"The endpoint {found.id} is disabled, so its events are dropped: {standing.reason}. Enable it first."
        )
    paused = await gateway.routes.hold(workspace, found.id, timestamps.now())
    return PauseOutput(endpoint=paused.id, held_since=paused.held_since)


@router.post("/endpoints/{endpoint_id}/resume", summary="End the pause of an endpoint, and send what was kept")
async def resume_endpoint(
    gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str, body: ResumeInput | None = None
) -> ResumeOutput:
    """New events are sent at once, and what was kept behind them, by a run. Calls at once get the same run.

    The run uses the filters of now. 409 when the endpoint is not paused, or not any more, or is disabled.
    `GET /headrace/v1/runs?kind=BACKFILL` with the `endpoint` shows the run of a call whose answer was lost.
    """
    found = await _endpoint(gateway, caller, workspace, endpoint_id)
    if not found.enabled:
        raise Conflict(f"The endpoint {found.id} is disabled. Enable it first, and then end its pause.")
    since = found.held_since
    if since is None:
        raise Conflict(f"The endpoint {found.id} is not paused.")
    run = Run(
        id=derived("backfill", found.id, str(since)),
        kind=RunKind.BACKFILL,
        workspace=workspace,
        endpoint=found.id,
        held_since=since,
        rate=None if body is None else body.rate,
        requested_by=caller.id,
        origin=timestamps.to_text(since),
        created_at=timestamps.now(),
    )
    # First the run, which waits for the end of the pause: if this call is cut off in between, a repeat goes on.
    known = await gateway.in_time(gateway.runs.create(run))
    await gateway.routes.release(workspace, found.id, since)
    return ResumeOutput(endpoint=found.id, backfill=RunOutput.of(known))


async def _endpoint(gateway: Gateway, caller: Client, workspace: str, endpoint_id: str) -> Endpoint:
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    found = (await gateway.view()).endpoint_called(workspace, endpoint_id)
    endpoint = owned(found, f"endpoint {endpoint_id}", workspace=workspace, owner=owner)
    if endpoint.type is not EndpointType.WEB_HOOK:
        raise Conflict("Only webhooks are paused: others read when they like.")
    return endpoint
