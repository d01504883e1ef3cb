"""Event filters: which events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from backbone.catalog.operational_types import have_operational_types
from families.headrace.http.filter_checks import filter_warnings
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import (
    Caller,
    RepeatKey,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
    owned,
)
from ingest_api.management.models import Change, Input, Name, Output, TypeName, example
from ingest_api.management.pages import Cursor, Limit, Page, page_answer
from schemas.filters.conditions import compile_condition
from schemas.filters.fields import LATEST_VERSION
from schemas.model.access import Client
from schemas.model.endpoint import EventFilter, TypeSelection
from schemas.model.errors import InvalidFilter, Problem
from schemas.model.operational_event import NAMESPACE
from schemas.security.permissions import Operation, check, owner_for, owner_in

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
    version: Annotated[
        Literal[1, 2],
        Field(description="Of the filter language. In 2 `source` is the CloudEvents source, in 1 the client."),
    ] = LATEST_VERSION
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
    version: int
    types: tuple[TypeSelectionOutput, ...]
    sources: tuple[str, ...]
    channels: tuple[str, ...]
    identifiers: dict[str, tuple[str, ...]]
    condition: dict[str, JsonValue] | None


class SavedFilter(EventFilterOutput):
    """A filter that was just created or changed."""

    warnings: Annotated[
        tuple[str, ...],
        Field(description="Event types and attributes that there are not: what names them matches nothing."),
    ] = ()


async def _written(request: Request) -> str | None:
    """The condition as its text in the request has it: a reader of JSON would round its numbers."""
    try:
        members = msgspec.json.decode(await request.body(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None  # not JSON in the strict sense (NaN): the reader of the condition says so
    found = members.get("condition")
    return None if found is None else msgspec.json.format(bytes(found), indent=-1).decode()


Written = Annotated[str | None, Depends(_written)]


@router.get("/filters", summary="List event filters", response_model=Page[EventFilterOutput])
async def list_filters(
    gateway: TheGateway, readable: SubscribersReadable, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """One's own; for viewers and operators, those of the workspace."""

    def encode(one: EventFilter) -> bytes:
        return msgspec.json.encode(_shown(one))

    return await page_answer(gateway.slices, "filters", encode, readable.event_filters(), limit, cursor)


@router.post("/filters", status_code=201, summary="Create an event filter", response_model=SavedFilter)
async def create_filter(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    body: EventFilterInput,
    written: Written,
    key: RepeatKey = None,
) -> Response:
    """A condition that cannot be compiled, or that looks at attributes that no type has, is refused with its position.

    `warnings` names what does not exist yet.
    """
    check(caller, Operation.CHANGE_ROUTES)
    with condition_errors():
        members = stored(body.model_dump(), written)
        owner = owner_in(workspace, caller)
        wanted = EventFilter(id="", workspace=workspace, client=owner, created_at=0, updated_at=0, **members)
        _check_condition(wanted.condition, wanted.version)
    await _have_operational(gateway, workspace, wanted.types)
    warnings = filter_warnings(await gateway.view(), workspace, wanted.types, wanted.condition)
    repeated = None if key is None else (caller.unique_id, key)
    created = await gateway.routes.create_filter(wanted, key=repeated)
    return _answer(_shown(created) | {"warnings": warnings}, 201)


@router.get("/filters/{filter_id}", summary="Get an event filter", response_model=EventFilterOutput)
async def get_filter(readable: SubscribersReadable, filter_id: str) -> Response:
    """One's own, or any of the workspace for viewers and operators."""
    return _answer(_shown(existing(readable.event_filter(filter_id), f"filter {filter_id}")))


@router.patch("/filters/{filter_id}", summary="Change an event filter", response_model=SavedFilter)
async def change_filter(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    filter_id: str,
    body: EventFilterChange,
    written: Written,
) -> Response:
    """Only the members sent change. Types that stay keep their start; a type that is added starts now.

    `warnings` names types and attributes that do not exist yet.

    The version of the filter language stays unless `version` is sent: a filter of version 1 goes on comparing `source`
    with clients, also in a condition that is new.
    """
    found = await _filter(gateway, caller, workspace, filter_id)
    # Of a member that was sent all is said: a type without a namespace is one of ``events``.
    members = stored(body.model_dump(include=body.model_fields_set), written)
    types, condition = members.get("types", found.types), members.get("condition", found.condition)
    if not members.keys().isdisjoint(("condition", "version")):
        with condition_errors():
            _check_condition(condition, members.get("version", found.version))
    await _have_operational(gateway, workspace, types)
    warnings = filter_warnings(await gateway.view(), workspace, types, condition)
    with condition_errors():
        changed = await gateway.routes.update_filter(workspace, filter_id, **members)
    return _answer(_shown(changed) | {"warnings": warnings})


@router.delete("/filters/{filter_id}", status_code=204, summary="Delete an event filter")
async def delete_filter(gateway: TheGateway, caller: Caller, workspace: Workspace, filter_id: str) -> None:
    """Its subscriptions go with it."""
    await _filter(gateway, caller, workspace, filter_id)
    await gateway.routes.delete_filter(workspace, filter_id)


async def _have_operational(gateway: Gateway, workspace: str, types: Sequence[TypeSelection]) -> None:
    """Make the types of operational events for the first who asks for them."""
    if any(each.namespace == NAMESPACE for each in types):
        await gateway.in_time(have_operational_types(gateway.catalog, gateway.event_types, workspace))


def _check_condition(condition: str | None, version: int) -> None:
    if condition is not None:
        compile_condition(condition, version)


async def _filter(gateway: Gateway, caller: Client, workspace: str, filter_id: str) -> EventFilter:
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    found = (await gateway.view()).event_filter(filter_id)
    return owned(found, f"filter {filter_id}", workspace=workspace, owner=owner)


def stored(members: dict[str, Any], written: str | None) -> dict[str, Any]:
    """The members as the catalog keeps them: the condition is JSON text, with its numbers as they were written."""
    if "types" in members:
        members["types"] = tuple(TypeSelection(**one) for one in members["types"])
    if members.get("condition") is not None:
        # What JSON cannot say (NaN) keeps a name, which is refused; msgspec would make it a null.
        text = json.dumps(members["condition"], ensure_ascii=False, separators=(",", ":"))
        members["condition"] = text if written is None else written
    return members


def _shown(event_filter: EventFilter) -> dict[str, Any]:
    """The answer's members; the condition goes out as its text is."""
    members = {name: getattr(event_filter, name) for name in EventFilterOutput.model_fields}
    shown = EventFilterOutput.model_validate(members | {"condition": None}).model_dump(mode="json")
    if event_filter.condition is not None:
        shown["condition"] = msgspec.Raw(event_filter.condition.encode())
    return shown


def _answer(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


@contextlib.contextmanager
def condition_errors() -> Iterator[None]:
    """Positions inside the condition, as positions inside the request."""
    try:
        yield
    except InvalidFilter as error:
        places = [Problem(path=f"$.condition{one.path[1:]}", message=one.message) for one in error.problems]
        raise InvalidFilter(str(error), places) from error
