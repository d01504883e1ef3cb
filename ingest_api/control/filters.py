"""Event filters: which events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from ingest_api.control.dependencies import (
    Caller,
    RepeatKey,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
    owned,
    owner_for,
)
from ingest_api.control.models import Change, Input, Name, Output, TypeName, example
from ingest_api.control.pages import Cursor, Limit, Page, page_of
from ingest_api.state import Gateway
from schemas.access import Client, Role
from schemas.errors import InvalidFilter, Problem
from schemas.subscription import EventFilter, TypeSelection

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


class TypeSelectionInput(Input):
    """An event type to select."""

    namespace: Annotated[TypeName, Field(description="`*` with code `*`: every type.")] = "events"
    code: Annotated[TypeName, Field(description="`*`: every type of the namespace.")]


class TypeSelectionOutput(BaseModel):
    """An event type that a filter selects."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    namespace: str
    code: str


class EventFilterInput(Input):
    """A filter to create."""

    model_config = example(
        name="Large offers",
        types=[{"code": "Offer"}],
        condition={"data": {"OfferAmount": [{"numeric": [">=", 400_000]}]}},
    )

    name: Name
    types: Annotated[tuple[TypeSelectionInput, ...], Field(min_length=1)]
    sources: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    identifiers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    condition: Annotated[
        dict[str, JsonValue] | None, Field(description="The filter language, over envelope and data.")
    ] = None


class EventFilterChange(Change, EventFilterInput):
    """What of a filter shall change."""

    model_config = example(condition=None)

    name: Name = ""
    types: Annotated[tuple[TypeSelectionInput, ...], Field(min_length=1)] = ()


class EventFilterOutput(Output):
    """Which events: AND across the members, OR within each."""

    id: str
    name: str
    types: tuple[TypeSelectionOutput, ...]
    sources: tuple[str, ...]
    channels: tuple[str, ...]
    identifiers: dict[str, tuple[str, ...]]
    condition: dict[str, JsonValue] | None

    @field_validator("condition", mode="before")
    @classmethod
    def _parse(cls, condition: object) -> object:
        return msgspec.json.decode(condition) if isinstance(condition, str) else condition


@router.get("/filters", summary="List event filters")
async def list_filters(
    readable: SubscribersReadable, limit: Limit = 100, cursor: Cursor = None
) -> Page[EventFilterOutput]:
    """One's own; for viewers and operators, those of the workspace."""
    return Page.of(EventFilterOutput, *page_of(readable.event_filters(), limit, cursor))


@router.post("/filters", status_code=201, summary="Create an event filter")
async def create_filter(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: EventFilterInput, key: RepeatKey = None
) -> EventFilterOutput:
    """A condition that cannot be compiled is refused with its position."""
    owner_for(caller, Role.SUBSCRIBER)
    with condition_errors():
        members = stored(body.model_dump())
        wanted = EventFilter(id="", workspace=workspace, client=caller.id, created_at=0, updated_at=0, **members)
        created = await gateway.routes.create_filter(wanted, key=key)
    return EventFilterOutput.model_validate(created)


@router.get("/filters/{filter_id}", summary="Get an event filter")
async def get_filter(readable: SubscribersReadable, filter_id: str) -> EventFilterOutput:
    """One's own, or any of the workspace for viewers and operators."""
    return EventFilterOutput.model_validate(existing(readable.event_filter(filter_id), f"filter {filter_id}"))


@router.patch("/filters/{filter_id}", summary="Change an event filter")
async def change_filter(
    gateway: TheGateway, caller: Caller, workspace: Workspace, filter_id: str, body: EventFilterChange
) -> EventFilterOutput:
    """Only the members sent change. Types that stay keep their start; a type that is added starts now."""
    await _filter(gateway, caller, workspace, filter_id)
    # Of a member that was sent all is said: a type without a namespace is one of ``events``.
    members = stored(body.model_dump(include=body.model_fields_set))
    with condition_errors():
        changed = await gateway.routes.update_filter(workspace, filter_id, **members)
    return EventFilterOutput.model_validate(changed)


@router.delete("/filters/{filter_id}", status_code=204, summary="Delete an event filter")
async def delete_filter(gateway: TheGateway, caller: Caller, workspace: Workspace, filter_id: str) -> None:
    """Its subscriptions go with it."""
    await _filter(gateway, caller, workspace, filter_id)
    await gateway.routes.delete_filter(workspace, filter_id)


async def _filter(gateway: Gateway, caller: Client, workspace: str, filter_id: str) -> EventFilter:
    owner = owner_for(caller, Role.SUBSCRIBER)
    found = (await gateway.view()).event_filter(filter_id)
    return owned(found, f"filter {filter_id}", workspace=workspace, owner=owner)


def stored(members: dict[str, Any]) -> dict[str, Any]:
    """The members as the catalog keeps them: the condition is JSON text."""
    if "types" in members:
        members["types"] = tuple(TypeSelection(**one) for one in members["types"])
    if members.get("condition") is not None:
        # What JSON cannot say (1e400 is read as infinite) keeps a name, which is refused; msgspec would make it a null.
        members["condition"] = json.dumps(members["condition"], ensure_ascii=False, separators=(",", ":"))
    return members


@contextlib.contextmanager
def condition_errors() -> Iterator[None]:
    """Positions inside the condition, as positions inside the request."""
    try:
        yield
    except InvalidFilter as error:
        places = [Problem(path=f"$.condition{one.path[1:]}", message=one.message) for one in error.problems]
        raise InvalidFilter(str(error), places) from error
