"""From a delivery record to the data of a publication: the event in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.records import headers_of
from connectors.bodies import cloudevents, event_service
from connectors.websocket.protocol import one_line
from schemas.avro import unframe
from schemas.codec import EventDecoder
from schemas.delivery import SourceOffset, event_headers
from schemas.errors import CorruptRecord
from schemas.event_service import is_socket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import Message


class PublicationRenderer:
    """Renders events; decoders are kept per schema.

    Args:
        catalog: knows the schemas and event types.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._decoders: dict[int, EventDecoder] = {}

    def prepare(self, messages: Iterable[Message]) -> None:
        """Make sure that the schemas of these records are known, if they exist: may block, so not for the event loop.

        Raises:
            Unavailable: Kafka cannot say.
        """
        for message in messages:
            value = message.value()
            schema_id = int.from_bytes((value or b"")[1:5], "big")
            if schema_id not in self._decoders and self._catalog.view.schema(schema_id) is None:
                self._catalog.catch_up()
                return

    def render(self, message: Message) -> bytes:
        """One line of CloudEvents JSON, or for an endpoint of the event service, of that family's.

        Raises:
            CorruptRecord: the record is no delivery of an event.
        """
        value = message.value()
        if value is None:
            raise CorruptRecord("a delivery without a value")
        headers = headers_of(message)
        named = dict(headers)
        source = named.get("hr_source")
        if source is None:
            raise CorruptRecord("not a delivery: it has no source")
        try:
            topic = SourceOffset.parse(source.decode()).topic
        except ValueError as error:
            raise CorruptRecord(f"not a delivery: {error}") from error
        event_type = self._catalog.view.event_type(topic)
        event = self._decoder(value).decode(value)
        own = dict(event_headers(headers))
        endpoint = self._catalog.view.endpoint(named.get("hr_endpoint", b"").decode(errors="replace"))
        if endpoint is not None and is_socket(endpoint):
            workspace = self._catalog.view.workspace(endpoint.workspace)
            own[event_service.WORKSPACE_ID] = b"" if workspace is None else workspace.id.encode()
            return one_line(event_service.render(event, own, None))
        return one_line(cloudevents.render(event, own, event_type.namespace if event_type else None))

    def _decoder(self, value: bytes) -> EventDecoder:
        schema_id, _ = unframe(value)
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            schema = self._catalog.view.schema(schema_id)
            if schema is None:
                raise CorruptRecord(f"there is no schema {schema_id}")
            decoder = self._decoders[schema_id] = EventDecoder(schema.text)
        return decoder
