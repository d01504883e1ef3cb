"""How much one client may have in the catalog, and how large one write may be: one place for every API family."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from backbone.catalog.view import size_of, size_of_schema
from schemas.model.access import ApiKey, Client, client_key
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import PayloadTooLarge, Problem, QuotaExceeded
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Record
    from schemas.model.resources import Resource

RECORD_BYTES = 1_000_000
"""Of one record: less than any broker refuses by default."""

WRITE_BYTES = 4_000_000
"""Of all records of one write."""

_FEW_BYTES = 100
"""That what is there may still grow by in a full workspace: to disable a client or to revoke a key takes some."""


class CatalogBounds(BaseSettings):
    """Environment names are ``HEADRACE_MAX_<NAME>``. What is there already stays, past a bound too.

    Attributes:
        endpoints, filters, subscriptions: that one client may have; those without a client count together.
        event_types: that one client may be registered for.
        keys: API keys that one client may have.
        attributes: of one event type, or of one registration.
        workspace_event_types: in one workspace.
        workspace_clients: in one workspace.
        workspace_records: of one kind that a family keeps of its own (systems, contracts, roles), in one workspace.
        workspace_routes: pairs of a subscription and an event type that its filter selects, in one workspace. A router
            lists them all again at each change: who subscribes to ``*`` very often multiplies them.
        workspace_partitions: of the topics of all event types of one workspace together.
        retention: seconds that the topic of an event type may be told to keep events.
        workspace_bytes: of all records and schemas of one workspace together; every process keeps them in memory.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_MAX_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    endpoints: int = Field(10_000, ge=1)
    filters: int = Field(10_000, ge=1)
    subscriptions: int = Field(20_000, ge=1)
    event_types: int = Field(1_000, ge=1)
    keys: int = Field(500, ge=1)
    attributes: int = Field(1_000, ge=1)
    workspace_event_types: int = Field(5_000, ge=1)
    workspace_clients: int = Field(10_000, ge=1)
    workspace_records: int = Field(10_000, ge=1)
    workspace_routes: int = Field(200_000, ge=1)
    workspace_partitions: int = Field(20_000, ge=1)
    retention: int = Field(100 * 366 * 86_400, ge=60)
    workspace_bytes: int = Field(128 * 1024 * 1024, ge=1)

    def check(
        self,
        view: CatalogView,
        put: Sequence[Resource],
        *,
        delete: Sequence[str] = (),
        schemas: Sequence[RegisteredSchema] = (),
    ) -> None:
        """Check what a write puts and deletes against the catalog before it.

        Raises:
            QuotaExceeded: a client or a workspace would have more than it may.
            PayloadTooLarge: an event type or a registration would have more attributes than it may, or the write is too
                large.
        """
        self._check_bytes(view, put, delete, schemas)
        self._check_routes(view, put)
        added: Counter[_Counted] = Counter()
        partitions: Counter[str] = Counter()
        for resource in put:
            if isinstance(resource, EventType) and view.get(resource.key) is None:
                partitions[resource.workspace] += resource.effective_partitions
            if isinstance(resource, EventType | Registration):
                before = view.get(resource.key)
                known = before.attributes if isinstance(before, EventType | Registration) else ()
                self.check_attributes(len(resource.attributes), len(known))
            if view.get(resource.key) is None and (counted := _counted(view, put, resource)) is not None:
                added[counted] += 1
        for workspace, more in partitions.items():
            self.check_partitions(view, workspace, more)
        for counted, count in added.items():
            most: int = getattr(self, counted.setting)
            # The length of the list is at hand; only past the bound it matters whose they are.
            if view.count_of(counted.relation, counted.of) + count <= most:
                continue
            present = sum(
                counted.owner is _ALL or _owner(view, (), each) == counted.owner
                for each in view.listed(counted.relation, counted.of)
            )
            if present + count > most:
                name = f"HEADRACE_MAX_{counted.setting.upper()}"
                raise QuotaExceeded(f"{_WHOSE[counted.setting]} at most {most:,} are allowed ({name}).")

    def _check_bytes(
        self, view: CatalogView, put: Sequence[Resource], delete: Sequence[str], schemas: Sequence[RegisteredSchema]
    ) -> None:
        more: Counter[str] = Counter()
        written, makes_new = 0, bool(schemas)
        for resource in put:
            workspace, size = size_of(resource)
            written += size
            if written > WRITE_BYTES:
                raise PayloadTooLarge(f"One change may write {WRITE_BYTES:,} bytes; this one would write more.")
            more[workspace] += size
            makes_new |= view.get(resource.key) is None
        for gone in (view.get(key) for key in (*(each.key for each in put), *delete)):
            if gone is not None:
                workspace, size = size_of(gone)
                more[workspace] -= size
        for schema in schemas:
            workspace, size = size_of_schema(schema)
            more[workspace] += size
        for workspace, count in more.items():
            grows = count > (0 if makes_new else _FEW_BYTES)
            if grows and view.bytes_of(workspace) + count > self.workspace_bytes:
                raise QuotaExceeded(
                    f"The workspace cannot keep more: all that it has together may take {self.workspace_bytes:,} bytes "
                    "(HEADRACE_MAX_WORKSPACE_BYTES)."
                )

    def _check_routes(self, view: CatalogView, put: Sequence[Resource]) -> None:
        for workspace in dict.fromkeys(_adds_routes(view, each) for each in put):
            if workspace is None:
                continue
            links = [each for each in put if isinstance(each, Subscription) and view.get(each.key) is None]
            kinds = sum(isinstance(each, EventType) and view.get(each.key) is None for each in put)
            kinds += view.count_of("event_types", workspace)
            if (view.count_of("subscriptions", workspace) + len(links)) * kinds <= self.workspace_routes:
                continue
            changed = {each.id: each for each in put if isinstance(each, EventFilter)}
            reach: dict[str, int] = {}
            count = 0
            for link in (*view.listed("subscriptions", workspace), *links):
                if isinstance(link, Subscription):
                    name = link.event_filter
                    if name not in reach:
                        reach[name] = _reach(changed.get(name) or view.event_filter(name), kinds)
                    count += reach[name]
            if count > self.workspace_routes:
                raise QuotaExceeded(
                    f"The workspace's subscriptions would select {count:,} event types together; at most "
                    f"{self.workspace_routes:,} are allowed (HEADRACE_MAX_WORKSPACE_ROUTES)."
                )

    def check_partitions(self, view: CatalogView, workspace: str, more: int) -> None:
        """Check whether the topics of a workspace may have so many more partitions.

        Raises:
            QuotaExceeded: they would be more than it may have.
        """
        growing = sum(each.partitions - each.before for each in view.growing() if each.workspace == workspace)
        present = sum(each.effective_partitions for each in view.event_types(workspace)) + growing
        if more > 0 and present + more > self.workspace_partitions:
            raise QuotaExceeded(
                f"The workspace's topics have {present:,} partitions and cannot have {more:,} more: at most "
                f"{self.workspace_partitions:,} are allowed (HEADRACE_MAX_WORKSPACE_PARTITIONS)."
            )

    def check_retention(self, seconds: int) -> None:
        """Check how long a topic is to keep events.

        Raises:
            QuotaExceeded: it is longer than it may be.
        """
        if seconds > self.retention:
            raise QuotaExceeded(f"Events may be kept for {self.retention:,} seconds at most (HEADRACE_MAX_RETENTION).")

    def check_attributes(self, count: int, before: int = 0) -> None:
        """Check how many attributes an event type or a registration is to have, ``before`` of which it has now.

        Raises:
            PayloadTooLarge: they are more than it may have, and more than it has.
        """
        if count > max(before, self.attributes):
            message = f"An event type may have {self.attributes:,} attributes (HEADRACE_MAX_ATTRIBUTES), not {count:,}."
            raise PayloadTooLarge(message, [Problem(path="$.attributes", message=message)])


