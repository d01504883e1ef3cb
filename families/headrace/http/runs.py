"""Runs: how far resends, replays and redrives are; pausing, resuming and cancelling them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backbone.runs.requests import existing_run
from backbone.runs.view import KnownRun
from ingest_api.management.dependencies import Caller, Scope, TheGateway, Workspace
from ingest_api.management.models import Time
from ingest_api.management.pages import Cursor, Limit, Page, encode_model, page_answer
from schemas.model.access import Role
from schemas.model.errors import NotFound
from schemas.model.run import LETTER_KINDS, Matched, Run, RunKind, RunState, Wanted
from schemas.security.permissions import Operation, owner_for, require
from schemas.security.reading import READERS, ReadScope

router = APIRouter(tags=["Sending again"])

_WHOLE = 1_000

SECONDS_FOR_DRY_RUN = 3.0
"""A dry run that takes longer goes on, and its answer says `RUNNING`."""


class _Offsets(NamedTuple):
    """How many offsets a run has to look at, has looked at, and lost to retention, as far as people are told."""

    total: int
    looked_at: int
    lost: int

    @classmethod
    def of(cls, known: KnownRun) -> _Offsets:
        """Thousandths where the run reads topics that all workspaces share: the counts would tell of others."""
        run, progress = known.run, known.progress
        found = cls(run.total, 0, 0) if progress is None else cls(progress.total, progress.looked_at, progress.lost)
        is_shared = run.kind in LETTER_KINDS or run.matched is Matched.THEN
        if not is_shared or not found.total:
            return found
        return cls(_WHOLE, _WHOLE * found.looked_at // found.total, -(-_WHOLE * found.lost // found.total))


class RunOutput(BaseModel):
    """Work on deliveries that was asked for, and how far it is."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: Annotated[str, Field(description="Also the `run` of its deliveries, and their header `webhook-replay`.")]
    kind: RunKind
    state: RunState
    endpoint: Annotated[str | None, Field(description="null: dead letters of any endpoint.")]
    dry_run: Annotated[bool, Field(description="It only counts.")]
    matched: Annotated[Matched | None, Field(description="Of a replay.")]
    origin: Annotated[str | None, Field(alias="from")]
    until: str | None
    rate: Annotated[float | None, Field(description="Most deliveries per second.")]
    requested_by: str
    created_at: Time
    started_at: Time | None
    changed_at: Time | None
    total: Annotated[
        int,
        Field(
            description="Offsets to look at. Over dead letters, and where `matched` is `then`, offsets of others are "
            "among them: there it is 1,000 for all, and `looked_at` and `lost` are thousandths."
        ),
    ]
    looked_at: Annotated[int, Field(description="Offsets that it has looked at.")]
    deliveries: Annotated[int, Field(description="That it wrote, or would write; of a `DISCARD`, dead letters.")]
    skipped: Annotated[dict[str, int], Field(description="Reason to the number of records that were left out.")]
    lost: Annotated[int, Field(description="Offsets that retention took before the run came to them.")]
    reason: Annotated[str | None, Field(description="Why it ended early.")]

    @classmethod
    def of(cls, known: KnownRun) -> RunOutput:
        """The run as it is."""
        run, progress = known.run, known.progress
        offsets = _Offsets.of(known)
        return cls(
            id=run.id,
            kind=run.kind,
            state=known.state,
            endpoint=run.only_endpoint,
            dry_run=run.dry_run,
            matched=run.matched if run.kind is RunKind.REPLAY else None,
            origin=run.origin,
            until=run.until,
            rate=run.rate,
            requested_by=run.requested_by,
            created_at=run.created_at,
            started_at=progress.started_at if progress else None,
            changed_at=progress.changed_at if progress else None,
            total=offsets.total,
            looked_at=offsets.looked_at,
            deliveries=progress.deliveries if progress else 0,
            skipped=progress.skipped if progress else {},
            lost=offsets.lost,
            reason=progress.reason if progress else None,
        )


