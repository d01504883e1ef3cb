"""From a delivery record to its line in an event file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from connectors.rendering import BODIES
from schemas.avro import unframe
from schemas.codec import EventDecoder
from schemas.delivery import SourceOffset
from schemas.errors import CorruptRecord

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Message
    from schemas.codec import DecodedEvent

log = logging.getLogger(__name__)


class LineRenderer:
    """Renders what an endpoint's family expects, as one JSON object a line; decoders are kept per schema.

    The body is that which would be sent to a webhook, with the member ``offset`` before the others: of the record on
    ``deliveries.file``. It grows within a chain, and a file's last one says where the chain goes on.

    Args:
        catalog: knows endpoints, event types, schemas and publishers.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._decoders: dict[int, EventDecoder] = {}
        self._gone: set[str] = set()

    def line(self, message: Message, headers: dict[str, bytes], endpoint_id: str) -> bytes | None:
        """The line, ending in a line feed; None when the endpoint is gone.

        Raises:
            CorruptRecord: the event cannot be read, or its endpoint wants a body that there is not.
            Unavailable: Kafka cannot say whether the endpoint or the schema exists.
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
        body = BODIES.get(endpoint.body)
        if body is None:
            raise CorruptRecord(f"endpoint {endpoint_id} wants the body {endpoint.body.value}, which there is not")
        event = self._decode(message.value())
        event_type = view.event_type(_topic(headers))
        namespace = event_type.namespace if event_type else None
        try:
            rendered = body.render(event, headers, namespace, view.client(event.clientid))
        except Exception as error:  # one record that our own code cannot handle must not stop the others
            log.exception("cannot render a line", extra={"offset": message.offset()})
            raise CorruptRecord(f"cannot be rendered: {error!r}") from error
        # Open data comes as it was received, line feeds between its members included.
        rendered = rendered.replace(b"\n", b" ").replace(b"\r", b" ")
        return b'{"offset":%d,%b\n' % (message.offset() or 0, rendered[1:])

    def publisher(self, message: Message) -> str:
        """Who published the event, of a record whose headers do not say.

        Raises:
            CorruptRecord: the event cannot be read, or nobody did.
            Unavailable: Kafka cannot say whether the schema exists.
        """
        found = self._decode(message.value()).clientid
        if not found:
            raise CorruptRecord("nobody published it")
        return found

    def _decode(self, value: bytes | None) -> DecodedEvent:
        if value is None:
            raise CorruptRecord("a delivery without a value")
        schema_id, _ = unframe(value)
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            schema = self._catalog.view.schema(schema_id)
            if schema is None:
                self._catalog.catch_up()
                schema = self._catalog.view.schema(schema_id)
            if schema is None:
                raise CorruptRecord(f"there is no schema {schema_id}")
            decoder = self._decoders[schema_id] = EventDecoder(schema.text)
        return decoder.decode(value)


def _topic(headers: dict[str, bytes]) -> str:
    try:
        return SourceOffset.parse(headers["hr_source"].decode()).topic
    except (KeyError, ValueError, AttributeError) as error:
        raise CorruptRecord(f"not a delivery: {error!r}") from error
