"""The mutations of the event-service family. Lists are all or nothing: an unknown id answers ``ok: false``."""

from __future__ import annotations

import strawberry

from families.event_service.catalog.links import EventServiceRoutes, new_endpoint
from families.event_service.http.types import (
    Context,
    EndpointOutput,
    EventFiltersInput,
    EventFiltersOutput,
    Info,
    MutationResult,
)
from schemas.model.errors import InvalidRequest, NotFound

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_LONGEST_NAME, _LONGEST_URL = 200, 2_000
"""Characters, as our own API has it."""

Ids = list[strawberry.ID]


@strawberry.type
class Mutation:
    """The mutations."""

    @strawberry.mutation(description="Create a websocket endpoint: /event-service/ws?endpoint_id=<id>.")
    async def create_web_socket_endpoint(self, info: Info, name: str) -> EndpointOutput:
        """It gets all events until it is linked to an event filter."""
        return await _create_endpoint(info, name)

    @strawberry.mutation(
        description="Create a webhook endpoint; it is sent events by POST unless another method is given."
    )
    async def create_webhook_endpoint(
        self, info: Info, name: str, url: str, method: str | None = strawberry.UNSET
    ) -> EndpointOutput:
        """It gets events once it is linked to an event filter."""
        wanted = (method or "POST").upper() if method is not None else "POST"
        if method == "" or wanted not in METHODS:
            raise InvalidRequest(f"method must be one of {', '.join(METHODS)}.")
        return await _create_endpoint(info, name, url=url, method=wanted)

    @strawberry.mutation(description="Delete endpoints; their links go with them, and their websockets are closed.")
    async def delete_endpoints(self, info: Info, endpoint_ids: Ids) -> MutationResult:
        """All of them or none."""
        return await _delete_endpoints(info, endpoint_ids)

    @strawberry.mutation(
        description="Delete endpoints, as deleteEndpoints does.", deprecation_reason="Use deleteEndpoints."
    )
    async def delete_endpoint(self, info: Info, ids: Ids) -> MutationResult:
        """The document's prose calls it so."""
        return await _delete_endpoints(info, ids)

    @strawberry.mutation(
        description="Link endpoints to an event filter: they get what one of their filters lets through."
    )
    async def link_endpoints_to_event_filters(
        self, info: Info, endpoint_ids: Ids, event_filters_id: strawberry.ID
    ) -> MutationResult:
        """A link that is there already stays as it is."""
        context = info.context
        linking = _links(context).link(context.client, endpoint_ids, event_filters_id)
        return MutationResult(ok=await context.gateway.in_time(linking))

    @strawberry.mutation(description="Unlink endpoints from an event filter.")
    async def unlink_endpoints_to_event_filters(
        self, info: Info, endpoint_ids: Ids, event_filters_id: strawberry.ID
    ) -> MutationResult:
        """What is not linked stays so."""
        context = info.context
        unlinking = _links(context).unlink(context.client, endpoint_ids, event_filters_id)
        return MutationResult(ok=await context.gateway.in_time(unlinking))

    @strawberry.mutation(description="Create an event filter, linked to the endpoints named.")
    async def create_event_filters(
        self,
        info: Info,
        event_filters_input: EventFiltersInput,
        name: str | None = strawberry.UNSET,
        endpoint_ids: Ids | None = strawberry.UNSET,
    ) -> EventFiltersOutput:
        """An unknown endpoint is an error, and no filter is made."""
        context = info.context
        creating = _links(context).create_filter(
            context.client,
            event_filters_input.in_.to_fields(),
            _filter_name(name),
            endpoint_ids or (),
            key=_key(info),
        )
        return _filter(info, await context.gateway.in_time(creating))

    @strawberry.mutation(description="Change an event filter's conditions or name; what is not given stays.")
    async def update_event_filters(
        self,
        info: Info,
        event_filters_id: strawberry.ID,
        event_filters_input: EventFiltersInput | None = strawberry.UNSET,
        name: str | None = strawberry.UNSET,
    ) -> EventFiltersOutput:
        """Only filters that were created here can be changed here."""
        context = info.context
        fields = event_filters_input.in_.to_fields() if event_filters_input else None
        changing = _links(context).update_filter(context.client, event_filters_id, fields, _filter_name(name))
        await context.gateway.in_time(changing)
        return _filter(info, event_filters_id)

    @strawberry.mutation(description="Delete event filters; their links go with them.")
    async def delete_event_filters(self, info: Info, event_filters_ids: Ids) -> MutationResult:
        """All of them or none; only filters that were created here."""
        context = info.context
        deleting = _links(context).delete_filters(context.client, event_filters_ids)
        return MutationResult(ok=await context.gateway.in_time(deleting))


def _links(context: Context) -> EventServiceRoutes:
    return EventServiceRoutes(context.gateway.writer)


async def _create_endpoint(info: Info, name: str, *, url: str | None = None, method: str = "POST") -> EndpointOutput:
    context = info.context
    _check_length("name", name, _LONGEST_NAME)
    _check_length("url", url or "", _LONGEST_URL)
    wanted = new_endpoint(context.client, name, url=url, method=method)
    key = _key(info)
    repeated = None if key is None else (context.client.unique_id, key)
    created, _ = await context.gateway.in_time(context.gateway.routes.create_endpoint(wanted, key=repeated))
    return EndpointOutput.of(created, context.gateway.catalog.view)


async def _delete_endpoints(info: Info, endpoint_ids: Ids) -> MutationResult:
    context = info.context
    deleting = _links(context).delete_endpoints(context.client, endpoint_ids)
    return MutationResult(ok=await context.gateway.in_time(deleting))


def _filter(info: Info, filter_id: str) -> EventFiltersOutput:
    view = info.context.gateway.catalog.view
    found = view.event_filter(filter_id)
    if found is None:
        raise NotFound(f"The event filter {filter_id} has just been deleted.")
    return EventFiltersOutput.of(found, view)


def _filter_name(name: str | None) -> str | None:
    if not isinstance(name, str):
        return None
    if not name.strip():
        raise InvalidRequest("name must not be empty.")
    _check_length("name", name, _LONGEST_NAME)
    return name


def _check_length(argument: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise InvalidRequest(f"{argument} must not be longer than {longest} characters.")


def _key(info: Info) -> str | None:
    """The request's idempotency key for this field: the fields of one request are told apart by their aliases."""
    return None if info.context.key is None else f"{info.context.key}/{info.path.key}"
