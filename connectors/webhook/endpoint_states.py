"""Pauses and disablings of endpoints, shared by all connectors through the compacted topic ``endpoint-state``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.endpoint_states import PAUSE, EndpointStateView
from backbone.kafka.records import Record
from connectors.webhook.raised_events import RaisedEvents
from schemas.model import topics
from schemas.model.delivery import EndpointState
from schemas.model.endpoint_health import HEALTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.endpoint import Endpoint
    from schemas.model.endpoint_health import EndpointHealth
    from schemas.model.operational_event import OperationalEvent

    Raised = Sequence[OperationalEvent]

_ENCODER = msgspec.json.Encoder()

_MOST_GONE = 500
"""Tombstones that are written at a time."""

_REFRESH = "/refresh"
"""After the endpoint's id in the key of a refresh token."""


class KeptToken(NamedTuple):
    """An encrypted refresh token, and the keyed hash of the registered one that it replaces."""

    refresh_token: str
    succeeds: str


class EndpointStates(EndpointStateView):
    """The view, refresh tokens with it, and the records that change it.

    A change counts in this process at once, before its record is acknowledged: the next delivery must not be tried in
    between.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        super().__init__(settings, on_stall)
        self._refresh_tokens: dict[str, KeptToken] = {}
        self._raising = RaisedEvents()

    def pause(self, endpoint: Endpoint, until: int, now: int, raised: Raised = ()) -> Record | None:
        """Send nothing before ``until``; None when the endpoint is paused for as long already.

        Args:
            endpoint: as it was when the request was sent.
            until: milliseconds since the epoch.
            now: microseconds since the epoch.
            raised: operational events that come with it.
        """
        pause = EndpointState(
            endpoint=endpoint.id,
            paused_until=until,
            edited_at=endpoint.updated_at,
            raised=tuple(raised),
            changed_at=now,
        )
        return self._change(pause, endpoint.id + PAUSE) if self._outlasts(pause) else None

    def disable(self, endpoint: str, reason: str, now: int, raised: Raised = ()) -> Record:
        """Send nothing any more, until the endpoint is edited or enabled; ``now`` in microseconds since the epoch."""
        state = EndpointState(endpoint=endpoint, disabled_reason=reason, raised=tuple(raised), changed_at=now)
        return self._change(state, endpoint)

    def keep_health(
        self, endpoint: str, health: EndpointHealth, *, edited_at: int, now: int, raised: Raised = ()
    ) -> Record:
        """Share the health of an endpoint as it was last edited at ``edited_at`` (microseconds since the epoch)."""
        state = EndpointState(
            endpoint=endpoint, health=health, edited_at=edited_at, raised=tuple(raised), changed_at=now
        )
        return self._change(state, endpoint + HEALTH)

    def of_deleted(self, view: CatalogView, before: int) -> list[Record]:
        """Tombstones for the healths of endpoints that are gone.

        Args:
            view: has the endpoints.
            before: microseconds since the epoch; a health of later may be of an endpoint that this process has not
                read yet.
        """
        healths = list(self._healths.items())
        gone = [
            endpoint for endpoint, state in healths if state.changed_at < before and view.endpoint(endpoint) is None
        ]
        return [Record(topics.ENDPOINT_STATE, None, f"{endpoint}{HEALTH}".encode()) for endpoint in gone[:_MOST_GONE]]

    def to_publish(self, now: int) -> dict[str, EndpointState]:
        """The states in Kafka, by key, whose events are to be published by this process; see ``RaisedEvents``."""
        return self._raising.to_publish(now)

    def published(self, key: str, state: EndpointState) -> Record | None:
        """The record that says that the events of a state are published; None if a newer one of its key is under way.

        That one has the events, too.
        """
        if not self._raising.settle(key, state):
            return None
        return Record(topics.ENDPOINT_STATE, _ENCODER.encode(msgspec.structs.replace(state, raised=())), key.encode())

    def apply(self, message: ConsumedRecord) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is no endpoint state.
        """
        state = self._read(message)
        if state is not None:
            self._raising.read((message.key() or b"").decode(errors="replace"), state)

    def refresh_token(self, endpoint: str) -> KeptToken | None:
        """The last refresh token of the endpoint's OAuth server, if it rotated one."""
        return self._refresh_tokens.get(endpoint)

    def keep_refresh_token(self, endpoint: str, sealed: str, *, succeeds: str, now: int) -> Record:
        """Use this refresh token from now on; ``now`` in microseconds since the epoch."""
        state = EndpointState(endpoint=endpoint, refresh_token=sealed, succeeds=succeeds, changed_at=now)
        return self._change(state, endpoint + _REFRESH)

    def _change(self, state: EndpointState, key: str) -> Record:
        state = self._raising.with_others(key, state)
        self._note(state)
        return Record(topics.ENDPOINT_STATE, _ENCODER.encode(state), key.encode())

    def _note(self, state: EndpointState) -> None:
        super()._note(state)
        if state.refresh_token is not None and state.succeeds is not None:
            self._refresh_tokens[state.endpoint] = KeptToken(state.refresh_token, state.succeeds)

    def _forget(self, key: str) -> None:
        super()._forget(key)
        if key.endswith(_REFRESH):
            self._refresh_tokens.pop(key.removesuffix(_REFRESH), None)
