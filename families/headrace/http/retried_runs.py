"""Going on with runs that ended before their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from backbone.runs.requests import existing_run
from families.headrace.http.replays import sendable
from families.headrace.http.runs import RunOutput, may_read
from families.headrace.http.subscriptions import backfill_id
from ingest_api.management.dependencies import Caller, Scope, TheGateway, Workspace
from schemas.model.errors import Conflict, NotFound
from schemas.model.run import Run, RunKind
from schemas.security.permissions import Operation, owner_for

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView

router = APIRouter(tags=["Sending again"])


@router.post("/runs/{run_id}/retry", summary="Go on with a run that failed or was cancelled")
async def retry_run(gateway: TheGateway, caller: Caller, scope: Scope, workspace: Workspace, run_id: str) -> RunOutput:
    """It goes on where it ended: nothing that it has written is written again.

    409 while it has not ended, when it is `DONE`, and while its endpoint is disabled. So is a backfill whose endpoint
    or subscription was enabled or linked again since: what it leaves out as matched live has changed. Replay then.
    """
    owner = owner_for(caller, Operation.SEND_AGAIN)
    known = existing_run(await gateway.in_time(gateway.runs.view()), workspace, run_id)
    if owner is not None and not may_read(scope, known.run):
        raise NotFound(f"There is no run {run_id}.")
    if known.run.endpoint is not None:
        await sendable(gateway, caller, workspace, known.run.endpoint)
    if known.run.kind is RunKind.BACKFILL:
        check_complement(await gateway.view(), known.run)
    return RunOutput.of(await gateway.in_time(gateway.runs.retry(known, caller.id)))


def check_complement(view: CatalogView, run: Run) -> None:
    """Refuse to go on with a backfill whose subscriptions count from later than when it was made.

    Raises:
        Conflict: with what to do instead.
    """
    linked = view.subscriptions_of(run.endpoint or "")
    if run.held_since is None:
        is_same = any(backfill_id(each, run.origin) == run.id for each in linked)
    else:
        is_same = any((each.linked_at or 0) <= run.created_at for each in linked)
    if not is_same:
        raise Conflict(
            f"What the run {run.id} sends was linked or enabled again since. "
            f"Replay the endpoint {run.endpoint} from {run.origin} instead."
        )
