"""The catalog as a YAML file: exported, compared with what is there, imported."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from backbone.catalog.differences import Named
from backbone.catalog.transfer.importing import Transfer
from backbone.catalog.transfer.plan import Plan, Scope
from families.headrace.http.audit import FieldOutput
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, TheGateway
from schemas.model.access import Client
from schemas.model.audit import AuditAction
from schemas.model.errors import InvalidRequest, Problem
from schemas.security.permissions import Operation, check

router = APIRouter(tags=["Export and import"])

_YAML = "application/yaml"
_EXAMPLE = "headrace: 1\nworkspaces:\n- id: 0190f0a0-0000-7000-8000-000000000001\n  name: acme\n"

Everything = Annotated[bool, Query(alias="all", description="All workspaces, not the caller's own or `workspace`.")]
GivenWorkspace = Annotated[str | None, Query(description="Another workspace than the caller's own.")]


class NamedOutput(BaseModel):
    """What a resource is called."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    kind: str
    id: str
    name: str
    workspace: str


class DifferenceOutput(NamedOutput):
    """A resource that the import changes."""

    action: AuditAction
    fields: tuple[FieldOutput, ...]


class MissingOutput(NamedOutput):
    """A secret that the file does not have, and that has to be set."""

    what: str
    how: str


class ImportOutput(BaseModel):
    """What an import changed, or would change."""

    dry_run: bool
    changes: list[DifferenceOutput]
    unchanged: int
    must_be_set: list[MissingOutput]
    warnings: list[str]


@router.get(
    "/export",
    summary="Export the catalog",
    response_class=Response,
    responses={200: {"description": "The file.", "content": {_YAML: {"schema": {"type": "string"}}}}},
)
async def export(
    gateway: TheGateway,
    caller: Caller,
    workspace: GivenWorkspace = None,
    *,
    everything: Everything = False,
    sealed: Annotated[bool, Query(description="With secrets, encrypted with HEADRACE_SECRET_KEYS.")] = False,
) -> Response:
    """For administrators. A workspace as YAML, or all of them: the same catalog is always the same file.

    Secrets and API keys are left out; `sealed` has them encrypted, for an installation with the same secret keys.
    """
    check(caller, Operation.TRANSFER)
    place = _place(caller, workspace, everything=everything)
    if place is not None:
        await gateway.workspace(caller, place)
    catalog = gateway.kept(transfer)
    await gateway.in_time(catalog.caught_up())
    text = await catalog.export(place, sealed=sealed)
    return Response(text, media_type=_YAML)


@router.post("/import", summary="Import the catalog")
async def import_(
    gateway: TheGateway,
    caller: Caller,
    body: Annotated[bytes, Body(media_type=_YAML, examples=[_EXAMPLE])],
    workspace: GivenWorkspace = None,
    *,
    everything: Everything = False,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
    prune: Annotated[
        bool,
        Query(description="Delete what the file does not have, of the kinds that have a section in it."),
    ] = False,
) -> ImportOutput:
    """For administrators. All of the file in one transaction, or nothing; the same again changes nothing.

    The body is a file of `/export`, or one like it: at most 4,000,000 bytes of records. Topics of new event types are
    created. `must_be_set` lists the secrets that the file does not have and the catalog neither. 409 when subscriptions
    would lose their filter or endpoint, or when the file is sealed with other secret keys.
    """
    check(caller, Operation.TRANSFER)
    place = _place(caller, workspace, everything=everything)
    scope = Scope(workspace=place, prune=prune)
    catalog = gateway.kept(transfer)
    await gateway.in_time(catalog.caught_up())
    prepared = await catalog.plan(body, scope)
    if dry_run:
        return _output(prepared.planned, dry_run=True)
    return _output(await gateway.in_time(catalog.carry_out(prepared)), dry_run=False)


def transfer(gateway: Gateway) -> Transfer:
    """Make what exports and imports in a worker."""
    return Transfer(gateway.catalog, gateway.writer, gateway.event_types.event_topics, gateway.secrets)


def _place(caller: Client, workspace: str | None, *, everything: bool) -> str | None:
    if not everything:
        return workspace or caller.workspace
    if workspace is not None:
        problem = Problem(path="all", message="does not go together with workspace")
        raise InvalidRequest("The request is not valid.", [problem])
    return None


def _output(planned: Plan, *, dry_run: bool) -> ImportOutput:
    def members(name: Named, **more: Any) -> dict[str, Any]:
        return {**name._asdict(), **more}

    return ImportOutput(
        dry_run=dry_run,
        changes=[
            DifferenceOutput(**members(each.name, action=each.action, fields=each.fields))
            for each in planned.differences
        ],
        unchanged=planned.unchanged,
        must_be_set=[MissingOutput(**members(each.name, what=each.what, how=each.how)) for each in planned.missing],
        warnings=planned.warnings,
    )
