"""What the event-service (GraphQL) family does with endpoints and event filters: several at once, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.accounts import existing_workspace
from backbone.catalog.subscriptions import selections
from backbone.catalog.writer import Changes
from families.event_service.model import BODY, is_ours
from schemas.filters.conditions import compile_condition
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription
from schemas.model.errors import IdempotencyMismatch, NotFound
from schemas.model.family_record import FamilyRecord
from schemas.model.ids import derived, new_id
from schemas.security.permissions import Operation, owner_for
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Collection

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from families.event_service.model import ConditionFields
    from schemas.model.access import Client

FAMILY = "event-service"
FILTERS = "event_filter"
"""The collection of records that say how an event filter was given: ``name`` (or null) and ``in``."""

_UNNAMED = "Event filter"
"""What a filter that was given no name is called elsewhere, where it must have one."""


def filter_record(view: CatalogView, filter_id: str) -> FamilyRecord | None:
    """How an event filter was given; None for one that another API made."""
    return view.family_record(FAMILY, FILTERS, filter_id)


def as_given(view: CatalogView, event_filter: EventFilter) -> dict[str, Any] | None:
    """``name`` and ``in`` of an event filter as they were given; None where another API made or has changed it."""
    record = filter_record(view, event_filter.id)
    return None if record is None or record.updated_at != event_filter.updated_at else record.content


class EventServiceRoutes:
    """All methods raise ``Unavailable`` when Kafka cannot answer.

    ``client`` is who asks: it changes what its roles allow it to (``schemas.security.permissions``) in its own
    workspace. What it may not change is as unknown as what does not exist.

    Args:
        writer: this process's writer.
    """

    def __init__(self, writer: CatalogWriter) -> None:
        self._writer = writer

    async def delete_endpoints(self, client: Client, endpoint_ids: Collection[str]) -> bool:
        """Delete endpoints and their links; False, and nothing is deleted, when one of them is unknown."""

        def decide(view: CatalogView) -> Changes[bool]:
            found = _endpoints(view, client, endpoint_ids)
            if found is None:
                return Changes(result=False)
            links = [link for each in found for link in view.subscriptions_of(each.id)]
            return Changes(delete=[*(each.key for each in found), *(each.key for each in links)], result=True)

        return await self._writer.write(decide)

    async def link(self, client: Client, endpoint_ids: Collection[str], filter_id: str) -> bool:
        """Link endpoints to an event filter; False, and none is linked, when one of them or the filter is unknown."""

        def decide(view: CatalogView) -> Changes[bool]:
            found = _endpoints(view, client, endpoint_ids)
            event_filter = view.event_filter(filter_id)
            if found is None or not _may_link(event_filter, client):
                return Changes(result=False)
            linked = {each.endpoint for each in view.subscriptions_of(filter_id)}
            return Changes(put=[_link(filter_id, each) for each in found if each.id not in linked], result=True)

        return await self._writer.write(decide)

    async def unlink(self, client: Client, endpoint_ids: Collection[str], filter_id: str) -> bool:
        """Remove links, where there are any; False, and none is removed, when an endpoint or the filter is unknown."""

        def decide(view: CatalogView) -> Changes[bool]:
            found = _endpoints(view, client, endpoint_ids)
            event_filter = view.event_filter(filter_id)
            if found is None or not _may_link(event_filter, client):
                return Changes(result=False)
            ids = {each.id for each in found}
            gone = [each for each in view.subscriptions_of(filter_id) if each.endpoint in ids]
            return Changes(delete=[each.key for each in gone], result=True)

        return await self._writer.write(decide)

    async def create_filter(
        self,
        client: Client,
        fields: ConditionFields,
        name: str | None,
        endpoint_ids: Collection[str],
        *,
        key: str | None = None,
    ) -> str:
        """A new event filter of the client's workspace, linked to endpoints; its id.

        A repeat with the client's idempotency ``key`` gives the filter that the first call made.

        Raises:
            IdempotencyMismatch: the key made another filter.
            InvalidFilter: there are more conditions than the filter language takes.
            NotFound: an endpoint is unknown; no filter is made.
        """
        condition = _checked_condition(fields)
        filter_id = new_id() if key is None else derived("event filter", client.workspace, client.unique_id, key)
        now = timestamps.now()
        record = FamilyRecord(
            family=FAMILY,
            collection=FILTERS,
            id=filter_id,
            workspace=client.workspace,
            content=_content(fields, name),
            created_at=now,
            updated_at=now,
        )
        event_filter = EventFilter(
            id=filter_id,
            workspace=client.workspace,
            client=client.id,
            name=name or _UNNAMED,
            types=fields.selections(),
            condition=condition,
            created_at=now,
            updated_at=now,
        )

        def decide(view: CatalogView) -> Changes[str]:
            existing_workspace(view, client.workspace)
            before = filter_record(view, filter_id)
            if before is not None and view.event_filter(filter_id) is not None:
                if before.content != record.content:
                    raise IdempotencyMismatch("This idempotency key was used with another filter.")
                return Changes(result=filter_id)
            found = _endpoints(view, client, endpoint_ids)
            if found is None:
                raise NotFound("There is no such endpoint: endpointIds names one that is unknown.")
            return Changes(put=[event_filter, record, *(_link(filter_id, each) for each in found)], result=filter_id)

        return await self._writer.write(decide)

    async def update_filter(
        self, client: Client, filter_id: str, fields: ConditionFields | None, name: str | None
    ) -> None:
        """Give a filter of this family other conditions or another name; None leaves it as it is.

        Raises:
            InvalidFilter: there are more conditions than the filter language takes.
            NotFound: there is no such filter, or another API made it.
        """
        condition = None if fields is None else _checked_condition(fields)

        def decide(view: CatalogView) -> Changes[None]:
            event_filter, record = _filter(view, client, filter_id)
            before = as_given(view, event_filter) or {"name": event_filter.name}
            content = before | ({} if fields is None else {"in": fields.to_json()})
            content |= {} if name is None else {"name": name}
            if content == before:
                return Changes(result=None)
            now = timestamps.now()
            changed = msgspec.structs.replace(
                event_filter,
                name=content["name"] or _UNNAMED,
                types=event_filter.types if fields is None else selections(fields.selections(), event_filter.types),
                condition=event_filter.condition if fields is None else condition,
                updated_at=now,
            )
            record = msgspec.structs.replace(record, content=content, updated_at=now)
            return Changes(put=[changed, record], result=None)

        await self._writer.write(decide)

    async def delete_filters(self, client: Client, filter_ids: Collection[str]) -> bool:
        """Delete filters of this family and their links; False, and nothing is deleted, when one of them is unknown."""

        def decide(view: CatalogView) -> Changes[bool]:
            gone: list[str] = []
            links: list[Subscription] = []
            for filter_id in dict.fromkeys(filter_ids):
                try:
                    gone += [each.key for each in _filter(view, client, filter_id)]
                except NotFound:
                    return Changes(result=False)
                links += view.subscriptions_of(filter_id)
            return Changes(delete=[*gone, *(each.key for each in links)], result=True)

        return await self._writer.write(decide)


def new_endpoint(client: Client, name: str, *, url: str | None = None, method: str = "POST") -> Endpoint:
    """An endpoint of this family as ``Routes.create_endpoint`` takes it: a webhook when it has a URL, else a socket."""
    return Endpoint(
        id="",
        workspace=client.workspace,
        client=client.id,
        name=name,
        type=EndpointType.WEB_SOCKET if url is None else EndpointType.WEB_HOOK,
        url=url,
        method=method,
        body=BODY,
        created_at=0,
        updated_at=0,
    )


def _checked_condition(fields: ConditionFields) -> str | None:
    condition = fields.condition()
    if condition is not None:
        compile_condition(condition, version=1)
    return condition


def _content(fields: ConditionFields, name: str | None) -> dict[str, object]:
    return {"name": name, "in": fields.to_json()}


def _endpoints(view: CatalogView, client: Client, endpoint_ids: Collection[str]) -> list[Endpoint] | None:
    """The family's endpoints with these ids, once each; None when the client may not change one of them."""
    found = []
    for endpoint_id in dict.fromkeys(endpoint_ids):
        endpoint = view.endpoint(endpoint_id)
        if endpoint is None or not _may_change(endpoint, client) or not is_ours(endpoint):
            return None
        found.append(endpoint)
    return found


def _filter(view: CatalogView, client: Client, filter_id: str) -> tuple[EventFilter, FamilyRecord]:
    event_filter, record = view.event_filter(filter_id), filter_record(view, filter_id)
    if event_filter is None or record is None or not _may_change(event_filter, client):
        raise NotFound(f"There is no event filter {filter_id} that can be changed here.")
    return event_filter, record


def _may_change(found: Endpoint | EventFilter, client: Client) -> bool:
    owner = owner_for(client, Operation.CHANGE_ROUTES)
    return found.workspace == client.workspace and owner in (None, found.client)


def _may_link(event_filter: EventFilter | None, client: Client) -> bool:
    """A link changes the endpoint, not the filter: it is enough that the client may read that."""
    return event_filter is not None and ReadScope.of(client, ()).covers(event_filter)


def _link(filter_id: str, endpoint: Endpoint) -> Subscription:
    now = timestamps.now()
    return Subscription(
        id=derived("subscription", filter_id, endpoint.id),
        workspace=endpoint.workspace,
        event_filter=filter_id,
        endpoint=endpoint.id,
        created_at=now,
        updated_at=now,
    )
