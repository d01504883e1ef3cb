"""The body that tells an Exchange endpoint of a changed subscription: one flat JSON object of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from families.exchange.catalog.consequences import ATTRIBUTES

if TYPE_CHECKING:
    from connectors.shared.body import OutgoingEvent

CONTENT_TYPE = "application/json"

_ENCODER = msgspec.json.Encoder()


def render(outgoing: OutgoingEvent) -> bytes:
    """Return the JSON of one notification, equal on every try; of another event the members that a notification has."""
    try:
        data = msgspec.json.decode(outgoing.event.data_json(), type=dict[str, Any])
    except msgspec.ValidationError:
        data = {}
    return _ENCODER.encode({each.name: data[each.name] for each in ATTRIBUTES if data.get(each.name) is not None})
