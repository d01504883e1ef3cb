"""The whole catalog in memory: what the records of ``catalog`` and ``_schemas`` add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from backbone.catalog.indexes import Group, Sizes, Versions
from backbone.catalog.relations import family_collection, relations_of
from schemas.model import unlinked
from schemas.model.access import ApiKey, Client, Workspace, client_key
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.event_type import EventType, Registration, RegistrationKind, event_type_key, registration_key
from schemas.model.family_record import FamilyRecord, family_record_key
from schemas.model.growth import Growth, growth_key
from schemas.model.projection import EndpointProjection, projection_key
from schemas.model.resources import encode_resource
from schemas.model.topics import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.relations import Relations
    from schemas.model.resources import Resource

R = TypeVar("R")

_WRITES_KEPT = 4_096
"""How many of the latest write ids are remembered: far more than can be written while one write is in doubt."""


class CatalogView:
    """Resources by key, with the relations between them.

    One thread applies records; any thread reads, without a lock: resources are replaced, never changed in place, and
    lists are copied in one step. What a method returns is therefore a consistent answer to that one question; two
    questions may see two versions. ``version`` grows with every applied record, after it has been applied.
    """

    def __init__(self) -> None:
        self.version = 0
        self._resources: dict[str, Resource] = {}
        self._group = Group()
        self._clients: dict[tuple[str, str], Client] = {}
        self._unique: dict[str, Client] = {}
        self._digests: dict[str, ApiKey] = {}
        self._versions = Versions()
        self._sizes = Sizes()
        self._routing: dict[str, int] = {}
        self._writes: dict[str, int] = {}

    def copy(self) -> CatalogView:
        """An independent view of the same resources: what a writer decides on."""
        twin = CatalogView()
        twin.version = self.version
        twin._resources = self._resources.copy()
        twin._group = self._group.copy()
        twin._clients = self._clients.copy()
        twin._unique = self._unique.copy()
        twin._digests = self._digests.copy()
        twin._versions = self._versions.copy()
        twin._sizes = self._sizes.copy()
        twin._routing = self._routing.copy()
        twin._writes = self._writes.copy()
        return twin

    # Reading

    def get(self, key: str) -> Resource | None:
        """The resource with a catalog record key."""
        return self._resources.get(key)

    def resources(self) -> tuple[Resource, ...]:
        """Everything in the catalog but schemas."""
        return tuple(self._resources.copy().values())

    def count_of(self, relation: str, of: str) -> int:
        """How many resources one list has, without reading them; see ``relations_of``."""
        return self._group.count(relation, of)

    def listed(self, relation: str, of: str) -> Iterator[Resource]:
        """The resources of one list."""
        found = (self._resources.get(key) for key in self._group.keys(relation, of))
        return (each for each in found if each is not None)

    def bytes_of(self, workspace: str) -> int:
        """The bytes that the records and schemas of a workspace have together; it is named as in topics."""
        return self._sizes.of(workspace)

    def __len__(self) -> int:
        return len(self._resources)

    def workspace(self, name: str) -> Workspace | None:
        """A workspace by its name."""
        return self._one(f"workspace/{name}", Workspace)

    def workspaces(self) -> tuple[Workspace, ...]:
        """All workspaces."""
        return self._many("workspaces", "", Workspace)

    def client(self, workspace: str, client_id: str) -> Client | None:
        """A client of a workspace by its id."""
        return self._clients.get((workspace, client_id))

    def unique_client(self, unique_id: str) -> Client | None:
        """A client of any workspace by its ``unique_id``."""
        return self._unique.get(unique_id)

    def clients_called(self, client_id: str) -> tuple[Client, ...]:
        """The clients of all workspaces that have an id. Not for what a caller is told."""
        return self._many("clients_called", client_id, Client)

    def clients(self, workspace: str) -> tuple[Client, ...]:
        """The clients of a workspace."""
        return self._many("clients", workspace, Client)

    def api_key(self, key_id: str) -> ApiKey | None:
        """An API key by its id."""
        return self._one(f"api_key/{key_id}", ApiKey)

    def api_key_by_digest(self, digest: str) -> ApiKey | None:
        """The API key whose stored hash this is."""
        return self._digests.get(digest)

    def api_keys(self, workspace: str, client_id: str) -> tuple[ApiKey, ...]:
        """The API keys of a client."""
        return self._many("api_keys", client_key(workspace, client_id), ApiKey)

    def event_type(self, topic: str) -> EventType | None:
        """An event type by its topic."""
        return self._one(event_type_key(topic), EventType)

    def event_types(self, workspace: str) -> tuple[EventType, ...]:
        """The event types of a workspace."""
        return self._many("event_types", workspace, EventType)

    def registration(self, client: str, topic: str, kind: RegistrationKind) -> Registration | None:
        """What a client registered for an event type."""
        return self._one(registration_key(client, topic, kind), Registration)

    def registrations_of(self, workspace: str, client_id: str) -> tuple[Registration, ...]:
        """Everything that a client registered."""
        return self._many("registrations_of", client_key(workspace, client_id), Registration)

    def registrations_for(self, topic: str) -> tuple[Registration, ...]:
        """All clients' registrations of an event type."""
        return self._many("registrations_for", topic, Registration)

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """An endpoint by its id."""
        return self._one(f"endpoint/{endpoint_id}", Endpoint)

    def endpoint_called(self, workspace: str, name: str) -> Endpoint | None:
        """An endpoint of a workspace by its id, or by that of the Exchange client that it is."""
        found = self.endpoint(name)
        if found is None or found.workspace != workspace:
            client = self.client(workspace, name)
            found = None if client is None else self.endpoint(client.endpoint)
        return found

    def endpoints(self, workspace: str) -> tuple[Endpoint, ...]:
        """The endpoints of a workspace."""
        return self._many("endpoints", workspace, Endpoint)

    def projection(self, endpoint_id: str, topic: str) -> EndpointProjection | None:
        """The projection of an endpoint for an event type, by its topic; also one that was deleted."""
        return self._one(projection_key(endpoint_id, topic), EndpointProjection)

    def projections_of(self, endpoint_id: str) -> tuple[EndpointProjection, ...]:
        """The projections of an endpoint; also those that were deleted."""
        return self._many("projections_of", endpoint_id, EndpointProjection)

    def event_filter(self, filter_id: str) -> EventFilter | None:
        """An event filter by its id."""
        return self._one(f"event_filter/{filter_id}", EventFilter)

    def event_filters(self, workspace: str) -> tuple[EventFilter, ...]:
        """The event filters of a workspace."""
        return self._many("event_filters", workspace, EventFilter)

    def subscription(self, subscription_id: str) -> Subscription | None:
        """A subscription by its id, whether or not both its ends still exist."""
        return self._one(f"subscription/{subscription_id}", Subscription)

    def subscriptions(self, workspace: str) -> tuple[Subscription, ...]:
        """The subscriptions of a workspace whose filter and endpoint both exist."""
        return tuple(each for each in self._many("subscriptions", workspace, Subscription) if self._is_linked(each))

    def subscriptions_of(self, end: str) -> tuple[Subscription, ...]:
        """The subscriptions of an endpoint or of an event filter, given its id."""
        return tuple(each for each in self._many("subscriptions_of", end, Subscription) if self._is_linked(each))

    def live_subscriptions(self, workspace: str) -> Iterator[tuple[Subscription, EventFilter, Endpoint]]:
        """Every enabled subscription of a workspace whose endpoint is enabled and whose filter exists."""
        for subscription in self.listed("subscriptions", workspace):
            if not isinstance(subscription, Subscription):
                continue
            event_filter = self.event_filter(subscription.event_filter)
            endpoint = self.endpoint(subscription.endpoint)
            if subscription.enabled and event_filter is not None and endpoint is not None and endpoint.enabled:
                yield subscription, event_filter, endpoint

    def routing_versions(self) -> dict[str, int]:
        """The workspaces that ever had event types, event filters, endpoints or subscriptions.

        Each with a number that grows when one of these changes, after it has changed.
        """
        return self._routing.copy()

    def family_record(self, family: str, collection: str, record_id: str) -> FamilyRecord | None:
        """A record of a family's own."""
        return self._one(family_record_key(family, collection, record_id), FamilyRecord)

    def family_records(self, family: str, collection: str, workspace: str) -> tuple[FamilyRecord, ...]:
        """A family's records of one collection and workspace."""
        return self._many(family_collection(family, collection), workspace, FamilyRecord)

    def growth(self, topic: str) -> Growth | None:
        """The growth of an event type's topic that is under way, or the last one."""
        return self._one(growth_key(topic), Growth)

    @property
    def is_growing(self) -> bool:
        """Whether any growth is under way."""
        return self.count_of("growing", "") > 0

    def growing(self) -> tuple[Growth, ...]:
        """The growths that are under way."""
        return self._many("growing", "", Growth)

    def schema(self, schema_id: int) -> RegisteredSchema | None:
        """A schema by its id."""
        return self._versions.by_id(schema_id)

    def schema_versions(self, schema_id: int) -> tuple[RegisteredSchema, ...]:
        """Every subject and version that a schema id is registered under."""
        return self._versions.with_id(schema_id)

    def subject_versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """The versions of a subject, oldest first."""
        return self._versions.of(subject)

    def subjects(self) -> tuple[str, ...]:
        """All subjects."""
        return self._versions.subjects()

    def next_schema(self, subject: str, text: str) -> RegisteredSchema:
        """What registering a schema under a subject comes to: the version that has this text already, or a new one.

        A text known under another subject keeps its id, as in the Confluent registry. Only under the writer lock is a
        new id sure to be free.
        """
        return self._versions.next(subject, text)

    def records_of_write(self, write_id: str) -> int:
        """How many records of a write have been seen; 0 when it is unknown or long ago."""
        return self._writes.get(write_id, 0)

    # Applying

    def put(self, resource: Resource, appended_at: int) -> None:
        """Apply a resource's record; ``appended_at`` is its append time in microseconds since the epoch."""
        resource = _dated(resource, appended_at)
        before = self._resources.get(resource.key)
        # Written over, never removed first: a reader must not find the resource gone for a moment.
        self._resources[resource.key] = resource
        self._relate(resource.key, () if before is None else relations_of(before), relations_of(resource))
        self._sizes.add(*size_of(resource))
        match resource:
            case Client():
                self._clients[resource.workspace, resource.id] = resource
                self._unique[resource.unique_id] = resource
            case ApiKey(digest=digest):
                self._digests[digest] = resource
            case _:
                pass
        if before is not None:
            self._forget(before)
            self._note_routing(before)
        self._note_routing(resource)
        self.version += 1

    def remove(self, key: str) -> None:
        """Apply a tombstone; fine when there is no such resource."""
        before = self._resources.pop(key, None)
        if before is not None:
            self._relate(key, relations_of(before), ())
            self._forget(before)
            self._note_routing(before)
        self.version += 1

    def put_schema(self, schema: RegisteredSchema) -> None:
        """Apply a schema's record."""
        self._forget_schema(schema.subject, schema.version)
        self._versions.put(schema)
        self._sizes.add(*size_of_schema(schema))
        self.version += 1

    def remove_schema(self, subject: str, version: int, *, keep_id: bool = False) -> None:
        """Apply a schema's tombstone; ``keep_id`` for a soft deletion, after which the id can still be read."""
        self._forget_schema(subject, version)
        self._versions.remove(subject, version, keep_id=keep_id)
        self.version += 1

    def note_write(self, write_id: str) -> None:
        """Count a record of a write, so that the writer can tell whether an unanswered commit took."""
        self._writes[write_id] = self._writes.get(write_id, 0) + 1
        if len(self._writes) > _WRITES_KEPT:
            del self._writes[next(iter(self._writes))]

    def _note_routing(self, resource: Resource) -> None:
        if not isinstance(resource, EventType | EventFilter | Endpoint | Subscription):
            return
        workspaces = {resource.workspace}
        if isinstance(resource, EventFilter | Endpoint):
            # Their workspace, unless a record was written by hand.
            workspaces |= {link.workspace for link in self._many("subscriptions_of", resource.id, Subscription)}
        for workspace in workspaces:
            self._routing[workspace] = self.version + 1

    def _one(self, key: str, kind: type[R]) -> R | None:
        found = self._resources.get(key)
        return found if isinstance(found, kind) else None

    def _many(self, name: str, of: str, kind: type[R]) -> tuple[R, ...]:
        resources = self._resources
        found = (resources.get(key) for key in self._group.keys(name, of))
        return tuple(resource for resource in found if isinstance(resource, kind))

    def _is_linked(self, subscription: Subscription) -> bool:
        return (
            self.event_filter(subscription.event_filter) is not None
            and self.endpoint(subscription.endpoint) is not None
        )

    def _relate(self, key: str, before: Relations, after: Relations) -> None:
        for name, of in after:
            if (name, of) not in before:
                self._group.add(name, of, key)
        for name, of in before:
            if (name, of) not in after:
                self._group.discard(name, of, key)

    def _forget_schema(self, subject: str, version: int) -> None:
        for each in self._versions.of(subject):
            if each.version == version:
                workspace, size = size_of_schema(each)
                self._sizes.add(workspace, -size)

    def _forget(self, before: Resource) -> None:
        """Forget the size of a resource that is gone or written over, and by what else it was found.

        What is found there may be newer already: that stays.
        """
        workspace, size = size_of(before)
        self._sizes.add(workspace, -size)
        now = self._resources.get(before.key)
        if isinstance(before, Client):
            if self._clients.get((before.workspace, before.id)) is before:
                del self._clients[before.workspace, before.id]
            if self._unique.get(before.unique_id) is before:
                del self._unique[before.unique_id]
        if isinstance(before, ApiKey) and (not isinstance(now, ApiKey) or now.digest != before.digest):
            self._digests.pop(before.digest, None)


def size_of(resource: Resource) -> tuple[str, int]:
    """Whose a resource is, as topics name the workspace, and the bytes of its record."""
    workspace = resource.name if isinstance(resource, Workspace) else resource.workspace
    return escape(workspace), len(encode_resource(resource))


def size_of_schema(schema: RegisteredSchema) -> tuple[str, int]:
    """The same of a schema: its subject is a topic's."""
    return schema.subject.split(".", 2)[1] if "." in schema.subject else "", len(schema.text)


def _dated(resource: Resource, appended_at: int) -> Resource:
    """Fill in the times that a record leaves to its own append time."""
    match resource:
        case Subscription(linked_at=None):
            return msgspec.structs.replace(resource, linked_at=appended_at)
        case EventFilter(types=types) if any(each.added_at is None for each in types):
            dated = (
                each if each.added_at is not None else msgspec.structs.replace(each, added_at=appended_at)
                for each in types
            )
            return msgspec.structs.replace(resource, types=tuple(dated))
        case Endpoint(options={unlinked.UNLINKED: ""} as options):
            return msgspec.structs.replace(resource, options=options | {unlinked.UNLINKED: str(appended_at)})
        case _:
            return resource
