"""The queries of the event-service family: endpoints and event filters from the catalog, events from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import strawberry
from strawberry.scalars import JSON

from families.event_service.delivery.output import places
from families.event_service.http.types import (
    DateTime,
    DateTimeFilter,
    EndpointCollection,
    EndpointFilters,
    EndpointOrder,
    EndpointOutput,
    EventFilters,
    EventFiltersCollection,
    EventFiltersFilters,
    EventFiltersOrder,
    EventFiltersOutput,
    EventOrder,
    EventOutput,
    IdFilter,
    Info,
    OrderDirection,
    Pagination,
    StringFilter,
    copies_of,
    values_of,
    workspace_id,
)
from families.event_service.ledger import EventSearches
from families.event_service.model import is_ours
from families.event_service.search import EventSearch, FoundEvent
from families.event_service.settings import EventServiceSettings
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EventFilter
from schemas.model.errors import InvalidRequest
from schemas.model.resources import encode_resource

T = TypeVar("T", Endpoint, EventFilter)

_PROFILE = (("identification", "data", "profileId"), ("identification", "profileId"), ("profileId",))
_ACTIVITY = (("activityId",), ("activity", "id"))
"""Where an event's data may name the profile that was identified, and the activity."""


@strawberry.type(description="One page of events; totalCount counts all that pass the filters.")
class EventCollection:
    """Events; each member is looked up only when it is asked for."""

    search: strawberry.Private[EventSearch]
    order: strawberry.Private[OrderDirection | None]
    offset: strawberry.Private[int]
    limit: strawberry.Private[int]

    @strawberry.field(description="How many events pass the filters.")
    async def total_count(self, info: Info) -> int:
        """Counted in the ledger."""
        gateway, scope = info.context.gateway, info.context.scope
        return await gateway.ask(lambda: EventSearches(gateway.clients.ledger).count(scope, self.search))

    @strawberry.field(description="The events of this page.")
    async def collection_items(self, info: Info) -> list[EventOutput]:
        """Read from the ledger."""
        if self.limit == 0:
            return []
        gateway, scope = info.context.gateway, info.context.scope
        found = await gateway.ask(
            lambda: EventSearches(gateway.clients.ledger).page(
                scope,
                self.search,
                offset=self.offset,
                limit=self.limit,
                by_time=self.order is not None,
                newest_first=self.order is not OrderDirection.ASC,
                budget=info.context.budget,
            )
        )
        again = (copies_of(info) - 1) * sum(len(each.data) for each in found)
        info.context.budget.take(values=len(found) * values_of(info), characters=again)
        workspace = workspace_id(gateway.catalog.view, info.context.workspace)
        items, work = [], gateway.slices.begin()
        for each in found:
            await work.pause()
            items.append(_event(each, workspace))
        return items


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field(description="The endpoints that the client may see; without an order the newest first.")
    async def endpoints(
        self,
        info: Info,
        filters: EndpointFilters | None = strawberry.UNSET,
        order: EndpointOrder | None = strawberry.UNSET,
        pagination: Pagination | None = strawberry.UNSET,
    ) -> EndpointCollection:
        """All that the filters let through, then a page of them."""
        view = await info.context.view()
        info.context.budget.take(looked_at=view.count_of("endpoints", info.context.workspace))
        found = [each for each in info.context.readable(view).endpoints() if is_ours(each)]
        if filters:
            wanted_id, wanted_type = _exact(filters.id), filters.type.exact if filters.type else None
            found = [each for each in found if wanted_id in (None, each.id)]
            found = [each for each in found if not wanted_type or wanted_type.value == each.type.value]
        page = _page(info, found, _order(order, {"creation_date": _created}), pagination)
        return EndpointCollection(
            total_count=len(found), collection_items=[EndpointOutput.of(each, view) for each in page]
        )

    @strawberry.field(description="The event filters that the client may see; without an order the newest first.")
    async def events_filters(
        self,
        info: Info,
        filters: EventFiltersFilters | None = strawberry.UNSET,
        order: EventFiltersOrder | None = strawberry.UNSET,
        pagination: Pagination | None = strawberry.UNSET,
    ) -> EventFiltersCollection:
        """All that the filters let through, then a page of them."""
        view = await info.context.view()
        info.context.budget.take(looked_at=view.count_of("event_filters", info.context.workspace))
        wanted_id = _exact(filters.id) if filters else None
        found = [each for each in info.context.readable(view).event_filters() if wanted_id in (None, each.id)]
        ordering = _order(order, {"creation_date": _created, "last_modified": _modified})
        page = _page(info, found, ordering, pagination)
        return EventFiltersCollection(
            total_count=len(found), collection_items=[EventFiltersOutput.of(each, view) for each in page]
        )

    @strawberry.field(description="The events that the client may see; without an order the last accepted first.")
    async def events(
        self,
        info: Info,
        filters: EventFilters | None = strawberry.UNSET,
        order: EventOrder | None = strawberry.UNSET,
        pagination: Pagination | None = strawberry.UNSET,
    ) -> EventCollection:
        """From the ledger: an event is in it a moment after it was accepted."""
        offset, limit = _bounds(info, pagination)
        direction = order.date or None if order else None
        return EventCollection(search=_search(filters or None), order=direction, offset=offset, limit=limit)


