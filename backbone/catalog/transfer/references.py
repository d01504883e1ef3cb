"""The catalog as an import would leave it, and whether everything in it leads somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.differences import named
from backbone.catalog.transfer.exporting import workspace_of
from schemas.model.access import ApiKey, Client, Workspace
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import Problem
from schemas.model.event_type import EventType, Registration, event_type_key
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backbone.catalog.transfer.document import Item
    from backbone.catalog.view import CatalogView
    from schemas.model.resources import Resource


class Final:
    """The catalog after an import.

    Args:
        view: before it.
        wanted: what it puts, by record key; read as it is at each call.
        deleted: what it deletes. What belongs to these goes with them, and is added.
    """

    def __init__(self, view: CatalogView, wanted: Mapping[str, Resource], deleted: dict[str, Resource]) -> None:
        self._view = view
        self._wanted = wanted
        self.deleted = deleted
        self._clients = {(each.workspace, each.id) for each in wanted.values() if isinstance(each, Client)}
        for each in list(deleted.values()):
            deleted |= {one.key: one for one in self._belonging_to(each) if one.key not in wanted}

    def get(self, key: str) -> Resource | None:
        """A resource by its record key."""
        return self._wanted.get(key) or (None if key in self.deleted else self._view.get(key))

    def has_client(self, workspace: str, client_id: str) -> bool:
        """Whether a client is there."""
        found = self._view.client(workspace, client_id)
        return (workspace, client_id) in self._clients or (found is not None and found.key not in self.deleted)

    def event_type(self, topic: str) -> EventType | None:
        """An event type by its topic."""
        found = self.get(event_type_key(topic))
        return found if isinstance(found, EventType) else None

    def registrations(self, topic: str) -> list[Registration]:
        """All registrations of an event type."""
        found = {each.key: each for each in self._view.registrations_for(topic) if each.key not in self.deleted}
        found |= {
            each.key: each for each in self._wanted.values() if isinstance(each, Registration) and each.topic == topic
        }
        return list(found.values())

    def all_clients(self) -> Iterator[Client]:
        """All clients of all workspaces."""
        for each in (*self._view.resources(), *self._wanted.values()):
            if isinstance(each, Client):
                found = self.get(each.key)
                if isinstance(found, Client):
                    yield found

    def problems(self, items: Mapping[str, Item]) -> list[Problem]:
        """Return the references of the file that lead nowhere."""
        message = "names a {} that is neither in the file nor in the catalog"
        return [
            Problem(path=f"{item.place}.{name}", message=message.format(kind))
            for item in items.values()
            for name, kind in self._wrong(self._wanted[item.resource.key])
        ]

    def warnings(self) -> list[str]:
        """Return a sentence for each owner that does not exist: an endpoint outlives its client."""
        return [
            f"{named(each).kind} {each.id} belongs to client {each.client}, which does not exist."
            for each in self._wanted.values()
            if isinstance(each, Endpoint | EventFilter)
            and each.client is not None
            and not self.has_client(each.workspace, each.client)
        ]

    def orphans(self) -> list[Subscription]:
        """Return the subscriptions whose filter or endpoint the import deletes."""
        ends = [each.id for each in self.deleted.values() if isinstance(each, Endpoint | EventFilter)]
        found = {link.key: link for end in ends for link in self._view.subscriptions_of(end)}
        return [link for key, link in sorted(found.items()) if key not in self.deleted]

    def left_in_deleted_workspaces(self) -> list[str]:
        """Return what would be left in workspaces that the import deletes."""
        gone = {each.name for each in self.deleted.values() if isinstance(each, Workspace)}
        left = (each for each in self._view.resources() if workspace_of(each) in gone and each.key not in self.deleted)
        return [" ".join(named(each)[:2]) for each in left]

    def _wrong(self, resource: Resource) -> list[tuple[str, str]]:
        """The references of a resource that lead nowhere, each with the kind that it should lead to."""
        place = workspace_of(resource)
        found = [] if self.get(f"workspace/{place}") is not None or not place else [("workspace", "workspace")]
        match resource:
            case ApiKey(client=client) if not self.has_client(place, client):
                found.append(("client", "client"))
            case Registration():
                if not self.has_client(place, resource.client):
                    found.append(("client", "client"))
                if self.event_type(resource.topic) is None:
                    found.append(("code", "event type"))
            case EndpointProjection() if not self._is_in(f"endpoint/{resource.endpoint}", place):
                found.append(("endpoint", "endpoint"))
            case Subscription():
                if not self._is_in(f"event_filter/{resource.event_filter}", place):
                    found.append(("event_filter", "filter of the workspace"))
                if not self._is_in(f"endpoint/{resource.endpoint}", place):
                    found.append(("endpoint", "endpoint of the workspace"))
            case _:
                pass
        return found

    def _is_in(self, key: str, workspace: str) -> bool:
        found = self.get(key)
        return found is not None and workspace_of(found) == workspace

    def _belonging_to(self, resource: Resource) -> list[Resource]:
        view = self._view
        match resource:
            case Client():
                return [
                    *view.api_keys(resource.workspace, resource.id),
                    *view.registrations_of(resource.workspace, resource.id),
                ]
            case EventType():
                growth = view.growth(resource.topic)
                return [*view.registrations_for(resource.topic), *([] if growth is None else [growth])]
            case Endpoint():
                return list(view.projections_of(resource.id))
            case _:
                return []
