"""``/contract``: which actions are run for which events, and in which order."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from backbone.catalog.view import CatalogView
from families.eventhos.catalog.records import Action, Contract, Event, System, all_of, find, numbered
from families.eventhos.http.access import CREATED, needs
from families.eventhos.http.messages import (
    ANSWERS,
    Answer,
    Identifier,
    Input,
    Name,
    Pages,
    Text,
    contains,
    done,
    iso,
    success,
)
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import actions_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example

router = APIRouter(tags=["eventhos contracts"], responses=ERRORS)

Order = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Lower ones run first, equal ones together.")]


class ContractInput(Input):
    """A contract to create."""

    model_config = example(eventId=1, actionId=1, name="Paid orders to billing", identifier="order-paid-to-billing")

    event_id: Annotated[int, Field(alias="eventId")]
    action_id: Annotated[int, Field(alias="actionId")]
    name: Name
    identifier: Identifier
    order: Order = 1
    mail_recipients_on_error: Annotated[Text | None, Field(alias="mailRecipientsOnError")] = None


class ContractChange(Input):
    """What of a contract shall change."""

    name: Name | None = None
    active: bool | None = None
    order: Order | None = None
    mail_recipients_on_error: Annotated[Text | None, Field(alias="mailRecipientsOnError")] = None


class ContractOrder(Input):
    """A contract's place."""

    contract_id: Annotated[int, Field(alias="contractId")]
    order: Order


class ContractOrders(Input):
    """The places of contracts."""

    orders: tuple[ContractOrder, ...]


@router.post(
    "/contract", status_code=201, summary="Create a contract", dependencies=needs("contract:create"), **ANSWERS
)
async def create_contract(gateway: TheGateway, body: ContractInput) -> Answer:
    """Its action is run for every event that is sent from now on. The answer calls the contract's id ``actionId``."""
    made = await gateway.in_time(
        actions_of(gateway).create_contract(
            event_id=body.event_id,
            action_id=body.action_id,
            identifier=body.identifier,
            order=body.order,
            name=body.name,
            mail_recipients_on_error=body.mail_recipients_on_error,
        )
    )
    return success({"actionId": made.id}, code=CREATED)


@router.get("/contract", summary="List contracts", dependencies=needs("contract:select"), **ANSWERS)
async def list_contracts(
    gateway: TheGateway,
    pages: Pages,
    wordSearch: str | None = None,  # noqa: N803  # the original's name
) -> Answer:
    """All, or those with a word in their name or in what they link."""
    view = await gateway.view()
    rows = [_joined(view, each) for each in all_of(view, Contract)]
    return success(pages.of([row for row in rows if any(contains(row[name], wordSearch) for name in _SEARCHED)]))


@router.put(
    "/contract/order", status_code=201, summary="Order contracts", dependencies=needs("contract:update"), **ANSWERS
)
async def order_contracts(gateway: TheGateway, body: ContractOrders) -> Answer:
    """All of them or none."""
    orders = [(each.contract_id, each.order) for each in body.orders]
    await gateway.in_time(actions_of(gateway).order_contracts(orders))
    return done()


@router.put(
    "/contract/{contract_id}",
    status_code=201,
    summary="Change a contract",
    dependencies=needs("contract:update"),
    **ANSWERS,
)
async def change_contract(gateway: TheGateway, contract_id: int, body: ContractChange) -> Answer:
    """What is left out stays; one that is not active is not run."""
    await gateway.in_time(actions_of(gateway).update_contract(contract_id, **body.changes()))
    return done()


@router.delete(
    "/contract/{contract_id}",
    status_code=201,
    summary="Delete a contract",
    dependencies=needs("contract:delete"),
    **ANSWERS,
)
async def delete_contract(gateway: TheGateway, contract_id: int) -> Answer:
    """What it has run is still shown."""
    await gateway.in_time(actions_of(gateway).delete_contract(contract_id))
    return done()


@router.get(
    "/contract/event/{event_id}",
    summary="List the contracts of an event",
    dependencies=needs("contract:select"),
    **ANSWERS,
)
async def list_event_contracts(gateway: TheGateway, event_id: int) -> Answer:
    """In the order in which they are run."""
    return success(_rows(await gateway.view(), event_id, None))


@router.get(
    "/contract/event/{event_id}/action/{action_id}",
    summary="List the contracts of an event and an action",
    dependencies=needs("contract:select"),
    **ANSWERS,
)
async def list_event_action_contracts(gateway: TheGateway, event_id: int, action_id: int) -> Answer:
    """In the order in which they are run."""
    return success(_rows(await gateway.view(), event_id, action_id))


_SEARCHED = ("name", "producerName", "eventIdentifier", "consumerName", "actionIdentifier")


def _rows(view: CatalogView, event_id: int, action_id: int | None) -> list[dict[str, Any]]:
    """Contracts as the original's table has them."""
    found = all_of(view, Contract, lambda each: each.event_id == event_id and action_id in (None, each.action_id))
    return [
        {
            "id": each.id,
            "identifier": each.identifier,
            "name": each.name,
            "event_id": each.event_id,
            "action_id": each.action_id,
            "order": each.order,
            "active": each.active,
            "deleted": each.deleted,
            "mail_recipients_on_error": each.mail_recipients_on_error,
            "created_at": iso(each.created_at),
            "updated_at": iso(each.updated_at),
        }
        for each in sorted(found, key=lambda each: (each.order, each.id))
    ]


def _joined(view: CatalogView, contract: Contract) -> dict[str, Any]:
    """A contract with the names of what it links."""
    event, action = find(view, Event, contract.event), numbered(view, Action, contract.action_id)
    producer = None if event is None else numbered(view, System, event.system_id)
    consumer = None if action is None else numbered(view, System, action.system_id)
    return {
        "id": contract.id,
        "identifier": contract.identifier,
        "name": contract.name,
        "active": contract.active,
        "order": contract.order,
        "eventId": contract.event_id,
        "actionId": contract.action_id,
        "producerName": producer and producer.name,
        "consumerName": consumer and consumer.name,
        "eventIdentifier": contract.event,
        "actionIdentifier": action and action.identifier,
        "mailRecipientsOnError": contract.mail_recipients_on_error,
    }
