"""What the event-service (GraphQL) family shows of an event, and its way of saying which events a filter selects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.subscription import BodyFormat, Endpoint, EndpointType, TypeSelection

ANY = "*"

UNLINKED = "unlinked_at"
"""The endpoint option that says since when (microseconds since the epoch) a socket endpoint has no event filter.

An empty text in a catalog record means the record's own append time, which the catalog view fills in.
"""

CAMERAS, AGENTS = "cameraId", "agentId"
"""Members of an event's data that say where it comes from."""

PROFILE_GROUPS = ("profileGroupIds", "profileGroupId")
"""Members of an event's data that may name profile groups: a list, or one."""

_LONGEST_MICROS = 18
"""Digits: no time that a record can have has more."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER = msgspec.json.Encoder()


class EventOutput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event as this family's clients know it; times as text with microseconds, ``data`` as it was published."""

    id: str
    date: str
    creation_date: str
    last_modified: str
    type: str
    camera_id: str | None
    agent_id: str | None
    workspace_id: str
    data: msgspec.Raw


class _Places(msgspec.Struct, rename="camel"):
    camera_id: Any = None
    agent_id: Any = None


_PLACES = msgspec.json.Decoder(_Places)


def event_output(
    *, event_id: str, code: str, time: int, received_at: int, data: bytes, workspace_id: str
) -> EventOutput:
    """An event in this family's form.

    Args:
        event_id: its id.
        code: the event type's code.
        time: when it happened, microseconds since the epoch.
        received_at: when it was accepted, likewise; it is never changed afterwards.
        data: JSON text.
        workspace_id: the UUID of its workspace.
    """
    camera, agent = places(data)
    received = date_text(received_at)
    return EventOutput(
        id=event_id,
        date=date_text(time),
        creation_date=received,
        last_modified=received,
        type=code,
        camera_id=camera,
        agent_id=agent,
        workspace_id=workspace_id,
        data=msgspec.Raw(data),
    )


def places(data: bytes) -> tuple[str | None, str | None]:
    """The camera and the agent that an event's data (JSON text) names."""
    try:
        found = _PLACES.decode(data)
    except (msgspec.DecodeError, RecursionError):
        # Any JSON may be published, not only objects.
        return None, None
    return _id_text(found.camera_id), _id_text(found.agent_id)


def date_text(micros: int) -> str:
    """An instant as this family spells it: ``2024-05-22T08:55:23.460103+00:00``, always with six digits."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds")


def is_socket(endpoint: Endpoint) -> bool:
    """Whether it is one of this family's WEB_SOCKET endpoints: without an event filter they get all events."""
    return endpoint.type is EndpointType.WEB_SOCKET and endpoint.body is BodyFormat.EVENT_SERVICE


def is_ours(endpoint: Endpoint) -> bool:
    """Whether this family shows an endpoint: it knows websockets and webhooks only."""
    return endpoint.body is BodyFormat.EVENT_SERVICE and endpoint.type is not EndpointType.FILE


def is_unlinked_at(text: str) -> bool:
    """Whether a text is one that the option ``UNLINKED`` can have."""
    return text == "" or (text.isascii() and text.isdigit() and len(text) <= _LONGEST_MICROS)


def unlinked_at(endpoint: Endpoint) -> int:
    """Since when an endpoint has no event filter, microseconds since the epoch; 0 where nothing says so.

    Options are the client's own: what is in there must not stop the router.
    """
    text = endpoint.options.get(UNLINKED, "")
    return int(text or 0) if is_unlinked_at(text) else 0


class ConditionFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Which events: AND across the members, OR within each; an empty list does not restrict."""

    camera_ids: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] = ()
    profile_group_ids: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The members that restrict, as JSON has them."""
        members: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(self))
        return members

    def selections(self) -> tuple[TypeSelection, ...]:
        """The event types by their codes, in any namespace of the workspace; all types when none is named."""
        codes = tuple(dict.fromkeys(self.event_types)) or (ANY,)
        return tuple(TypeSelection(namespace=ANY, code=code) for code in codes)

    def condition(self) -> str | None:
        """The rest in the filter language (``schemas.filters``); None when it does not restrict."""
        data: dict[str, list[str]] = {}
        if self.camera_ids:
            data[CAMERAS] = list(self.camera_ids)
        if self.agent_ids:
            data[AGENTS] = list(self.agent_ids)
        pattern: dict[str, Any] = {"data": data} if data else {}
        if self.profile_group_ids:
            pattern["$or"] = [{"data": {member: list(self.profile_group_ids)}} for member in PROFILE_GROUPS]
        return _ENCODER.encode(pattern).decode() if pattern else None


def _id_text(value: Any) -> str | None:
    """An id as JSON may hold it: text or an integer."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
