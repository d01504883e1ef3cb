"""How large the record of an event may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES
from schemas.model.errors import PayloadTooLarge, Problem

if TYPE_CHECKING:
    from schemas.model.delivery import Headers

SMALL = 100_000
"""Bytes of a record's main parts. Below this no limit can be exceeded, so the size is not calculated."""


def check_size(value: bytes, headers: Headers, key: bytes | None, place: str) -> None:
    """Refuse an event whose record Kafka would not take; ``place`` is its JSON path.

    Raises:
        PayloadTooLarge: it is one.
    """
    besides = sum(len(content) for _, content in headers) + len(key or b"")
    if len(value) > MAX_RECORD_BYTES or besides > MAX_HEADER_BYTES:
        limits = f"at most {MAX_RECORD_BYTES} and {MAX_HEADER_BYTES} are taken"
        message = f"is encoded in {len(value)} bytes, with {besides} bytes of headers; {limits}"
        raise PayloadTooLarge("An event is too large.", [Problem(path=place, message=message)])
