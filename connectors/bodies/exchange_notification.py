"""The body that tells an Exchange endpoint of a changed subscription: one flat JSON object of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.notices import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.access import Client
    from schemas.codec import DecodedEvent

CONTENT_TYPE = "application/json"

_ENCODER = msgspec.json.Encoder()


def render(
    event: DecodedEvent,
    headers: Mapping[str, bytes],  # noqa: ARG001  # every body's arguments
    namespace: str | None,  # noqa: ARG001  # likewise
    publisher: Client | None = None,  # noqa: ARG001  # the endpoint that is told: it knows itself
) -> bytes:
    """The JSON of one notification, equal on every try; of any other event what it has of a notification's members."""
    try:
        data = msgspec.json.decode(event.data_json(), type=dict[str, Any])
    except msgspec.ValidationError:
        data = {}
    return _ENCODER.encode({each.name: data[each.name] for each in ATTRIBUTES if data.get(each.name) is not None})
