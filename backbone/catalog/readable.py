"""The part of the catalog that one client may read. The APIs' reads go through it, never through the view itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from schemas.model.access import ApiKey, Client
    from schemas.model.endpoint import Endpoint, EventFilter, Subscription
    from schemas.model.event_type import EventType, Registration
    from schemas.model.growth import Growth
    from schemas.model.resources import Resource

R = TypeVar("R", bound="Resource")


class ReadableCatalog:
    """Lists hold what the scope covers, and a look-up of anything else finds None.

    Args:
        view: the whole catalog.
        scope: what may be read of it.
    """

    def __init__(self, view: CatalogView, scope: ReadScope) -> None:
        self._view = view
        self.scope = scope

    @classmethod
    def of(cls, view: CatalogView, client: Client, workspace: str | None = None) -> ReadableCatalog:
        """What a client may read in its own workspace, or an administrator in any.

        Raises:
            PermissionDenied: the client has no role, or asks for a workspace of others.
        """
        endpoints = view.endpoints(workspace or client.workspace)
        return cls(view, ReadScope.of(client, endpoints, workspace))

    def clients(self) -> list[Client]:
        """The clients."""
        return self._covered(self._view.clients(self.scope.workspace))

    def client(self, client_id: str) -> Client | None:
        """One client."""
        return self._one(self._view.client(self.scope.workspace, client_id))

    def api_keys(self, client_id: str) -> list[ApiKey]:
        """The API keys of a client."""
        return self._covered(self._view.api_keys(self.scope.workspace, client_id))

    def event_types(self) -> list[EventType]:
        """The event types."""
        return self._covered(self._view.event_types(self.scope.workspace))

    def event_type(self, topic: str) -> EventType | None:
        """One event type, by its topic."""
        return self._one(self._view.event_type(topic))

    def growth(self, topic: str) -> Growth | None:
        """The growth of an event type's topic that is under way, or the last one."""
        return self._one(self._view.growth(topic))

    def registrations(self) -> list[Registration]:
        """The registrations of the event types."""
        types = self._view.event_types(self.scope.workspace)
        return self._covered(one for each in types for one in self._view.registrations_for(each.topic))

    def endpoints(self) -> list[Endpoint]:
        """The endpoints."""
        return self._covered(self._view.endpoints(self.scope.workspace))

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """One endpoint, by its id or by that of the Exchange client that it is."""
        return self._one(self._view.endpoint_called(self.scope.workspace, endpoint_id))

    def event_filters(self) -> list[EventFilter]:
        """The event filters."""
        return self._covered(self._view.event_filters(self.scope.workspace))

    def event_filter(self, filter_id: str) -> EventFilter | None:
        """One event filter."""
        return self._one(self._view.event_filter(filter_id))

    def subscriptions(self) -> list[Subscription]:
        """The subscriptions whose filter and endpoint both exist."""
        return self._covered(self._view.subscriptions(self.scope.workspace))

    def subscription(self, subscription_id: str) -> Subscription | None:
        """One subscription, if its filter and endpoint both exist."""
        found = self._one(self._view.subscription(subscription_id))
        if found is None or self._view.endpoint(found.endpoint) is None:
            return None
        return None if self._view.event_filter(found.event_filter) is None else found

    def _covered(self, resources: Iterable[R]) -> list[R]:
        return [each for each in resources if self.scope.covers(each)]

    def _one(self, resource: R | None) -> R | None:
        return resource if resource is not None and self.scope.covers(resource) else None
