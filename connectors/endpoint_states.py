"""What the connectors learned of endpoints, shared by all of them through the compacted topic ``endpoint-state``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.kafka.records import Record
from backbone.kafka.tail import TopicTail
from schemas import topics
from schemas.delivery import EndpointState
from schemas.errors import CorruptRecord

if TYPE_CHECKING:
    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings
    from schemas.subscription import Endpoint

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(EndpointState)

_PAUSE = "/pause"
"""After the endpoint's id in the key of a pause."""
_REFRESH = "/refresh"
"""After the endpoint's id in the key of a refresh token."""


class KeptToken(NamedTuple):
    """A sealed refresh token, and the keyed hash of the registered one that it came in place of."""

    refresh_token: str
    succeeds: str


class EndpointStates:
    """A view of ``endpoint-state``, and the records that change it.

    An endpoint's pause and its disabling are records with keys of their own, so that a worker that pauses an endpoint
    cannot undo a disabling by another worker that it has not read yet. A change counts in this process at once, before
    its record is acknowledged: the next delivery must not be tried in between.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._pauses: dict[str, EndpointState] = {}
        self._disablings: dict[str, EndpointState] = {}
        self._refresh_tokens: dict[str, KeptToken] = {}
        self._tail = TopicTail(settings, [topics.ENDPOINT_STATE], self.apply, name="endpoint-state")

    def start(self) -> None:
        """Begin to read the topic."""
        self._tail.start()

    async def caught_up(self) -> None:
        """Wait until everything written so far is known."""
        await self._tail.caught_up()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def pause_left(self, endpoint: Endpoint) -> float:
        """Seconds until the endpoint's pause ends; 0 or less when it is not paused, or was edited since.

        Who asked for the pause may not be who answers now, and it can be for days.
        """
        pause = self._pauses.get(endpoint.id)
        if pause is None or pause.edited_at < endpoint.updated_at:
            return 0.0
        return (pause.paused_until or 0) / 1_000 - time.time()

    def disabled_reason(self, endpoint: Endpoint) -> str | None:
        """Why nothing may be sent to it, or None. Editing or enabling it afterwards lifts what connectors found."""
        if not endpoint.enabled:
            return "the endpoint is disabled"
        state = self._disablings.get(endpoint.id)
        return None if state is None or state.changed_at < endpoint.updated_at else state.disabled_reason

    def pause(self, endpoint: Endpoint, until: int, now: int) -> Record | None:
        """Send nothing before ``until`` (milliseconds since the epoch); None when that is so already.

        Args:
            endpoint: as it was when it was asked.
            until: milliseconds since the epoch.
            now: microseconds since the epoch.
        """
        pause = EndpointState(endpoint=endpoint.id, paused_until=until, edited_at=endpoint.updated_at, changed_at=now)
        return self._change(pause, endpoint.id + _PAUSE) if self._outlasts(pause) else None

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

    def apply(self, message: Message) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is no endpoint state.
        """
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            if key.endswith(_PAUSE):
                self._pauses.pop(key.removesuffix(_PAUSE), None)
            elif key.endswith(_REFRESH):
                self._refresh_tokens.pop(key.removesuffix(_REFRESH), None)
            else:
                self._disablings.pop(key, None)
            return
        try:
            state = _DECODER.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"not an endpoint state: {error}") from error
        self._note(state)

    def _change(self, state: EndpointState, key: str) -> Record:
        self._note(state)
        return Record(topics.ENDPOINT_STATE, _ENCODER.encode(state), key.encode())

    def _note(self, state: EndpointState) -> None:
        if state.paused_until is not None and self._outlasts(state):
            self._pauses[state.endpoint] = state
        known = self._disablings.get(state.endpoint)
        if state.disabled_reason is not None and (known is None or state.changed_at >= known.changed_at):
            self._disablings[state.endpoint] = state
        if state.refresh_token is not None and state.succeeds is not None:
            self._refresh_tokens[state.endpoint] = KeptToken(state.refresh_token, state.succeeds)

    def _outlasts(self, pause: EndpointState) -> bool:
        """Whether it is longer than the one that is known, or of an endpoint that was edited since that one."""
        known = self._pauses.get(pause.endpoint)
        if known is None:
            return True
        return (pause.edited_at, pause.paused_until or 0) > (known.edited_at, known.paused_until or 0)
