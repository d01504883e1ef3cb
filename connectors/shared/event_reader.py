"""Decodes the events of delivery records, and looks up their type and publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.decoders import Decoders
from connectors.shared.body import OutgoingEvent
from schemas.model.errors import CorruptRecord, UnknownSchema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backbone.catalog.reader import Catalog
    from schemas.avro.codec import DecodedEvent


class EventReader:
    """Reads events with the schemas of the catalog; one decoder is kept per schema.

    A schema may be newer than this process's copy of the catalog. There are three ways to bring the copy up to date:
    ``decode`` waits on the event loop, ``decode_now`` blocks, ``prepare`` blocks once for a batch.

    Args:
        catalog: has the schemas, event types, clients and workspaces.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._decoders = Decoders(catalog)

    async def decode(self, value: bytes | None) -> DecodedEvent:
        """Decode a delivery's value.

        Raises:
            CorruptRecord: it is no event, or its schema does not exist.
            Unavailable: Kafka does not tell whether the schema exists.
        """
        try:
            return self.decode_known(value)
        except UnknownSchema:
            await self._catalog.caught_up()
        return self.decode_known(value)

    def decode_now(self, value: bytes | None) -> DecodedEvent:
        """``decode`` for a thread of its own: blocks."""
        try:
            return self.decode_known(value)
        except UnknownSchema:
            self._catalog.catch_up()
        return self.decode_known(value)

    def decode_known(self, value: bytes | None) -> DecodedEvent:
        """Decode a delivery's value with the schemas that have been read.

        Raises:
            UnknownSchema: its schema has not been read.
            CorruptRecord: it is no event.
        """
        if value is None:
            raise CorruptRecord("a delivery without a value")
        return self._decoders.decode(value)

    def prepare(self, values: Iterable[bytes | None]) -> None:
        """Make sure that ``decode_known`` knows the schemas of these values, if they exist. Blocks.

        Raises:
            Unavailable: Kafka does not tell whether they exist.
        """
        if not all(self._decoders.knows(value or b"") for value in values):
            self._catalog.catch_up()

    def outgoing(self, event: DecodedEvent, headers: Mapping[str, bytes], topic: str, workspace: str) -> OutgoingEvent:
        """Add the parts of the catalog that a body may show.

        Args:
            event: as it was decoded.
            headers: the event's own.
            topic: of the event.
            workspace: name of the endpoint's workspace.
        """
        view = self._catalog.view
        event_type, owner = view.event_type(topic), view.workspace(workspace)
        return OutgoingEvent(
            event,
            headers,
            event_type.namespace if event_type else None,
            view.client(workspace, event.clientid),
            owner.id if owner else "",
        )
