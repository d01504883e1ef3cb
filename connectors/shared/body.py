"""The seam between a connector and the formats of its subscribers: an event in, the bytes of a body out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from schemas.avro.codec import DecodedEvent
    from schemas.model.access import Client
    from schemas.model.endpoint import BodyFormat


class OutgoingEvent(NamedTuple):
    """An event on its way to a subscriber, with the parts of the catalog that a body may show.

    Attributes:
        event: decoded from the record's value.
        headers: the event's own; ``ce_id`` is the producer's id where it gave one.
        namespace: of the event type; None when the type is gone.
        publisher: the client that published the event; None when it is gone.
        workspace_id: UUID of the workspace; empty when it is gone.
    """

    event: DecodedEvent
    headers: Mapping[str, bytes]
    namespace: str | None = None
    publisher: Client | None = None
    workspace_id: str = ""


class Body(Protocol):
    """A format of bodies; a module with these two names is one."""

    CONTENT_TYPE: str

    def render(self, outgoing: OutgoingEvent) -> bytes:
        """Return the body of one event. It must be equal on every try: receivers compare."""


Bodies = Mapping["BodyFormat", Body]
"""The formats that a process has, by the name that endpoints ask for."""
