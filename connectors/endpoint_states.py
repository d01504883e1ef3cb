"""What the connectors learned of endpoints, shared by all of them through the compacted topic ``endpoint-state``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.endpoint_states import PAUSE, EndpointStateView
from backbone.kafka.records import Record
from schemas import topics
from schemas.delivery import EndpointState

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.settings import KafkaSettings
    from schemas.subscription import Endpoint

_ENCODER = msgspec.json.Encoder()

_REFRESH = "/refresh"
"""After the endpoint's id in the key of a refresh token."""


class KeptToken(NamedTuple):
    """A sealed refresh token, and the keyed hash of the registered one that it came in place of."""

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

    def pause(self, endpoint: Endpoint, until: int, now: int) -> Record | None:
        """Send nothing before ``until`` (milliseconds since the epoch); None when that is so already.

        Args:
            endpoint: as it was when it was asked.
            until: milliseconds since the epoch.
            now: microseconds since the epoch.
        """
        pause = EndpointState(endpoint=endpoint.id, paused_until=until, edited_at=endpoint.updated_at, changed_at=now)
        return self._change(pause, endpoint.id + PAUSE) if self._outlasts(pause) else None

    def disable(self, endpoint: str, reason: str, now: int) -> Record:
        """Send nothing any more, until the endpoint is edited or enabled; ``now`` in microseconds since the epoch."""
        return self._change(EndpointState(endpoint=endpoint, disabled_reason=reason, changed_at=now), endpoint)

    def refresh_token(self, endpoint: str) -> KeptToken | None:
        """The refresh token that the endpoint's OAuth server gave last, if it ever gave one."""
        return self._refresh_tokens.get(endpoint)

    def keep_refresh_token(self, endpoint: str, sealed: str, *, succeeds: str, now: int) -> Record:
        """Go on with this refresh token; ``now`` in microseconds since the epoch."""
        state = EndpointState(endpoint=endpoint, refresh_token=sealed, succeeds=succeeds, changed_at=now)
        return self._change(state, endpoint + _REFRESH)

    def _change(self, state: EndpointState, key: str) -> Record:
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
