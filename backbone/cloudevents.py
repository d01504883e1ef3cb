"""An event as CloudEvents 1.0 in structured JSON mode: the body of our own webhooks, and what projections see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.avro.codec import DecodedEvent

_ENCODER = msgspec.json.Encoder()
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class _CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Attributes in the order of the specification, then extensions of ours: the client that published, and others.

    Extension values are scalars, so ``identifiers`` is JSON text: a list of name and value.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str
    datacontenttype: str
    dataschema: str | None = None
    clientid: str
    namespace: str | None = None
    channel: str | None = None
    identifiers: str | None = None
    data: msgspec.Raw


def cloudevent(event: DecodedEvent, headers: Mapping[str, bytes], namespace: str | None) -> bytes:
    """Return the JSON of one event, equal on every try.

    Args:
        event: decoded from its record's value.
        headers: the event's own.
        namespace: of the event type; None when the type is gone.
    """
    rendered = _CloudEvent(
        specversion="1.0",
        # A record of an earlier release has the producer's id only here.
        id=headers["ce_id"].decode() if "ce_id" in headers else event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        time=_time(event),
        datacontenttype=event.datacontenttype or "application/json",
        dataschema=event.dataschema,
        clientid=event.clientid,
        namespace=namespace,
        channel=event.channel,
        identifiers=_ENCODER.encode(event.identifiers).decode() if event.identifiers else None,
        data=msgspec.Raw(event.data_json()),
    )
    if not event.extensions:
        return _ENCODER.encode(rendered)
    members = {name: getattr(rendered, name) for name in rendered.__struct_fields__}
    data = members.pop("data")
    # An extension of the producer that is named like one of ours stays the producer's.
    members |= event.extension_values()
    return _ENCODER.encode({name: value for name, value in members.items() if value is not None} | {"data": data})


def _time(event: DecodedEvent) -> str:
    """As sent, where that is a CloudEvents timestamp; else the same instant in RFC 3339."""
    sent = event.time_text
    return sent if _RFC_3339.fullmatch(sent) else timestamps.to_text(event.time)
