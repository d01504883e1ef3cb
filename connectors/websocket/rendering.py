"""Renders a delivery as the data of a publication: the event in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.records import headers_of
from connectors.shared.event_reader import EventReader
from connectors.websocket.protocol import one_line
from schemas.model.delivery import SourceOffset, event_headers
from schemas.model.endpoint import CLOUDEVENTS, BodyFormat, EndpointType
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from backbone.catalog.reader import Catalog
    from backbone.kafka.records import ConsumedRecord
    from connectors.shared.body import Bodies
    from schemas.model.endpoint import Endpoint


class PublicationRenderer:
    """Renders events.

    Args:
        catalog: knows the schemas and event types.
        bodies: the formats that endpoints may ask for.
        own_formats: formats that families have for socket endpoints; all other endpoints get CloudEvents.
    """

    def __init__(self, catalog: Catalog, bodies: Bodies, own_formats: Collection[BodyFormat]) -> None:
        self._catalog = catalog
        self._events = EventReader(catalog)
        self._bodies = bodies
        self._own_formats = own_formats

    def prepare(self, messages: Iterable[ConsumedRecord]) -> None:
        """Load the schemas of these records, if they exist. Blocks; do not call it on the event loop.

        Raises:
            Unavailable: Kafka does not answer.
        """
        self._events.prepare(message.value() for message in messages)

    def render(self, message: ConsumedRecord) -> bytes:
        """One line of JSON: a CloudEvent, or the family's own form for a socket endpoint of such a family.

        Raises:
            CorruptRecord: the record is no delivery of an event.
        """
        value = message.value()
        headers = headers_of(message)
        named = dict(headers)
        source = named.get("hr_source")
        if source is None:
            raise CorruptRecord("not a delivery: it has no source")
        try:
            topic = SourceOffset.parse(source.decode()).topic
        except ValueError as error:
            raise CorruptRecord(f"not a delivery: {error}") from error
        endpoint = self._catalog.view.endpoint(named.get("hr_endpoint", b"").decode(errors="replace"))
        event = self._events.decode_known(value)
        workspace = endpoint.workspace if endpoint else ""
        outgoing = self._events.outgoing(event, dict(event_headers(headers)), topic, workspace)
        return one_line(self._bodies[self._format_for(endpoint)].render(outgoing))

    def _format_for(self, endpoint: Endpoint | None) -> BodyFormat:
        if endpoint is None or endpoint.type is not EndpointType.WEB_SOCKET:
            return CLOUDEVENTS
        return endpoint.body if endpoint.body in self._own_formats else CLOUDEVENTS
