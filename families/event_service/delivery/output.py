"""One event as the clients of the event service (GraphQL) know it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def _id_text(value: Any) -> str | None:
    """An id as JSON may hold it: text or an integer."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