def check_size(produced: Iterable[Record]) -> int:
    """Return the size of a write's records in bytes.

    Raises:
        PayloadTooLarge: one of them, or all together, are larger than may be.
    """
    sizes = [len(record.value or b"") + len(record.key or b"") for record in produced]
    if max(sizes, default=0) > RECORD_BYTES:
        raise PayloadTooLarge(f"What would be kept is too large: {max(sizes):,} bytes; at most {RECORD_BYTES:,} are.")
    if sum(sizes) > WRITE_BYTES:
        raise PayloadTooLarge(f"One change may write {WRITE_BYTES:,} bytes; this one would write {sum(sizes):,}.")
    return sum(sizes)


def _adds_routes(view: CatalogView, resource: Resource) -> str | None:
    """The workspace in which a resource may add pairs of subscriptions and event types."""
    if isinstance(resource, EventFilter):
        before = view.event_filter(resource.id)
        return None if before is not None and _selected(before) == _selected(resource) else resource.workspace
    if isinstance(resource, EventType | Subscription) and view.get(resource.key) is None:
        return resource.workspace
    return None


def _selected(event_filter: EventFilter) -> set[tuple[str, str]]:
    return {(each.namespace, each.code) for each in event_filter.types}


def _reach(event_filter: EventFilter | None, kinds: int) -> int:
    """How many event types a filter selects at most, of so many."""
    if event_filter is None:
        return 0
    selected = _selected(event_filter)
    return kinds if any("*" in each for each in selected) else min(kinds, len(selected))


