"""From a delivery record to its line in an event file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from connectors.shared.event_reader import EventReader
from schemas.model.delivery import SourceOffset
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import ConsumedRecord
    from connectors.shared.body import Bodies

log = logging.getLogger(__name__)


class LineRenderer:
    """Renders deliveries in the format that their endpoint asks for, as one JSON object a line.

    The body is that of a webhook, with the member ``offset`` before the others: the offset of the record on
    ``deliveries.file``. It grows within a chain, and the last one of a file tells where the chain goes on.

    Args:
        catalog: knows endpoints, event types, schemas and publishers.
        bodies: the formats that endpoints may ask for.
    """

    def __init__(self, catalog: Catalog, bodies: Bodies) -> None:
        self._catalog = catalog
        self._events = EventReader(catalog)
        self._bodies = bodies
        self._gone: set[str] = set()

    def line(self, message: ConsumedRecord, headers: dict[str, bytes], endpoint_id: str) -> bytes | None:
        """Render the line, ending in a line feed; None when the endpoint is gone.

        Raises:
            CorruptRecord: the event cannot be read, or the endpoint asks for an unknown format.
            Unavailable: Kafka does not tell whether the endpoint or the schema exists.
        """
        view = self._catalog.view
        endpoint = view.endpoint(endpoint_id)
        if endpoint is None:
            if endpoint_id in self._gone:
                return None
            # It may be newer than what was read of the catalog; the record is newer than the endpoint.
            self._catalog.catch_up()
            endpoint = view.endpoint(endpoint_id)
            if endpoint is None:
                self._gone.add(endpoint_id)
                return None
        body = self._bodies.get(endpoint.body)
        if body is None:
            raise CorruptRecord(f"endpoint {endpoint_id} wants the body {endpoint.body}, which there is not")
        event = self._events.decode_now(message.value())
        outgoing = self._events.outgoing(event, headers, _topic(headers), endpoint.workspace)
        try:
            rendered = body.render(outgoing)
        except Exception as error:  # one record that our own code cannot handle must not stop the others
            log.exception("cannot render a line", extra={"offset": message.offset()})
            raise CorruptRecord(f"cannot be rendered: {error!r}") from error
        # Open data comes as it was received, line feeds between its members included.
        rendered = rendered.replace(b"\n", b" ").replace(b"\r", b" ")
        return b'{"offset":%d,%b\n' % (message.offset(), rendered[1:])

    def publisher(self, message: ConsumedRecord) -> str:
        """The event's publisher, for a record whose headers do not name it.

        Raises:
            CorruptRecord: the event cannot be read, or names no publisher.
            Unavailable: Kafka does not tell whether the schema exists.
        """
        found = self._events.decode_now(message.value()).clientid
        if not found:
            raise CorruptRecord("nobody published it")
        return found


def _topic(headers: dict[str, bytes]) -> str:
    try:
        return SourceOffset.parse(headers["hr_source"].decode()).topic
    except (KeyError, ValueError, AttributeError) as error:
        raise CorruptRecord(f"not a delivery: {error!r}") from error
