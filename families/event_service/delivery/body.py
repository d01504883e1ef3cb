"""The body of the event service's webhooks, and the message on its websockets: one event as its queries show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from families.event_service.delivery.output import event_output

if TYPE_CHECKING:
    from connectors.shared.body import OutgoingEvent

CONTENT_TYPE = "application/json"

_ENCODER = msgspec.json.Encoder()


def render(outgoing: OutgoingEvent) -> bytes:
    """Return the JSON of one event, equal on every try. It names the workspace by its UUID, not the publisher."""
    event = outgoing.event
    return _ENCODER.encode(
        event_output(
            event_id=event.event_id,
            code=event.code,
            time=event.time,
            received_at=event.received_at,
            data=event.data_json(),
            workspace_id=outgoing.workspace_id,
        )
    )
