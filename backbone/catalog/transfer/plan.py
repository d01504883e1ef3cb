"""What importing a file changes: decided on a view, all of it or nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.administrators import administers
from backbone.catalog.differences import Named, field_changes, named
from backbone.catalog.transfer import secrecy
from backbone.catalog.transfer.document import SECTIONS, Document, Item
from backbone.catalog.transfer.exporting import is_installations_own, workspace_of
from backbone.catalog.transfer.references import Final
from backbone.catalog.type_changes import evolved
from schemas.model import timestamps
from schemas.model.access import DEFAULT_WORKSPACE, ApiKey, Client, Workspace
from schemas.model.audit import AuditAction, FieldChange
from schemas.model.endpoint import Endpoint, EventFilter, Subscription, TypeSelection
from schemas.model.errors import Conflict, InvalidRequest, Problem
from schemas.model.event_type import EventType, Registration
from schemas.model.projection import EndpointProjection
from schemas.model.unlinked import UNLINKED

if TYPE_CHECKING:
    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from schemas.model.resources import Resource

_REFUSED = "The file cannot be imported: nothing was changed."

_LONGEST_LIST = 2_000
"""Characters in a message."""

_FIXED = ("open", "partition_key", "effective_partitions", "compacted")
"""Settings of an event type that an import does not change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scope:
    """What an import may change.

    Attributes:
        workspace: the only one; None is all.
        prune: whether what the file's sections do not have is deleted.
    """

    workspace: str | None
    prune: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A resource that changes."""

    action: AuditAction
    name: Named
    fields: tuple[FieldChange, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Missing:
    """A secret that has to be set after the import."""

    name: Named
    what: str
    how: str


@dataclasses.dataclass(kw_only=True)
class Plan:
    """What an import changes, and what is told of it."""

    put: list[Resource] = dataclasses.field(default_factory=list)
    delete: list[str] = dataclasses.field(default_factory=list)
    schemas: list[RegisteredSchema] = dataclasses.field(default_factory=list)
    differences: list[Difference] = dataclasses.field(default_factory=list)
    missing: list[Missing] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    unchanged: int = 0
    new_types: list[EventType] = dataclasses.field(default_factory=list)


def plan(view: CatalogView, document: Document, scope: Scope, signing_secrets: dict[str, str]) -> Plan:
    """Return what importing a file changes.

    Args:
        view: the catalog before.
        document: the file.
        scope: what may be changed.
        signing_secrets: encrypted secrets by the id of an endpoint, for those that have none yet.

    Raises:
        InvalidRequest: the file contradicts itself or the catalog; names every place.
        Conflict: it would leave subscriptions without their filter or endpoint, or nobody who administers.
    """
    return _Planning(view, document, scope, signing_secrets).plan()


class _Planning:
    def __init__(self, view: CatalogView, document: Document, scope: Scope, signing_secrets: dict[str, str]) -> None:
        self._view = view
        self._document = document
        self._scope = scope
        self._signing_secrets = signing_secrets
        self._now = timestamps.now()
        self._plan = Plan()
        self._wanted: dict[str, Resource] = {}
        self._items: dict[str, Item] = {}
        self._identities: set[str] = set()
        self._clients: set[tuple[str, str]] = set()

    def plan(self) -> Plan:
        problems: list[Problem] = []
        for at, item in enumerate(self._document.items):
            problems += self._take(item, at)
        deleted = self._pruned() if self._scope.prune else {}
        final = Final(self._view, self._wanted, deleted)
        problems += final.problems(self._items)
        if problems:
            raise InvalidRequest(_REFUSED, problems)
        self._check_orphans(final)
        self._plan.warnings += final.warnings()
        draft = self._view.copy()
        self._derive(draft, final)
        self._check_administrators(final)
        self._settle(deleted)
        return self._plan

    def _take(self, item: Item, at: int) -> list[Problem]:
        """Take one resource of the file; what it keeps of the one that is there is filled in."""
        resource, place = item.resource, item.place
        workspace = self._scope.workspace
        if workspace not in (None, workspace_of(resource)):
            return [Problem(path=place, message=f"belongs to another workspace than {workspace}, which is imported")]
        if is_installations_own(resource):
            return [Problem(path=place, message="belongs to each installation itself: leave it out")]
        if resource.key in self._wanted:
            return [Problem(path=place, message=f"is in the file twice, first at {self._items[resource.key].place}")]
        before = self._before(resource)
        if before is not None and workspace_of(before) != workspace_of(resource):
            return [Problem(path=place, message="has the id of a resource of another workspace")]
        problems = self._collisions(resource, place)
        if isinstance(resource, EventType) and isinstance(before, EventType):
            problems += [
                Problem(path=f"{place}.{name}", message=f"is {getattr(before, name)!r} now, and cannot be changed so")
                for name in _FIXED
                if getattr(before, name) != getattr(resource, name)
            ]
        self._items[resource.key] = item
        self._wanted[resource.key] = self._kept(resource, before, at)
        return problems

    def _collisions(self, resource: Resource, place: str) -> list[Problem]:
        view = self._view
        if isinstance(resource, Client):
            if (resource.workspace, resource.id) in self._clients:
                return [Problem(path=f"{place}.id", message="is that of another client of the file")]
            self._clients.add((resource.workspace, resource.id))
            if resource.unique_id in self._identities:
                return [Problem(path=f"{place}.identity", message="is that of another client of the file")]
            self._identities.add(resource.unique_id)
            taken = view.unique_client(resource.unique_id)
            if taken is not None and (taken.workspace, taken.id) != (resource.workspace, resource.id):
                return [Problem(path=f"{place}.identity", message="is that of another client")]
        if isinstance(resource, ApiKey):
            other = view.api_key_by_digest(resource.digest)
            if other is not None and other.id != resource.id:
                return [Problem(path=f"{place}.digest", message="is that of another key")]
        if isinstance(resource, Workspace):
            others = (each for each in view.workspaces() if each.name != resource.name)
            if any(each.id == resource.id for each in others):
                return [Problem(path=f"{place}.id", message="is that of another workspace")]
        return []

    def _kept(self, resource: Resource, before: Resource | None, at: int) -> Resource:
        """With the times and secrets of the resource that is there. New ones are as old as their order in the file."""
        created = self._now + at if before is None else before.created_at
        times: dict[str, Any] = {"created_at": created, "updated_at": created if before is None else before.updated_at}
        match resource:
            case Client():
                times["tokens_from"] = before.tokens_from if isinstance(before, Client) else self._now
            case Subscription() if isinstance(before, Subscription) and resource.linked_at is None:
                times["linked_at"] = before.linked_at
            case EventFilter() if isinstance(before, EventFilter):
                since = {(each.namespace, each.code): each.added_at for each in before.types}
                times["types"] = tuple(_dated_selection(each, since) for each in resource.types)
            case EndpointProjection():
                times["versions"] = _dated_versions(resource, before, created)
            case Endpoint():
                resource = self._with_secrets(resource, before if isinstance(before, Endpoint) else None)
            case _:
                pass
        return msgspec.structs.replace(resource, **times)

    def _with_secrets(self, endpoint: Endpoint, before: Endpoint | None) -> Endpoint:
        if before is not None and UNLINKED in before.options and UNLINKED not in endpoint.options:
            options = endpoint.options | {UNLINKED: before.options[UNLINKED]}
            endpoint = msgspec.structs.replace(endpoint, options=options)
        if self._document.sealed:
            return endpoint
        restored, missing = secrecy.restored(endpoint, before, self._signing_secrets.get(endpoint.id, ""))
        for what in missing:
            signs = what == "signing_secrets"
            how = "a new one was made: headrace endpoints rotate-secret shows another" if signs else "set it"
            self._plan.missing.append(Missing(name=named(endpoint), what=what, how=how))
        return restored

    def _pruned(self) -> dict[str, Resource]:
        """What is deleted: of the kinds that the file has, all that it does not name, and what belongs to that."""
        kinds = tuple(SECTIONS[name] for name in self._document.sections)
        found: dict[str, Resource] = {}
        for each in self._view.resources():
            if self._scope.workspace not in (None, workspace_of(each)) or is_installations_own(each):
                continue
            if isinstance(each, Workspace) and (self._scope.workspace is not None or each.name == DEFAULT_WORKSPACE):
                continue
            if isinstance(each, Client) and (each.workspace, each.id) in self._clients:
                continue
            if isinstance(each, kinds) and each.key not in self._wanted:
                found[each.key] = each
        return found

    def _check_orphans(self, final: Final) -> None:
        orphans = final.orphans()
        if orphans:
            listed = ", ".join(f"{each.id} (filter {each.event_filter}, endpoint {each.endpoint})" for each in orphans)
            raise Conflict(
                f"The import would delete the filter or the endpoint of {len(orphans)} subscriptions: "
                f"{listed[:_LONGEST_LIST]}. Nothing was changed. Have them deleted too, by a section `subscriptions` "
                "without them, or keep both ends."
            )
        left = final.left_in_deleted_workspaces()
        if left:
            raise Conflict(f"Workspaces that the import would delete still have: {', '.join(left)[:_LONGEST_LIST]}.")

    def _check_administrators(self, final: Final) -> None:
        if not any(administers(each) for each in final.all_clients()):
            raise Conflict("The import would leave nobody who administers. Nothing was changed.")

    def _derive(self, draft: CatalogView, final: Final) -> None:
        """Register the schemas, and give each event type the attributes that follow from its registrations."""
        topics = {each.topic for each in self._wanted.values() if isinstance(each, EventType | Registration)}
        topics |= {each.topic for each in final.deleted.values() if isinstance(each, Registration)}
        for topic in sorted(topics):
            event_type = final.event_type(topic)
            if event_type is None:
                continue
            item = self._items.get(event_type.key)
            versions = []
            for text in item.schemas if item is not None else ():
                schema = draft.next_schema(event_type.subject, text)
                versions.append(schema)
                if schema not in draft.subject_versions(event_type.subject):
                    self._register(draft, schema)
            before = self._view.event_type(topic)
            known = versions[item.current - 1].id if item is not None and versions else event_type.schema_id
            event_type = msgspec.structs.replace(event_type, schema_id=known if before is None else before.schema_id)
            event_type, more = evolved(draft, event_type, final.registrations(topic))
            for schema in more:
                self._register(draft, schema)
            self._wanted[event_type.key] = event_type
            if before is None:
                self._plan.new_types.append(event_type)

    def _register(self, draft: CatalogView, schema: RegisteredSchema) -> None:
        draft.put_schema(schema)
        self._plan.schemas.append(schema)

    def _settle(self, deleted: dict[str, Resource]) -> None:
        found = self._plan
        for key, wanted in self._wanted.items():
            before = self._before(wanted)
            if before is not None and before.key != key:
                found.delete.append(before.key)
            if before == wanted:
                found.unchanged += 1
                continue
            action = AuditAction.CREATED if before is None else AuditAction.CHANGED
            resource = wanted if before is None else msgspec.structs.replace(wanted, updated_at=self._now)
            found.put.append(resource)
            fields = field_changes(before, wanted)
            found.differences.append(Difference(action=action, name=named(resource), fields=fields))
            if isinstance(resource, Client) and before is None and not self._has_key(resource):
                how = f"headrace keys create {resource.id}"
                found.missing.append(Missing(name=named(resource), what="api_key", how=how))
        found.delete += list(deleted)
        found.differences += [Difference(action=AuditAction.DELETED, name=named(each)) for each in deleted.values()]

    def _before(self, resource: Resource) -> Resource | None:
        """The resource as it is now. A client of an earlier release has another record key."""
        if isinstance(resource, Client):
            return self._view.client(resource.workspace, resource.id)
        return self._view.get(resource.key)

    def _has_key(self, client: Client) -> bool:
        keys = (each for each in self._wanted.values() if isinstance(each, ApiKey))
        wanted = any((each.workspace, each.client) == (client.workspace, client.id) for each in keys)
        return wanted or bool(self._view.api_keys(client.workspace, client.id))


def _dated_selection(selection: TypeSelection, since: dict[tuple[str, str], int | None]) -> TypeSelection:
    if selection.added_at is not None:
        return selection
    added_at = since.get((selection.namespace, selection.code))
    return msgspec.structs.replace(selection, added_at=added_at)


def _dated_versions(projection: EndpointProjection, before: Resource | None, created: int) -> tuple[Any, ...]:
    known = before.versions if isinstance(before, EndpointProjection) else ()
    dates = {each.number: each.created_at for each in known}
    return tuple(
        msgspec.structs.replace(each, created_at=dates.get(each.number, created)) for each in projection.versions
    )
