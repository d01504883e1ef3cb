"""The body of an eventhos action without a template of its own: the event as it was posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.access import Client
    from schemas.codec import DecodedEvent

CONTENT_TYPE = "application/json"


def render(
    event: DecodedEvent,
    headers: Mapping[str, bytes],  # noqa: ARG001  # every body's arguments; here the event says it all
    namespace: str | None,  # noqa: ARG001  # likewise
    publisher: Client | None = None,  # noqa: ARG001  # likewise
) -> bytes:
    """The event's JSON, digit for digit."""
    return event.data_json()
