"""The types of the event-service GraphQL schema, as its document prints them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NewType

import msgspec
import strawberry
from strawberry.scalars import JSON
from strawberry.types.nodes import SelectedField

from backbone.catalog.readable import ReadableCatalog
from backbone.catalog.view import CatalogView
from families.event_service import model
from families.event_service.catalog.links import as_given
from families.event_service.delivery.output import date_text
from ingest_api.gateway import Gateway
from schemas.model import timestamps
from schemas.model.access import Client
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter
from schemas.model.errors import InvalidRequest
from schemas.model.resources import encode_resource
from schemas.security.budget import AnswerBudget
from schemas.security.reading import ReadScope

DateTime = NewType("DateTime", int)
"""Microseconds since the epoch; in answers ``2024-05-22T08:55:23.460103+00:00``."""


def _parse_date(value: object) -> DateTime:
    try:
        return DateTime(timestamps.parse(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise InvalidRequest(f"DateTime cannot represent {value!r}: {error}") from error


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="An instant in ISO 8601 with an offset; answers have microseconds and +00:00.",
    serialize=date_text,
    parse_value=_parse_date,
)


@dataclass(frozen=True)
class Context:
    """What the resolvers of one request work with.

    Attributes:
        gateway: of this worker.
        client: who calls.
        key: the request's idempotency key.
        operation_name: the operation of the document that is asked for, if any is named.
        budget: of the answer.
    """

    gateway: Gateway
    client: Client
    key: str | None = None
    operation_name: str | None = None
    budget: AnswerBudget = field(default_factory=AnswerBudget)

    @property
    def workspace(self) -> str:
        """The name of the workspace that the request is about: the client's."""
        return self.client.workspace

    @property
    def scope(self) -> ReadScope:
        """What the client may read.

        Raises:
            PermissionDenied: it has no role.
        """
        return self.gateway.read_scope(self.client)

    def readable(self, view: CatalogView) -> ReadableCatalog:
        """What the client may read of endpoints and event filters: asked for with every item, so without their list.

        Raises:
            PermissionDenied: it has no role.
        """
        return ReadableCatalog(view, ReadScope.of(self.client, ()))

    async def view(self) -> CatalogView:
        """Return the catalog, brought up to date, at the beginning of a slice of the event loop."""
        return await self.gateway.view()


Info = strawberry.Info[Context, None]


def values_of(info: Info) -> int:
    """How many values each item of the list that is being resolved has in the answer: itself and what is selected."""
    unfinished: list[Any] = [*info.selected_fields]
    count = 0
    while unfinished:
        each = unfinished.pop()
        count += 1
        unfinished += each.selections
    return count


def copies_of(info: Info) -> int:
    """How often an item's largest text may stand in the answer: once for each alias of one of its fields."""
    unfinished: list[tuple[Any, tuple[str, ...]]] = [(each, ()) for each in info.selected_fields]
    places: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    while unfinished:
        each, place = unfinished.pop()
        if isinstance(each, SelectedField):
            place = (*place, each.alias or each.name)
            places[each.name].add(place)
        unfinished += [(inner, place) for inner in each.selections]
    return max(map(len, places.values()), default=1)


@strawberry.enum(name="EndpointType", description="How an endpoint receives events.")
class EndpointKind(Enum):
    """The two types of endpoint that this family knows."""

    WEB_SOCKET = "WEB_SOCKET"
    WEB_HOOK = "WEB_HOOK"


@strawberry.enum(description="ASC: earliest to latest; DESC: latest to earliest.")
class OrderDirection(Enum):
    """Which way a list is ordered."""

    ASC = "ASC"
    DESC = "DESC"


@strawberry.type(description="Where events are routed to.")
class EndpointOutput:
    """An endpoint."""

    id: strawberry.ID
    creation_date: DateTime
    last_modified: DateTime
    name: str
    type: EndpointKind
    meta: JSON
    workspace_id: strawberry.ID

    @classmethod
    def of(cls, endpoint: Endpoint, view: CatalogView) -> EndpointOutput:
        """The endpoint as the document shows it."""
        webhook = endpoint.type is EndpointType.WEB_HOOK
        return cls(
            id=strawberry.ID(endpoint.id),
            creation_date=DateTime(endpoint.created_at),
            last_modified=DateTime(endpoint.updated_at),
            name=endpoint.name,
            type=EndpointKind(endpoint.type.value),
            meta=JSON({"url": endpoint.url, "method": endpoint.method} if webhook else {}),
            workspace_id=workspace_id(view, endpoint.workspace),
        )


@strawberry.type(description="One page of endpoints; totalCount counts all that pass the filters.")
class EndpointCollection:
    """Endpoints."""

    total_count: int
    collection_items: list[EndpointOutput]


@strawberry.type(description="Whether the operation was done, all of it; if not, nothing was changed.")
class MutationResult:
    """What a mutation of several things came to."""

    ok: bool


@strawberry.type(description="Which events its endpoints get.")
class EventFiltersOutput:
    """An event filter."""

    id: strawberry.ID
    creation_date: DateTime
    last_modified: DateTime
    meta: JSON
    name: str | None
    workspace_id: strawberry.ID

    @strawberry.field(description="The endpoints that are linked to it.")
    async def endpoints(self, info: Info) -> list[EndpointOutput]:
        """The family's endpoints that the client may see, the oldest link first."""
        view = info.context.gateway.catalog.view
        readable = info.context.readable(view)
        links = view.subscriptions_of(self.id)
        info.context.budget.take(values=len(links) * values_of(info))
        found = [readable.endpoint(link.endpoint) for link in links]
        shown = [each for each in found if each is not None and model.is_ours(each)]
        info.context.budget.take(characters=copies_of(info) * sum(len(encode_resource(each)) for each in shown))
        return [EndpointOutput.of(each, view) for each in shown]

    @classmethod
    def of(cls, event_filter: EventFilter, view: CatalogView) -> EventFiltersOutput:
        """The filter, with its conditions as they were given here, or as another API's filter can say them."""
        content: dict[str, Any] = {"name": event_filter.name, "in": _conditions(event_filter)}
        content |= as_given(view, event_filter) or {}
        return cls(
            id=strawberry.ID(event_filter.id),
            creation_date=DateTime(event_filter.created_at),
            last_modified=DateTime(event_filter.updated_at),
            meta=JSON({"in": content["in"]}),
            name=content["name"],
            workspace_id=workspace_id(view, event_filter.workspace),
        )


