"""Decoding events with the catalog's schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.avro.codec import DecodedEvent, EventDecoder
from schemas.avro.schema import unframe
from schemas.model.errors import UnknownSchema

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.reader import Catalog

_MOST_DATA_DECODERS = 10_000
"""That are kept: what the conditions look at changes with each filter that comes or goes."""


class Decoders:
    """One prepared decoder per schema id, from the catalog's schemas."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._decoders: dict[int, EventDecoder] = {}
        self._data_decoders: dict[tuple[int, frozenset[str]], Callable[[bytes], Any]] = {}

    def decode(self, value: bytes) -> DecodedEvent:
        """Decode a framed event.

        Raises:
            UnknownSchema: its schema is not in the catalog, as far as it has been read.
            CorruptRecord: it is no event.
        """
        return self._decoder(unframe(value)[0]).decode(value)

    def knows(self, value: bytes) -> bool:
        """Whether the schema of a framed event is in the catalog, as far as it has been read."""
        schema_id = int.from_bytes(value[1:5], "big")
        return schema_id in self._decoders or self._catalog.view.schema(schema_id) is not None

    def data_value(self, value: bytes, attributes: frozenset[str]) -> Any:
        """The ``data_value`` of a framed event; of a typed one no other attributes than these are looked at.

        Raises:
            CorruptRecord: as in ``decode``.
        """
        schema_id, _ = unframe(value)
        decoder = self._data_decoders.get((schema_id, attributes))
        if decoder is None:
            decoder = self._decoder(schema_id).data_decoder(attributes)
            if len(self._data_decoders) >= _MOST_DATA_DECODERS:
                self._data_decoders.clear()
            self._data_decoders[schema_id, attributes] = decoder
        return decoder(value)

    def _decoder(self, schema_id: int) -> EventDecoder:
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            schema = self._catalog.view.schema(schema_id)
            if schema is None:
                raise UnknownSchema(f"schema {schema_id} is not registered")
            decoder = self._decoders[schema_id] = EventDecoder(schema.text)
        return decoder
