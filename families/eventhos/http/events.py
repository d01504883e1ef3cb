"""``/event``: the kinds of events that systems send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match

from families.eventhos.catalog.records import Event, Refused, all_of
from families.eventhos.http.access import CREATED, UNREADABLE, needs
from families.eventhos.http.messages import (
    ANSWERS,
    Answer,
    Identifier,
    Input,
    Name,
    Pages,
    Said,
    Text,
    contains,
    done,
    iso,
    success,
)
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import systems_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example

if TYPE_CHECKING:
    from starlette.types import Scope


class _Numbered(APIRoute):
    """A route whose path holds a number, which not every run of digits is: Python reads no more than 4,300 of them."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Not a path with more."""
        try:
            return super().matches(scope)
        except ValueError:
            return Match.NONE, {}


router = APIRouter(tags=["eventhos events"], responses=ERRORS, route_class=_Numbered)


class EventInput(Input):
    """An event to create."""

    model_config = example(system_id=1, identifier="order-paid", name="Order paid", operation="new")

    system_id: int
    identifier: Identifier
    name: Name
    operation: Text | None = None
    description: Text | None = None


class EventChange(Input):
    """What of an event shall change; ``id`` where the path does not say which."""

    id: int | None = None
    name: Name | None = None
    operation: Text | None = None
    description: Text | None = None


class EventId(Input):
    """Which event."""

    id: int | None = None


@router.post("/event", status_code=201, summary="Create an event", dependencies=needs("event:create"), **ANSWERS)
async def create_event(gateway: TheGateway, body: EventInput) -> Answer:
    """Ten random characters are added to the identifier; what comes of it is sent with and is in the list."""
    made = await gateway.in_time(
        systems_of(gateway).create_event(
            body.system_id,
            body.identifier,
            name=body.name,
            operation=body.operation or "",
            description=body.description or "",
        )
    )
    return success({"eventId": made.id}, code=CREATED)


@router.get("/event", summary="List events", dependencies=needs("event:select"), **ANSWERS)
async def list_events(
    gateway: TheGateway,
    pages: Pages,
    systemId: Annotated[int | None, Said] = None,  # noqa: N803  # the document's name
    eventName: str | None = None,  # noqa: N803  # likewise
) -> Answer:
    """All, or those of a system, or with a part of a name."""
    found = all_of(
        await gateway.view(),
        Event,
        lambda each: systemId in (None, each.system_id) and contains(each.name, eventName),
    )
    return success(pages.of([event_row(each) for each in found]))


@router.put("/event", status_code=201, summary="Change an event", dependencies=needs("event:update"), **ANSWERS)
async def change_event_by_query(gateway: TheGateway, body: EventChange, id: int | None = None) -> Answer:  # noqa: A002  # the document's name
    """The event's id is in the query or in the body."""
    return await change_event(gateway, _which(id, body.id), body)


@router.put(
    "/event/{event_id:int}", status_code=201, summary="Change an event", dependencies=needs("event:update"), **ANSWERS
)
async def change_event(gateway: TheGateway, event_id: int, body: EventChange) -> Answer:
    """Its name, operation or description; what is left out stays, and so does the identifier."""
    changed = {name: value for name, value in body.changes().items() if name != "id"}
    await gateway.in_time(systems_of(gateway).update_event(event_id, **changed))
    return done()


@router.delete("/event", status_code=201, summary="Delete an event", dependencies=needs("event:delete"), **ANSWERS)
async def delete_event_by_query(
    gateway: TheGateway,
    id: int | None = None,  # noqa: A002  # the document's name
    body: EventId | None = None,
) -> Answer:
    """The event's id is in the query or in the body."""
    return await delete_event(gateway, _which(id, None if body is None else body.id))


@router.delete(
    "/event/{event_id:int}", status_code=201, summary="Delete an event", dependencies=needs("event:delete"), **ANSWERS
)
async def delete_event(gateway: TheGateway, event_id: int) -> Answer:
    """One without contracts. It cannot be sent any more; its topic and what was received stay."""
    await gateway.in_time(systems_of(gateway).delete_event(event_id))
    return done()


def event_row(event: Event) -> dict[str, Any]:
    """An event as the original's table has it."""
    return {
        "id": event.id,
        "system_id": event.system_id,
        "identifier": event.identifier,
        "name": event.name,
        "operation": event.operation,
        "description": event.description,
        "deleted": event.deleted,
        "created_at": iso(event.created_at),
        "updated_at": iso(event.updated_at),
    }


def _which(in_query: int | None, in_body: int | None) -> int:
    found = in_body if in_query is None else in_query
    if found is None:
        raise Refused(UNREADABLE, "id: which event is not said")
    return found
