"""``/system``: the applications that produce events or consume them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from backbone.catalog.view import CatalogView
from families.eventhos.catalog.records import Account, Action, Event, System, all_of, existing_system, find
from families.eventhos.http.access import CREATED, needs
from families.eventhos.http.actions import action_row
from families.eventhos.http.events import event_row
from families.eventhos.http.messages import (
    ANSWERS,
    Answer,
    Identifier,
    Input,
    Name,
    Pages,
    Said,
    Text,
    done,
    iso,
    success,
)
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import systems_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example

router = APIRouter(tags=["eventhos systems"], responses=ERRORS)


class SystemClass(StrEnum):
    """What a system does."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    HYBRID = "hybrid"


class SystemInput(Input):
    """A system to create."""

    model_config = example(identifier="shop", name="Shop", systemClass="producer")

    identifier: Identifier
    name: Name
    system_class: Annotated[SystemClass, Field(alias="systemClass")]
    type: Text = ""
    client_id: Annotated[int | None, Field(alias="clientId", description="The integer id of a client.")] = None
    description: Text | None = None


class SystemChange(Input):
    """What of a system shall change."""

    name: Name | None = None
    system_class: Annotated[SystemClass | None, Field(alias="systemClass")] = None
    type: Text | None = None
    client_id: Annotated[int | None, Field(alias="clientId")] = None
    description: Text | None = None


@router.post("/system", status_code=201, summary="Create a system", dependencies=needs("system:create"), **ANSWERS)
async def create_system(gateway: TheGateway, body: SystemInput) -> Answer:
    """With a client, the system's events can be sent."""
    made = await gateway.in_time(
        systems_of(gateway).create_system(
            client_id=body.client_id,
            identifier=body.identifier,
            name=body.name,
            system_class=body.system_class.value,
            type=body.type,
            description=body.description or "",
        )
    )
    return success({"systemId": made.id}, code=CREATED, message="New system created")


@router.get("/system", summary="List systems", dependencies=needs("system:select"), **ANSWERS)
async def list_systems(
    gateway: TheGateway,
    pages: Pages,
    systemClass: Annotated[SystemClass | None, Said] = None,  # noqa: N803  # the document's name
) -> Answer:
    """Those of a class, and the hybrid ones; without a class all."""
    view = await gateway.view()
    wanted = {systemClass, SystemClass.HYBRID}
    found = all_of(view, System, lambda each: systemClass is None or each.system_class in wanted)
    return success(pages.of([system_row(view, each) for each in found]))


@router.get("/system/{system_id}", summary="Get a system", dependencies=needs("system:select"), **ANSWERS)
async def get_system(gateway: TheGateway, system_id: int) -> Answer:
    """As it was registered."""
    view = await gateway.view()
    return success(system_row(view, existing_system(view, system_id)))


@router.get(
    "/system/{system_id}/events", summary="List the events of a system", dependencies=needs("system:select"), **ANSWERS
)
async def list_system_events(gateway: TheGateway, system_id: int) -> Answer:
    """All of them, in one list."""
    view = await gateway.view()
    existing_system(view, system_id)
    return success([event_row(each) for each in all_of(view, Event, lambda each: each.system_id == system_id)])


@router.get(
    "/system/{system_id}/actions",
    summary="List the actions of a system",
    dependencies=needs("system:select"),
    **ANSWERS,
)
async def list_system_actions(gateway: TheGateway, system_id: int) -> Answer:
    """All of them, in one list."""
    view = await gateway.view()
    existing_system(view, system_id)
    return success([action_row(each) for each in all_of(view, Action, lambda each: each.system_id == system_id)])


@router.put(
    "/system/{system_id}", status_code=201, summary="Change a system", dependencies=needs("system:update"), **ANSWERS
)
async def change_system(gateway: TheGateway, system_id: int, body: SystemChange) -> Answer:
    """What is left out stays; a ``clientId`` of null takes its client away."""
    changed = {name: value for name, value in body.given().items() if name == "client_id" or value not in (None, "")}
    if "description" in body.model_fields_set:
        changed["description"] = body.description or ""
    await gateway.in_time(systems_of(gateway).update_system(system_id, **changed))
    return done()


@router.delete(
    "/system/{system_id}", status_code=201, summary="Delete a system", dependencies=needs("system:delete"), **ANSWERS
)
async def delete_system(gateway: TheGateway, system_id: int) -> Answer:
    """One that has neither events nor actions."""
    await gateway.in_time(systems_of(gateway).delete_system(system_id))
    return done()


def system_row(view: CatalogView, system: System) -> dict[str, Any]:
    """A system as the original's table has it."""
    account = None if system.client is None else find(view, Account, system.client)
    return {
        "id": system.id,
        "identifier": system.identifier,
        "name": system.name,
        "class": system.system_class,
        "type": system.type,
        "client_id": None if account is None else account.id,
        "description": system.description,
        "deleted": system.deleted,
        "created_at": iso(system.created_at),
        "updated_at": iso(system.updated_at),
    }
