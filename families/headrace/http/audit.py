"""The audit log: who changed what in the catalog, and when."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backbone.catalog.audit_log import AuditPage, AuditQuery, audit_page
from backbone.thread_turns import ThreadTurns
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, TheGateway, Workspace
from ingest_api.management.models import Instant, Time
from ingest_api.management.pages import Cursor, Page, encode_model, items_answer
from schemas.model.access import Role
from schemas.model.audit import AuditAction
from schemas.model.cursors import read_cursor, write_cursor
from schemas.security.permissions import require

router = APIRouter(tags=["Audit log"])

_AT_ONCE = 2
"""Reads of one worker; each has a Kafka consumer and a thread of its own."""

_MOST_ENTRIES = 1_000
_LIST = "audit"


class ActorOutput(BaseModel):
    """The client that asked for a change, as it was called then."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    client: str
    workspace: str
    name: str


class FieldOutput(BaseModel):
    """A field that changed. Both values are null where it may hold a secret."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    name: str
    before: Any = None
    after: Any = None


class AuditOutput(BaseModel):
    """A change of one resource of the catalog."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    at: Time
    actor: Annotated[ActorOutput | None, Field(description="null: the gateway itself, such as when it started.")]
    action: AuditAction
    kind: Annotated[str, Field(description="As in the catalog: `client`, `endpoint`, `event_type`, …")]
    id: str
    name: str
    workspace: str
    write: Annotated[str, Field(description="Changes with the same one happened together.")]
    fields: tuple[FieldOutput, ...]


class AuditReads:
    """Reads of the audit log in one worker, a few at a time.

    Args:
        gateway: of the worker.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turns = ThreadTurns()
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def page(self, query: AuditQuery, limit: int, before: int | None) -> AuditPage:
        """Return a page of entries.

        Raises:
            Unavailable: Kafka does not answer in a request's time.
        """
        settings = self._gateway.settings
        await self._gateway.in_time(self._free.acquire())
        try:
            return await asyncio.to_thread(
                audit_page,
                settings.kafka,
                self._gateway.catalog.authenticity,
                query,
                limit=limit,
                before=before,
                seconds=settings.request_timeout,
                turns=self._turns,
            )
        finally:
            self._free.release()


@router.get("/audit", summary="List who changed what", response_model=Page[AuditOutput])
async def list_audit(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    *,
    since: Annotated[Instant | None, Query(description="Changed then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Changed before.")] = None,
    actor: Annotated[str | None, Query(description="Changed by the client with this id.")] = None,
    kind: Annotated[str | None, Query(description="Of the resource.")] = None,
    id: Annotated[str | None, Query(description="Of the resource.")] = None,  # noqa: A002  # the parameter's name
    limit: Annotated[int, Query(ge=1, le=_MOST_ENTRIES)] = 100,
    cursor: Cursor = None,
) -> Response:
    """The latest first, for operators, as long as Kafka keeps it (`HEADRACE_AUDIT_RETENTION`).

    Values are shown of fields that hold no secret. A page may have fewer entries than `limit` and still a
    `next_cursor`: it ended early because it had looked at many.
    """
    require(caller, Role.OPERATOR)
    before = None if cursor is None else read_cursor(_LIST, cursor, tuple[int])[0]
    query = AuditQuery(workspace, since, until, actor, kind, id)
    page = await gateway.kept(AuditReads).page(query, limit, before)
    following = None if page.following is None else write_cursor(_LIST, (page.following,))

    return await items_answer(
        gateway.slices, lambda entry: encode_model(AuditOutput.model_validate(entry)), page.entries, following
    )
