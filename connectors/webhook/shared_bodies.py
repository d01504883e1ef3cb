"""Renders the body of an event once for all the endpoints that get it: their deliveries come one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.shared.body import Body, OutgoingEvent
    from connectors.shared.event_reader import EventReader

_REMEMBERED = 256
"""Events. A partition has one event's deliveries in a row, and so few events are under way at a time."""

_LONGEST = 16_384
"""Bytes of an event's value; larger ones are rendered each time, so that all of them together are a few megabytes."""


class _Rendered(NamedTuple):
    outgoing: OutgoingEvent
    body: bytes


class SharedBodies:
    """Renders bodies; a body is taken again only where everything that it is made from is the same.

    Args:
        events: decodes them.
    """

    def __init__(self, events: EventReader) -> None:
        self._events = events
        self._rendered: dict[tuple[str, str, Body, bytes], _Rendered] = {}

    async def body(
        self, value: bytes | None, headers: Mapping[str, bytes], topic: str, workspace: str, body_format: Body
    ) -> bytes:
        """Return the body of an event.

        Args:
            value: of its record.
            headers: the event's own.
            topic: of the event.
            workspace: name of the endpoint's workspace.
            body_format: renders it.

        Raises:
            CorruptRecord: the event cannot be read.
            Unavailable: Kafka does not tell whether its schema exists.
        """
        key = topic, workspace, body_format, value or b""
        known = self._rendered.get(key)
        if known is not None:
            # What the catalog says of its type and its publisher may have changed.
            outgoing = self._events.outgoing(known.outgoing.event, headers, topic, workspace)
            if outgoing == known.outgoing:
                return known.body
        event = await self._events.decode(value)
        outgoing = self._events.outgoing(event, headers, topic, workspace)
        body = body_format.render(outgoing)
        if len(key[-1]) <= _LONGEST:
            if len(self._rendered) >= _REMEMBERED:
                del self._rendered[next(iter(self._rendered))]
            self._rendered[key] = _Rendered(outgoing, body)
        return body
