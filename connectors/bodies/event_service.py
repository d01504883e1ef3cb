"""The body of the event service's webhooks, and the message on its websockets: one event as its queries show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.event_service import event_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.access import Client
    from schemas.codec import DecodedEvent

CONTENT_TYPE = "application/json"

WORKSPACE_ID = "workspace_id"
"""Beside the event's headers: the UUID of its workspace, which no record of it says."""

_ENCODER = msgspec.json.Encoder()


def render(
    event: DecodedEvent,
    headers: Mapping[str, bytes],
    namespace: str | None,  # noqa: ARG001  # a type's code is enough for this family's clients
    publisher: Client | None = None,  # noqa: ARG001  # they are not told who published
) -> bytes:
    """The JSON of one event, equal on every try.

    Args:
        event: as decoded from the record's value.
        headers: the event record's own headers, and ``WORKSPACE_ID``.
        namespace: of the event type.
        publisher: the event's source.
    """
    return _ENCODER.encode(
        event_output(
            event_id=event.event_id,
            code=event.code,
            time=event.time,
            received_at=event.received_at,
            data=event.data_json(),
            workspace_id=headers.get(WORKSPACE_ID, b"").decode(),
        )
    )
