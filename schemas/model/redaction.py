"""The decision that an event's payload is to be forgotten, a record of its own: it is obeyed again at every rebuild."""

from __future__ import annotations

import msgspec

from schemas.model.errors import CorruptRecord
from schemas.model.timestamps import Micros


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """As JSON on ``redactions``, a compacted topic.

    Attributes:
        workspace, event: the workspace's name, and the gateway's id of the event.
        client: who decided it.
        redacted_at: microseconds since the epoch.
    """

    workspace: str
    event: str
    client: str
    redacted_at: Micros

    @property
    def key(self) -> bytes:
        """Of its record."""
        return f"{self.workspace}/{self.event}".encode()

    def to_json(self) -> bytes:
        """As the record's value."""
        return msgspec.json.encode(self)


_REDACTION = msgspec.json.Decoder(Redaction)


def read_redaction(value: bytes) -> Redaction:
    """Read a record's value.

    Raises:
        CorruptRecord: it is something else.
    """
    try:
        return _REDACTION.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptRecord(f"not a redaction: {error}") from error