async def answer_of(gateway: TheGateway, run: Run) -> RunOutput:
    """Have a run executed; a dry run is waited for, for a moment."""
    known = await gateway.in_time(gateway.runs.create(run))
    return RunOutput.of(await gateway.runs.ended(known, SECONDS_FOR_DRY_RUN) if run.dry_run else known)


def readers(caller: Caller) -> None:
    """Let those pass that may read runs.

    Raises:
        PermissionDenied: the caller is a producer only.
    """
    require(caller, Role.SUBSCRIBER, *READERS)


@router.get("/runs", summary="List runs", response_model=Page[RunOutput], dependencies=[Depends(readers)])
async def list_runs(
    gateway: TheGateway,
    scope: Scope,
    limit: Limit = 100,
    cursor: Cursor = None,
    endpoint: Annotated[str | None, Query(description="Only to this endpoint.")] = None,
    kind: Annotated[RunKind | None, Query(description="Only of this kind.")] = None,
    state: Annotated[RunState | None, Query(description="Only in this state.")] = None,
) -> Response:
    """Those to one's own endpoints, and one's own over dead letters; for viewers and operators, the workspace's."""
    view = await gateway.in_time(gateway.runs.view())
    found = [
        each
        for each in view.runs(scope.workspace)
        if may_read(scope, each.run)
        and endpoint in (None, each.run.only_endpoint)
        and kind in (None, each.run.kind)
        and state in (None, each.state)
    ]
    return await page_answer(
        gateway.slices, "runs", lambda each: encode_model(RunOutput.of(each)), found, limit, cursor
    )


@router.get("/runs/{run_id}", summary="Get a run", dependencies=[Depends(readers)])
async def get_run(gateway: TheGateway, scope: Scope, run_id: str) -> RunOutput:
    """With its progress, as of this moment."""
    known = existing_run(await gateway.in_time(gateway.runs.view()), scope.workspace, run_id)
    if not may_read(scope, known.run):
        raise NotFound(f"There is no run {run_id}.")
    return RunOutput.of(known)


@router.post("/runs/{run_id}/pause", summary="Pause a run")
async def pause_run(gateway: TheGateway, caller: Caller, scope: Scope, workspace: Workspace, run_id: str) -> RunOutput:
    """It writes no more deliveries; those that it has written are sent."""
    return await _command(gateway, caller, scope, workspace, run_id, Wanted.PAUSE)


@router.post("/runs/{run_id}/resume", summary="Resume a run")
async def resume_run(gateway: TheGateway, caller: Caller, scope: Scope, workspace: Workspace, run_id: str) -> RunOutput:
    """It goes on where it was paused."""
    return await _command(gateway, caller, scope, workspace, run_id, Wanted.RUN)


@router.post("/runs/{run_id}/cancel", summary="Cancel a run")
async def cancel_run(gateway: TheGateway, caller: Caller, scope: Scope, workspace: Workspace, run_id: str) -> RunOutput:
    """It ends for good; deliveries that it has written are sent."""
    return await _command(gateway, caller, scope, workspace, run_id, Wanted.CANCEL)


async def _command(
    gateway: TheGateway, caller: Caller, scope: Scope, workspace: str, run_id: str, wanted: Wanted
) -> RunOutput:
    owner = owner_for(caller, Operation.SEND_AGAIN)
    known = existing_run(await gateway.in_time(gateway.runs.view()), workspace, run_id)
    if owner is not None and not may_read(scope, known.run):
        raise NotFound(f"There is no run {run_id}.")
    return RunOutput.of(await gateway.in_time(gateway.runs.command(known, wanted, caller.id)))


def may_read(scope: ReadScope, run: Run) -> bool:
    """Whether a run is shown: to who reads its endpoint; over dead letters, to who asked for it in the workspace."""
    if run.kind in LETTER_KINDS:
        return scope.owns(run.owner)
    return scope.reads_endpoint(run.endpoint or "")