class _Counted(NamedTuple):
    """What a bound counts: the setting, the list of the catalog view that it is about, and whose of it."""

    setting: str
    relation: str
    of: str
    owner: str | None


_ALL = "*"
"""In place of an owner: everything in the list counts."""

_WHOSE = {
    "endpoints": "This client cannot have more endpoints:",
    "filters": "This client cannot have more event filters:",
    "subscriptions": "This client cannot have more subscriptions:",
    "event_types": "This client cannot be registered for more event types:",
    "keys": "This client cannot have more API keys:",
    "workspace_event_types": "The workspace cannot have more event types:",
    "workspace_clients": "The workspace cannot have more clients:",
    "workspace_records": "The workspace cannot have more of these:",
}


def _counted(view: CatalogView, put: Sequence[Resource], resource: Resource) -> _Counted | None:
    owner = _owner(view, put, resource)
    found: tuple[str, str, str, str | None] | None = None
    match resource:
        case Endpoint():
            found = ("endpoints", "endpoints", resource.workspace, owner)
        case EventFilter():
            found = ("filters", "event_filters", resource.workspace, owner)
        case Subscription():
            found = ("subscriptions", "subscriptions", resource.workspace, owner)
        case Registration():
            found = ("event_types", "registrations_of", client_key(resource.workspace, resource.client), _ALL)
        case ApiKey():
            found = ("keys", "api_keys", client_key(resource.workspace, resource.client), _ALL)
        case EventType():
            found = ("workspace_event_types", "event_types", resource.workspace, _ALL)
        case Client():
            found = ("workspace_clients", "clients", resource.workspace, _ALL)
        case FamilyRecord():
            relation = f"{resource.family}/{resource.collection}"
            found = ("workspace_records", relation, resource.workspace, _ALL)
        case _:
            pass
    return None if found is None else _Counted(*found)


def _owner(view: CatalogView, put: Sequence[Resource], resource: Resource) -> str | None:
    """The client that a resource counts for; a subscription counts for that of its endpoint."""
    if isinstance(resource, Subscription):
        key = f"endpoint/{resource.endpoint}"
        endpoint = view.get(key) or next((each for each in put if each.key == key), None)
        return endpoint.client if isinstance(endpoint, Endpoint) else None
    return resource.client if isinstance(resource, Endpoint | EventFilter) else None
