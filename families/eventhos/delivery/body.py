"""The body of an eventhos action without a template: the event as it was posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.shared.body import OutgoingEvent

CONTENT_TYPE = "application/json"


def render(outgoing: OutgoingEvent) -> bytes:
    """Return the event's JSON, digit for digit."""
    return outgoing.event.data_json()
