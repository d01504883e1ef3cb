"""Quotas: how much clients and workspaces may publish in a second, and where that binds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backbone.catalog.accounts import existing_client, existing_workspace
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Readable, TheGateway, Workspace
from ingest_api.management.models import Input, example
from ingest_api.management.pages import Cursor, Limit, Page, encode_model, page_answer
from ingest_api.quotas.bucket import CLIENT, WORKSPACE, Bucket
from schemas.model import access
from schemas.model.quota import Quota, QuotaKind
from schemas.security.permissions import Operation, check, check_may_grant_roles
from schemas.security.reading import reads_workspace

router = APIRouter(tags=["Workspaces, clients and keys"])

_HIGHEST = 1_000_000_000_000

Rate = Annotated[
    Literal["unlimited"] | Annotated[int, Field(ge=1, le=_HIGHEST, strict=True)] | None,
    Field(description="A second. Null, or left out: the installation's, which may be none."),
]


class QuotaInput(Input):
    """Most requests, events and bytes of bodies a second. It replaces what was set before."""

    model_config = example(events=500, bytes="unlimited")

    requests: Rate = None
    events: Rate = None
    bytes: Rate = None

    def quota(self) -> Quota:
        """As the catalog keeps it."""
        return Quota(requests=self.requests, events=self.events, bytes=self.bytes)


class LimitOutput(BaseModel):
    """One limit, and how it stands on the machine that answers."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    per_second: int
    most_at_once: Annotated[int, Field(description="A request with more is refused with 413.")]
    available: Annotated[float, Field(description="What could be published now.")]
    refused: Annotated[int, Field(description="Requests that were refused with 429, up to ten minutes after the last.")]
    refused_seconds_ago: Annotated[float | None, Field(description="Since the last of them; null: there was none.")]


class QuotaOutput(BaseModel):
    """What limits a client or a workspace; null is no limit."""

    model_config = ConfigDict(frozen=True)

    scope: Literal["client", "workspace"]
    workspace: str
    client: str | None
    name: str
    requests: LimitOutput | None = None
    events: LimitOutput | None = None
    bytes: LimitOutput | None = None


@router.get("/quotas", summary="List quotas, and where they bind", response_model=Page[QuotaOutput])
async def list_quotas(
    gateway: TheGateway,
    caller: Caller,
    readable: Readable,
    workspace: Workspace,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Of the workspace and its clients; for a client that does not read the workspace, its own.

    Figures are those of the machine that answers: each machine of several has the whole limit, and counts for itself.
    """
    listed: list[access.Workspace | access.Client] = list(readable.clients())
    if reads_workspace(caller):
        listed.append(existing_workspace(await gateway.view(), workspace))
    return await page_answer(
        gateway.slices, "quotas", lambda one: encode_model(_shown(gateway, one)), listed, limit, cursor
    )


@router.put("/quotas/clients/{client_id}", summary="Set a client's quota")
async def set_client_quota(
    gateway: TheGateway, caller: Caller, workspace: Workspace, client_id: str, body: QuotaInput
) -> QuotaOutput:
    """For operators; only an administrator limits administrators. It holds at once, on every worker."""
    check(caller, Operation.MANAGE_CLIENTS)
    check_may_grant_roles(caller, existing_client(await gateway.view(), workspace, client_id).roles)
    return _shown(gateway, await gateway.catalog_quotas.set_client(workspace, client_id, body.quota()))


@router.put("/quotas/workspaces/{name:path}", summary="Set a workspace's quota")
async def set_workspace_quota(gateway: TheGateway, caller: Caller, name: str, body: QuotaInput) -> QuotaOutput:
    """For administrators: what all clients of the workspace may publish together."""
    check(caller, Operation.MANAGE_WORKSPACES)
    return _shown(gateway, await gateway.catalog_quotas.set_workspace(name, body.quota()))


def _shown(gateway: Gateway, one: access.Workspace | access.Client) -> QuotaOutput:
    if isinstance(one, access.Client):
        limits = _limits(gateway, gateway.quotas.of_client(one.unique_id))
        return QuotaOutput(scope=CLIENT, workspace=one.workspace, client=one.id, name=one.name, **limits)
    limits = _limits(gateway, gateway.quotas.of_workspace(one.name))
    return QuotaOutput(scope=WORKSPACE, workspace=one.name, client=None, name=one.name, **limits)


def _limits(gateway: Gateway, buckets: Sequence[Bucket]) -> dict[str, LimitOutput]:
    most: dict[QuotaKind, int] = {bucket.kind: int(bucket.most) for bucket in buckets}
    return {
        kind.value: LimitOutput(
            per_second=standing.limit,
            most_at_once=most[kind],
            available=standing.available,
            refused=standing.refused,
            refused_seconds_ago=standing.refused_seconds_ago,
        )
        for kind, standing in gateway.quotas.standing(buckets).items()
    }