@strawberry.type(description="One page of event filters; totalCount counts all that pass the filters.")
class EventFiltersCollection:
    """Event filters."""

    total_count: int
    collection_items: list[EventFiltersOutput]


@strawberry.type(description="An event that was accepted.")
class EventOutput:
    """An event."""

    id: strawberry.ID
    date: DateTime
    creation_date: DateTime
    last_modified: DateTime
    data: JSON
    agent_id: strawberry.ID | None
    camera_id: strawberry.ID | None
    type: str
    workspace_id: strawberry.ID


@strawberry.input(description="The id must be this one.")
class IdFilter:
    """Restricts an id."""

    exact: strawberry.ID | None = strawberry.UNSET


@strawberry.input(description="The text must be this one.")
class StringFilter:
    """Restricts a text."""

    exact: str | None = strawberry.UNSET


@strawberry.input(description="The instant must be in this range.")
class DateTimeFilter:
    """Restricts an instant."""

    exact: DateTime | None = strawberry.UNSET
    gt: DateTime | None = strawberry.UNSET
    gte: DateTime | None = strawberry.UNSET
    lt: DateTime | None = strawberry.UNSET
    lte: DateTime | None = strawberry.UNSET


@strawberry.input(description="The type must be this one.")
class EndpointTypeFilter:
    """Restricts an endpoint's type."""

    exact: EndpointKind | None = strawberry.UNSET


@strawberry.input(description="Which endpoints: all that is given must hold.")
class EndpointFilters:
    """Restricts endpoints."""

    id: IdFilter | None = strawberry.UNSET
    type: EndpointTypeFilter | None = strawberry.UNSET


@strawberry.input(description="By creation date; both spellings mean the same, so only one may be given.")
class EndpointOrder:
    """Orders endpoints."""

    creation_date_snake: OrderDirection | None = strawberry.field(name="creation_date", default=strawberry.UNSET)
    creation_date: OrderDirection | None = strawberry.UNSET


@strawberry.input(description="Which event filters.")
class EventFiltersFilters:
    """Restricts event filters."""

    id: IdFilter | None = strawberry.UNSET


@strawberry.input(description="By one of the dates; only one member may be given.")
class EventFiltersOrder:
    """Orders event filters."""

    creation_date_snake: OrderDirection | None = strawberry.field(name="creation_date", default=strawberry.UNSET)
    last_modified_snake: OrderDirection | None = strawberry.field(name="last_modified", default=strawberry.UNSET)
    creation_date: OrderDirection | None = strawberry.UNSET
    last_modified: OrderDirection | None = strawberry.UNSET


@strawberry.input(description="Which events: all that is given must hold.")
class EventFilters:
    """Restricts events."""

    id: IdFilter | None = strawberry.UNSET
    type: StringFilter | None = strawberry.UNSET
    date: DateTimeFilter | None = strawberry.UNSET
    data_identification_data_profile_id: IdFilter | None = strawberry.UNSET
    activity_id: IdFilter | None = strawberry.UNSET


@strawberry.input(description="By the date that the events happened at.")
class EventOrder:
    """Orders events."""

    date: OrderDirection | None = strawberry.UNSET


@strawberry.input(description="offset leaves out the first items of the ordered list, limit takes so many after them.")
class Pagination:
    """Which part of a list."""

    offset: int | None = strawberry.UNSET
    limit: int | None = strawberry.UNSET


@strawberry.input(description="Which events pass: AND across the members, OR within each; an empty list restricts not.")
class ConditionFields:
    """The conditions of an event filter."""

    camera_ids: list[strawberry.ID] | None = strawberry.UNSET
    agent_ids: list[strawberry.ID] | None = strawberry.UNSET
    profile_group_ids: list[strawberry.ID] | None = strawberry.UNSET
    event_types: list[str] | None = strawberry.UNSET

    def to_fields(self) -> model.ConditionFields:
        """The conditions as the catalog keeps them."""
        return model.ConditionFields(
            camera_ids=tuple(self.camera_ids or ()),
            agent_ids=tuple(self.agent_ids or ()),
            profile_group_ids=tuple(self.profile_group_ids or ()),
            event_types=tuple(self.event_types or ()),
        )


@strawberry.input(description="An event filter's conditions.")
class EventFiltersInput:
    """What a filter lets through."""

    in_: ConditionFields = strawberry.field(name="in")


def workspace_id(view: CatalogView, name: str) -> strawberry.ID:
    """The UUID of a workspace, which this family shows in place of its name."""
    found = view.workspace(name)
    return strawberry.ID(found.id if found is not None else name)


def _conditions(event_filter: EventFilter) -> dict[str, Any]:
    """A filter of another API in this family's words, as far as they go."""
    codes = list(dict.fromkeys(each.code for each in event_filter.types if each.code != model.ANY))
    found: dict[str, Any] = {"eventTypes": codes} if codes else {}
    if event_filter.condition is not None:
        found["condition"] = msgspec.Raw(event_filter.condition.encode())
    return found
