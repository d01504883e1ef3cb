"""Which endpoints the connectors send nothing to for now, and why: a view of the compacted topic ``endpoint-state``.

The connectors write it and obey it; the API shows it.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.kafka.tail import TopicTail
from schemas import timestamps, topics
from schemas.delivery import EndpointState
from schemas.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings
    from schemas.subscription import Endpoint

PAUSE = "/pause"
"""After the endpoint's id in the key of a pause."""

_ASKED = "the endpoint answered 429 or 503 with Retry-After"
"""Why endpoints are paused."""

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


class EndpointStateView:
    """The pauses and disablings that connectors wrote, read only once somebody asks for them.

    An endpoint's pause and its disabling are records with keys of their own, so that a worker that pauses an endpoint
    cannot undo a disabling by another worker that it has not read yet. An edit of the endpoint lifts either.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self._pauses: dict[str, EndpointState] = {}
        self._disablings: dict[str, EndpointState] = {}
        self._tail = TopicTail(settings, [topics.ENDPOINT_STATE], self.apply, name="endpoint-state", on_stall=on_stall)
        self._started = False

    def start(self) -> None:
        """Begin to read, unless that was done before; returns at once."""
        if not self._started:
            self._tail.start()
            self._started = True

    async def caught_up(self) -> None:
        """Wait until everything written so far is known.

        Raises:
            Unavailable: Kafka does not answer; reading goes on, so a later call may find it done.
        """
        self.start()
        await self._tail.caught_up()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def pause_left(self, endpoint: Endpoint) -> float:
        """Seconds until the endpoint's pause ends; 0 or less when it is not paused, or was edited since.

        Who asked for the pause may not be who answers now, and it can be for days.
        """
        pause = self._pause_of(endpoint)
        return 0.0 if pause is None else (pause.paused_until or 0) / 1_000 - time.time()

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
        until = 0 if pause is None else (pause.paused_until or 0) * 1_000
        if pause is None or until <= timestamps.now():
            return Standing(EndpointStatus.ENABLED)
        return Standing(EndpointStatus.PAUSED, _ASKED, pause.changed_at, until)

    def apply(self, message: Message) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is no endpoint state.
        """
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            self._forget(key)
            return
        try:
            state = _DECODER.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"not an endpoint state: {error}") from error
        self._note(state)

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

    def _forget(self, key: str) -> None:
        if key.endswith(PAUSE):
            self._pauses.pop(key.removesuffix(PAUSE), None)
        else:
            self._disablings.pop(key, None)

    def _outlasts(self, pause: EndpointState) -> bool:
        """Whether it is longer than the one that is known, or of an endpoint that was edited since that one."""
        known = self._pauses.get(pause.endpoint)
        if known is None:
            return True
        return (pause.edited_at, pause.paused_until or 0) > (known.edited_at, known.paused_until or 0)
