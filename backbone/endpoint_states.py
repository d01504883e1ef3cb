"""Which endpoints the connectors send nothing to for now, and why: a view of the compacted topic ``endpoint-state``.

The connectors write it and obey it; the API shows it.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.kafka.topic_view import TopicView
from schemas.model import timestamps, topics
from schemas.model.delivery import EndpointState
from schemas.model.endpoint_health import HEALTH, EndpointHealth, of_edited
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.endpoint import Endpoint

PAUSE = "/pause"
"""After the endpoint's id in the key of a pause."""

PAUSED = "the endpoint answered 429 or 503 with Retry-After"
"""Why endpoints are paused."""

HELD = "its owner paused it; its events are kept"

HELD_SECONDS = 60.0
"""After which a delivery that was routed before the owner's pause looks whether it is over."""

_DECODER = msgspec.json.Decoder(EndpointState)


class EndpointStatus(StrEnum):
    """Whether deliveries to an endpoint are tried."""

    ENABLED = "enabled"
    PAUSED = "paused"
    """They wait."""
    DISABLED = "disabled"
    """They are cancelled."""


class Standing(NamedTuple):
    """How an endpoint stands now.

    ``since`` is when a connector found it so, None where none did; ``until`` when a pause ends. Microseconds since the
    epoch.
    """

    status: EndpointStatus
    reason: str | None = None
    since: int | None = None
    until: int | None = None


class EndpointStateView(TopicView):
    """The pauses, disablings and healths that connectors wrote, read only once somebody asks for them.

    An endpoint's pause, its disabling and its health are records with keys of their own, so that a worker that pauses
    an endpoint cannot undo a disabling by another worker that it has not read yet. An edit of the endpoint lifts
    either.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self._pauses: dict[str, EndpointState] = {}
        self._disablings: dict[str, EndpointState] = {}
        self._healths: dict[str, EndpointState] = {}
        super().__init__(settings, topics.ENDPOINT_STATE, on_stall)

    def catch_up(self) -> None:
        """``caught_up`` for a thread of its own: blocks."""
        self.start()
        self._tail.catch_up()

    def pause_left(self, endpoint: Endpoint) -> float:
        """Seconds until the endpoint's pause ends; 0 or less when it is not paused, or was edited since.

        Who asked for the pause may not be who answers now, and it can be for days. Nobody knows how long a pause by
        the owner lasts: what waits looks again in ``HELD_SECONDS``.
        """
        pause = self._pause_of(endpoint)
        left = 0.0 if pause is None else (pause.paused_until or 0) / 1_000 - time.time()
        return left if endpoint.held_since is None else max(left, HELD_SECONDS)

    def disabled_reason(self, endpoint: Endpoint) -> str | None:
        """Why nothing may be sent to it, or None. Editing or enabling it afterwards lifts what connectors found."""
        if not endpoint.enabled:
            return "the endpoint is disabled"
        disabling = self._disabling_of(endpoint)
        return None if disabling is None else disabling.disabled_reason

    def standing(self, endpoint: Endpoint) -> Standing:
        """How it stands by all that is known: its own ``enabled`` comes first, then a disabling, then a pause."""
        if not endpoint.enabled:
            return Standing(EndpointStatus.DISABLED, "`enabled` is false")
        disabling, pause = self._disabling_of(endpoint), self._pause_of(endpoint)
        if disabling is not None:
            return Standing(EndpointStatus.DISABLED, disabling.disabled_reason, disabling.changed_at)
        if endpoint.held_since is not None:
            return Standing(EndpointStatus.PAUSED, HELD, endpoint.held_since)
        until = 0 if pause is None else (pause.paused_until or 0) * 1_000
        if pause is None or until <= timestamps.now():
            return Standing(EndpointStatus.ENABLED)
        return Standing(EndpointStatus.PAUSED, PAUSED, pause.changed_at, until)

    def health(self, endpoint: Endpoint) -> EndpointHealth:
        """What its last attempts came to; of one that was edited since, only the times of the last ones."""
        found = self._healths.get(endpoint.id)
        if found is None or found.health is None:
            return EndpointHealth()
        return found.health if found.edited_at >= endpoint.updated_at else of_edited(found.health)

    def apply(self, message: ConsumedRecord) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is no endpoint state.
        """
        self._read(message)

    def _read(self, message: ConsumedRecord) -> EndpointState | None:
        """Take in one record, and return what it says; None for a tombstone."""
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            self._forget(key)
            return None
        try:
            state = _DECODER.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"not an endpoint state: {error}") from error
        self._note(state)
        return state

    def _pause_of(self, endpoint: Endpoint) -> EndpointState | None:
        """Its latest pause, which may be over, unless it was edited since."""
        pause = self._pauses.get(endpoint.id)
        return None if pause is None or pause.edited_at < endpoint.updated_at else pause

    def _disabling_of(self, endpoint: Endpoint) -> EndpointState | None:
        disabling = self._disablings.get(endpoint.id)
        return None if disabling is None or disabling.changed_at < endpoint.updated_at else disabling

    def _note(self, state: EndpointState) -> None:
        if state.paused_until is not None and self._outlasts(state):
            self._pauses[state.endpoint] = state
        known = self._disablings.get(state.endpoint)
        if state.disabled_reason is not None and (known is None or state.changed_at >= known.changed_at):
            self._disablings[state.endpoint] = state

        if state.health is not None:
            health = self._healths.get(state.endpoint)
            if health is None or state.changed_at >= health.changed_at:
                self._healths[state.endpoint] = state

    def _forget(self, key: str) -> None:
        if key.endswith(PAUSE):
            self._pauses.pop(key.removesuffix(PAUSE), None)
        elif key.endswith(HEALTH):
            self._healths.pop(key.removesuffix(HEALTH), None)
        else:
            self._disablings.pop(key, None)

    def _outlasts(self, pause: EndpointState) -> bool:
        """Whether it is longer than the one that is known, or of an endpoint that was edited since that one."""
        known = self._pauses.get(pause.endpoint)
        if known is None:
            return True
        return (pause.edited_at, pause.paused_until or 0) > (known.edited_at, known.paused_until or 0)
