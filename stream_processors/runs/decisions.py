"""What a run makes of one record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.endpoint import EndpointType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.kafka.records import ConsumedRecord
    from schemas.model.delivery import Delivery, Headers
    from schemas.model.endpoint import Endpoint

NO_ENDPOINT = "the endpoint was deleted"
DISABLED = "the endpoint is disabled"
NO_WEBHOOK = "the endpoint is no webhook"
UNREADABLE = "the event cannot be read"


class Decision(NamedTuple):
    """A delivery with its record, a mark, or the reason why there is no delivery though one was wanted."""

    delivery: Delivery | None = None
    record: Record | None = None
    mark: Record | None = None
    skipped: str | None = None


class Rule(Protocol):
    """Decides about one record after the other."""

    def decide(self, message: ConsumedRecord, now: int) -> Decision | None:
        """What a record comes to; None if the run is not about it. ``now`` in microseconds since the epoch."""

    def committed(self, messages: Iterable[ConsumedRecord]) -> None:
        """Take note that what was decided about these records is written."""


def why_not(endpoint: Endpoint | None) -> str | None:
    """Why nothing can be sent to an endpoint, or None."""
    if endpoint is None:
        return NO_ENDPOINT
    if endpoint.type is not EndpointType.WEB_HOOK:
        return NO_WEBHOOK
    return None if endpoint.enabled else DISABLED


def replayed(value: bytes | None, own: Headers, delivery: Delivery, mark: Record | None = None) -> Decision:
    """A delivery of a run: the event's bytes and headers, on the topic that live deliveries do not wait for."""
    headers = own + delivery.to_headers()
    return Decision(delivery, Record(topics.WEBHOOK_REPLAYS, value, delivery.record_key, headers), mark)
