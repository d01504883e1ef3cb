"""The body of our own webhooks: CloudEvents 1.0 in structured JSON mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.cloudevents import cloudevent

if TYPE_CHECKING:
    from connectors.shared.body import OutgoingEvent

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def render(outgoing: OutgoingEvent) -> bytes:
    """Return the JSON of one event, equal on every try."""
    return cloudevent(outgoing.event, outgoing.headers, outgoing.namespace)
