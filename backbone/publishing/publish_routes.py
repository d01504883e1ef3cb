"""How the events of a client are written: prepared once for each of its event types, until the catalog changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.type_changes import has_identity
from schemas.avro.validation import EventWriter
from schemas.model.access import Role
from schemas.model.errors import InvalidEvent, PermissionDenied, Problem
from schemas.model.event_headers import EventHeaders
from schemas.model.event_type import RegistrationKind
from schemas.model.operational_event import NAMESPACE, check_namespace
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from schemas.model.event import EventDraft
    from schemas.model.event_type import EventType, Registration

    Renew = Callable[[EventType], Awaitable[EventType]]

_MAY_PUBLISH_ANYTHING = {Role.OPERATOR, Role.ADMIN}
_MOST_WRITERS = 10_000

_RouteKey = tuple[str, str, str, str]
"""Workspace, namespace, code, the client's ``unique_id``."""


class PublishRoute(msgspec.Struct, frozen=True):
    """Prepared once for all events of one type that one client publishes."""

    topic: str
    partitions: int
    writer: EventWriter
    headers: EventHeaders


class PublishRoutes:
    """The routes of a publisher.

    Args:
        catalog, renew, operational: see ``Publisher``.
    """

    def __init__(self, catalog: Catalog, *, renew: Renew | None, operational: bool) -> None:
        self._catalog = catalog
        self._renew = renew
        self._operational = operational
        self._version = -1
        self._routes: dict[_RouteKey, PublishRoute] = {}
        self._writers: dict[tuple[EventType, Registration | None], EventWriter] = {}

    def known(self, draft: EventDraft) -> PublishRoute | None:
        """The route of an event, if it is prepared and the catalog has not changed since."""
        version = self._catalog.view.version
        if version != self._version:
            self._version = version
            self._routes.clear()
        return self._routes.get((draft.workspace, draft.namespace, draft.code, draft.publisher))

    async def prepare(self, draft: EventDraft) -> PublishRoute:
        """Prepare the route of an event that ``known`` has not.

        Raises:
            InvalidEvent: there is no such event type.
            PermissionDenied: its client has not registered it for publishing.
        """
        version = self._version
        if not self._operational:
            check_namespace(draft.namespace)
        topic = event_topic(draft.workspace, draft.namespace, draft.code)
        event_type = await self._catalog.lookup(lambda view: view.event_type(topic))
        if event_type is None:
            message = f"there is no event type {draft.code} in namespace {draft.namespace}"
            raise InvalidEvent(message, [Problem(path="$.type", message=message)])
        registration = await self._registration(draft, topic)
        if registration is None and not self._may_publish_anything(draft):
            raise PermissionDenied(f"This client has not registered {draft.namespace}/{draft.code} for publishing.")
        if self._renew is not None and not has_identity(self._catalog.view, event_type):
            event_type = await self._renew(event_type)
        route = PublishRoute(
            topic=topic,
            partitions=event_type.effective_partitions,
            writer=self._writer(event_type, registration),
            headers=EventHeaders(draft.client, draft.code),
        )
        if self._version == version:  # else it was made of what another request has seen to be outdated
            self._routes[draft.workspace, draft.namespace, draft.code, draft.publisher] = route
        return route

    async def _registration(self, draft: EventDraft, topic: str) -> Registration | None:
        def find(view: CatalogView) -> Registration | None:
            client = view.unique_client(draft.publisher)
            if client is not None and client.workspace != draft.workspace:
                return None  # an administrator of another workspace: a client with the same id here is another client
            return view.registration(draft.client, topic, RegistrationKind.PUBLISH)

        # A client that may publish anything needs no registration, so a missing one is not looked up.
        if self._may_publish_anything(draft):
            return find(self._catalog.view)
        return await self._catalog.lookup(find)

    def _may_publish_anything(self, draft: EventDraft) -> bool:
        if self._operational:
            return draft.namespace == NAMESPACE
        client = self._catalog.view.unique_client(draft.publisher)
        return client is not None and not _MAY_PUBLISH_ANYTHING.isdisjoint(client.roles)

    def _writer(self, event_type: EventType, registration: Registration | None) -> EventWriter:
        """The writer of a type and a registration. Other changes of the catalog do not compile it again."""
        found = self._writers.get((event_type, registration))
        if found is None:
            if len(self._writers) >= _MOST_WRITERS:
                self._writers.clear()
            identity = has_identity(self._catalog.view, event_type)
            found = self._writers[event_type, registration] = EventWriter(event_type, registration, identity=identity)
        return found