def _event(found: FoundEvent, workspace: strawberry.ID) -> EventOutput:
    camera, agent = places(found.data.encode())
    return EventOutput(
        id=strawberry.ID(found.id),
        date=DateTime(found.time),
        creation_date=DateTime(found.received_at),
        last_modified=DateTime(found.received_at),
        # Goes out digit for digit, as it was published.
        data=JSON(msgspec.Raw(found.data.encode())),
        agent_id=None if agent is None else strawberry.ID(agent),
        camera_id=None if camera is None else strawberry.ID(camera),
        type=found.code,
        workspace_id=workspace,
    )


def _search(filters: EventFilters | None) -> EventSearch:
    if filters is None:
        return EventSearch()
    earliest, latest = _range(filters.date) if filters.date else (None, None)
    profile, activity = _exact(filters.data_identification_data_profile_id), _exact(filters.activity_id)
    members = tuple((places, text) for places, text in ((_PROFILE, profile), (_ACTIVITY, activity)) if text is not None)
    return EventSearch(
        id=_exact(filters.id),
        code=_exact(filters.type),
        earliest=earliest,
        latest=latest,
        members=members,
    )


def _range(dates: DateTimeFilter) -> tuple[int | None, int | None]:
    """The first and the last microsecond that all of the conditions allow."""
    lower = [each for each in (dates.exact, dates.gte) if each is not None and each is not strawberry.UNSET]
    upper = [each for each in (dates.exact, dates.lte) if each is not None and each is not strawberry.UNSET]
    lower += [DateTime(dates.gt + 1)] if dates.gt is not None and dates.gt is not strawberry.UNSET else []
    upper += [DateTime(dates.lt - 1)] if dates.lt is not None and dates.lt is not strawberry.UNSET else []
    return max(lower, default=timestamps.EARLIEST), min(upper, default=timestamps.LATEST)


def _exact(given: IdFilter | StringFilter | None) -> str | None:
    """The text that is asked for; None for any."""
    if not given or given.exact is strawberry.UNSET:
        return None
    return given.exact


def _created(each: Endpoint | EventFilter) -> int:
    return each.created_at


def _modified(each: Endpoint | EventFilter) -> int:
    return each.updated_at


_Date = Callable[[Endpoint | EventFilter], int]


def _order(order: EndpointOrder | EventFiltersOrder | None, dates: dict[str, _Date]) -> tuple[_Date, OrderDirection]:
    """Which date a list is ordered by, and how: by the one given, in either of its spellings.

    Raises:
        InvalidRequest: more than one is given.
    """
    given = [
        (date, direction)
        for name, date in dates.items()
        for spelling in (name, f"{name}_snake")
        if (direction := getattr(order or None, spelling, None))
    ]
    if len(given) > 1:
        raise InvalidRequest("order may have one member only: the two spellings of a date mean the same.")
    return given[0] if given else (_created, OrderDirection.DESC)


def _page(
    info: Info, found: Sequence[T], order: tuple[_Date, OrderDirection], pagination: Pagination | None
) -> list[T]:
    """By a date, and by id where dates are equal, so that pages neither repeat nor miss anything."""
    date, direction = order
    offset, limit = _bounds(info, pagination)
    ordered = sorted(found, key=lambda each: (date(each), each.id), reverse=direction is OrderDirection.DESC)
    page = ordered[offset : offset + limit]
    size = copies_of(info) * sum(len(encode_resource(each)) for each in page)
    info.context.budget.take(values=len(page) * values_of(info), characters=size)
    return page


def _bounds(info: Info, pagination: Pagination | None) -> tuple[int, int]:
    """Offset and limit.

    Raises:
        InvalidRequest: one of them is negative.
    """
    most = info.context.gateway.settings_of(EventServiceSettings).page_limit
    if not pagination:
        return 0, most
    offset = pagination.offset or 0
    limit = most if pagination.limit in (None, strawberry.UNSET) else pagination.limit
    if offset < 0 or limit < 0:
        raise InvalidRequest("pagination: offset and limit must not be negative.")
    return offset, min(limit, most)
