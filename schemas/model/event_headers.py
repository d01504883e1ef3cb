"""The headers of an event's record: the Kafka protocol binding of CloudEvents in binary mode, and the gateway's id.

The ``ce_`` headers are the producer's attributes as sent, and ``ce_clientid`` is who published. ``content-type`` says
what the record's value is, so a ``datacontenttype`` of the producer has a header of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import timestamps
from schemas.model.event import extension_text

if TYPE_CHECKING:
    from schemas.model.delivery import Headers
    from schemas.model.event import EventDraft

EVENT_ID = "hr_event"
"""The gateway's id of the event; a delivery's record has the same header."""

CLIENT = "ce_clientid"

_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")


class EventHeaders:
    """Makes the headers of events of one type that one client publishes."""

    def __init__(self, client: str, code: str) -> None:
        self._client = client
        self._source = ("ce_source", client.encode())
        self._clientid = (CLIENT, client.encode())
        self._type = ("ce_type", code.encode())
        # The events of one request are received at one moment. Replaced as a whole, so threads may race.
        self._received = (-1, ("ce_time", b""))
        self._datacontenttype = ("", ("ce_datacontenttype", b""))

    def __call__(self, draft: EventDraft, event_id: str, received_at: int) -> Headers:
        """The headers of one event; ``received_at`` is in microseconds since the epoch."""
        own_id = event_id.encode()
        source, kind = draft.source, draft.type
        headers: Headers = [
            _SPECVERSION,
            ("ce_id", own_id if draft.producer_id is None else draft.producer_id.encode()),
            self._source if source is None or source == self._client else ("ce_source", source.encode()),
            self._type if kind is None else ("ce_type", kind.encode()),
            self._time(draft, received_at),
            self._clientid,
            (EVENT_ID, own_id),
            _CONTENT_TYPE,
        ]
        if draft.subject is not None:
            headers.append(("ce_subject", draft.subject.encode()))
        if source is not None:
            if draft.dataschema is not None:
                headers.append(("ce_dataschema", draft.dataschema.encode()))
            if draft.datacontenttype is not None:
                known, header = self._datacontenttype
                if known != draft.datacontenttype:
                    header = ("ce_datacontenttype", draft.datacontenttype.encode())
                    self._datacontenttype = (draft.datacontenttype, header)
                headers.append(header)
            if draft.extensions:
                headers += [(f"ce_{name}", extension_text(value).encode()) for name, value in draft.extensions.items()]
        return headers

    def _time(self, draft: EventDraft, received_at: int) -> tuple[str, bytes]:
        if draft.time is None:
            instant, header = self._received
            if instant != received_at:
                header = ("ce_time", timestamps.to_text(received_at).encode())
                self._received = (received_at, header)
            return header
        # Only a CloudEvent's time is known to be spelled as CloudEvents asks for.
        spelled = draft.time_text if draft.source is not None else None
        return ("ce_time", (spelled or timestamps.to_text(draft.time)).encode())
