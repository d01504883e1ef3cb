"""How two versions of a catalog resource differ, without showing a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from schemas.model.access import ApiKey, Client, Workspace
from schemas.model.audit import FieldChange
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from schemas.model.resources import Resource

_CLIENT = {"name", "realm", "roles", "scopes", "disabled", "level", "provider", "application", "description"}
_ENDPOINT = {"name", "type", "client", "description", "method", "body", "retry_schedule", "timeout", "max_in_flight"}

_SHOWN: dict[type, frozenset[str]] = {
    Workspace: frozenset({"name", "quota"}),
    Client: frozenset(_CLIENT | {"identifiers", "quota"}),
    ApiKey: frozenset({"client", "hint", "use", "expires_at"}),
    EventType: frozenset(EventType.__struct_fields__),
    Registration: frozenset(Registration.__struct_fields__),
    # A URL is not among them: it may be all that its receiver asks for.
    Endpoint: frozenset(_ENDPOINT | {"rate_limit", "disable_after", "reply_to", "enabled", "held_since"}),
    EndpointProjection: frozenset({"current"}),
    EventFilter: frozenset(EventFilter.__struct_fields__),
    Subscription: frozenset(Subscription.__struct_fields__),
    FamilyRecord: frozenset(),
    Growth: frozenset(Growth.__struct_fields__),
}
"""The fields that hold no secret, by the type of the resource. Of the others only the names are told."""

_IDENTITY = frozenset({"id", "workspace", "namespace", "code", "family", "collection", "topic"})
_UNTOLD = frozenset({"created_at", "updated_at", "tokens_from", "identity"})
"""Fields that follow from the change itself."""

_LONGEST = 500
"""Characters of a value as JSON."""


class Named(NamedTuple):
    """What a resource is called.

    Attributes:
        kind: as in its record.
        id: among those of its kind in the workspace.
        name: for people; empty where it has none.
        workspace: that it belongs to.
    """

    kind: str
    id: str
    name: str
    workspace: str


def named(resource: Resource) -> Named:
    """Return what a resource is called."""
    workspace = resource.name if isinstance(resource, Workspace) else resource.workspace
    return Named(kind_of(resource), _id(resource), getattr(resource, "name", ""), workspace)


def kind_of(resource: Resource) -> str:
    """Return the kind that the resource's record has."""
    return str(type(resource).__struct_config__.tag)


def _id(resource: Resource) -> str:
    match resource:
        case Workspace():
            parts = [resource.name]
        case EventType():
            parts = [resource.namespace, resource.code]
        case Registration():
            parts = [resource.client, resource.registration.value, resource.namespace, resource.code]
        case EndpointProjection():
            parts = [resource.endpoint, resource.namespace, resource.code]
        case FamilyRecord():
            parts = [resource.family, resource.collection, resource.id]
        case Growth():
            parts = [resource.topic]
        case Client() | ApiKey() | Endpoint() | EventFilter() | Subscription():
            parts = [resource.id]
    return "/".join(parts)


def field_changes(before: Resource | None, after: Resource) -> tuple[FieldChange, ...]:
    """Return the fields that differ; of a new resource those that are not as by default.

    Only fields that hold no secret have values, cut off where they are long.
    """
    kind = type(after)
    shown = _SHOWN[kind]
    defaults = dict(zip(kind.__struct_fields__[::-1], kind.__struct_defaults__[::-1], strict=False))
    changes = []
    for name in kind.__struct_fields__:
        if name in _UNTOLD or (before is None and name in _IDENTITY):
            continue
        now = getattr(after, name)
        then = getattr(before, name) if isinstance(before, kind) else None
        if then == now or (before is None and (now in ("", (), {}) or now == defaults.get(name))):
            continue
        if name in shown:
            changes.append(FieldChange(name=name, before=_told(then), after=_told(now)))
        else:
            changes.append(FieldChange(name=name))
    return tuple(changes)


def _told(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    text = msgspec.json.encode(value)
    return msgspec.json.decode(text) if len(text) <= _LONGEST else f"{text[:_LONGEST].decode(errors='ignore')}…"
