"""Watches the health of endpoints: failing after so many failures, disabled after a span of nothing but failures.

An endpoint's health is shared on ``endpoint-state``, so that the next owner of its partition goes on with it and the
API shows it. What changes its state is written with the attempt that did it; counts and times follow some seconds
later, and at most ``MOST_WRITES`` a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from connectors.webhook.operational_events import failing, recovered
from schemas.model import timestamps
from schemas.model.endpoint_health import EndpointHealth, of_edited

if TYPE_CHECKING:
    from backbone.kafka.records import Record
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.settings import WebhookSettings
    from schemas.model.endpoint import Endpoint
    from schemas.model.operational_event import OperationalEvent

MOST_WRITES = 50
"""Records per second that tell counts and times, of all endpoints of this process together."""

FAILURES_WITHIN = 5.0
"""Seconds between two records of one endpoint that tell further failures."""

SUCCESSES_WITHIN = 300.0
"""Seconds between two records of one endpoint that tell only a later success."""

CALM = 60.0
"""Seconds after a recovery in which an endpoint that goes up and down is not said to fail again."""

SHARES = (0.5, 0.9)
"""Parts of the span before it is disabled, after which an endpoint that fails is warned of again."""

_SECOND = 1_000_000
"""In microseconds."""

_IDLE = 600 * _SECOND


class Verdict(NamedTuple):
    """What a failure means: the records that tell it, and why the endpoint is to be disabled, if it is."""

    records: list[Record]
    disable: str | None = None


class _Watched(msgspec.Struct, gc=False):
    """An endpoint as it was last edited at ``edited_at``; ``written`` is what others know. Times in microseconds."""

    endpoint: str
    edited_at: int
    health: EndpointHealth
    written: EndpointHealth
    written_at: int = 0
    recovered_at: int = 0
    paused_at: int = 0
    touched_at: int = 0


class HealthBook:
    """The healths of the endpoints that this process sends to; all times are microseconds since the epoch.

    Args:
        states: shares them with others.
        settings: the thresholds.
    """

    def __init__(self, states: EndpointStates, settings: WebhookSettings) -> None:
        self._states = states
        self._settings = settings
        self._watched: dict[str, _Watched] = {}
        self._due: dict[str, int] = {}

    def succeeded(self, endpoint: Endpoint, now: int, *, quiet: bool = False) -> list[Record]:
        """Note an attempt that succeeded: it clears all failures.

        Args:
            endpoint: as it is now.
            now: when it ended.
            quiet: raise no operational event, because the delivery is of one. The next other attempt raises it.
        """
        watched = self._of(endpoint, now)
        health = watched.health
        if not health.failures and health.closed_until is None and (quiet or not health.is_failing):
            if now - (health.succeeded_at or 0) >= _SECOND:
                watched.health = msgspec.structs.replace(health, succeeded_at=now)
                self._write_within(watched, SUCCESSES_WITHIN if watched.written.succeeded_at else FAILURES_WITHIN)
            return []
        watched.health = msgspec.structs.replace(of_edited(health), succeeded_at=now)
        if health.is_failing and quiet:
            watched.health = msgspec.structs.replace(watched.health, warnings=health.warnings)
        elif health.is_failing:
            watched.recovered_at = now
            return [self._record(watched, now, recovered(endpoint, health, now))]
        # Another owner must not count on from failures that are over.
        return (
            [self._record(watched, now)] if watched.written.failures else self._write_within(watched, FAILURES_WITHIN)
        )

    def failed(
        self,
        endpoint: Endpoint,
        failure: str,
        status: int | None,
        *,
        started_at: int,
        now: int,
        quiet: bool = False,
    ) -> Verdict:
        """Note an attempt that did not succeed.

        Args:
            endpoint: as it is now.
            failure: why.
            status: of the response, if there was one.
            started_at: when the attempt began.
            now: when it ended.
            quiet: as ``succeeded`` has it.
        """
        watched = self._of(endpoint, now)
        health = watched.health
        # A success that overtook this attempt came after it began.
        since = health.failing_since or max(started_at, health.succeeded_at or 0)
        failures = health.failures + 1
        span = self.disable_after(endpoint) * _SECOND
        warnings = health.warnings
        lasting = failures >= self._settings.failing_after
        if lasting and not quiet and now - watched.recovered_at >= CALM * _SECOND:
            warnings = max(warnings, 1 + sum(0 < span * share <= now - since for share in SHARES))
        watched.health = msgspec.structs.replace(
            health,
            failures=failures,
            failing_since=since,
            warnings=warnings,
            failed_at=now,
            error=failure,
            status=status,
            disables_at=since + int(span) if span else None,
        )
        told = [failing(endpoint, watched.health, now)] if warnings > health.warnings else []
        if lasting and 0 < span <= now - since:
            reason = f"all {failures} attempts since {timestamps.to_text(since)} failed"
            return Verdict([self._record(watched, now, *told)], reason)
        if told:
            return Verdict([self._record(watched, now, *told)])
        return Verdict(self._write_within(watched, FAILURES_WITHIN))

    def closed(self, endpoint: Endpoint, seconds: float, now: int) -> None:
        """Note that the circuit breaker is open for so many seconds."""
        watched = self._of(endpoint, now)
        until = now // 1_000 + int(seconds * 1_000)
        watched.health = msgspec.structs.replace(watched.health, closed_until=until)
        self._write_within(watched, 0.0)

    def may_tell_of_pause(self, endpoint: Endpoint, now: int) -> bool:
        """Whether a pause is told now: one that asks for a second each time is told of once a minute."""
        watched = self._of(endpoint, now)
        if now - watched.paused_at < CALM * _SECOND:
            return False
        watched.paused_at = now
        return True

    def disable_after(self, endpoint: Endpoint) -> float:
        """Seconds of nothing but failures after which an endpoint is disabled; 0 is never."""
        own = endpoint.disable_after
        return self._settings.disable_after if own is None else own

    def due(self, now: int) -> list[Record]:
        """Return the records that are to be written now. Ask once a second."""
        due = [endpoint for endpoint, at in self._due.items() if at <= now][:MOST_WRITES]
        return [self._record(self._watched[endpoint], now) for endpoint in due]

    def forget_idle(self, now: int) -> None:
        """Drop those that nothing was sent to lately: others know all of them."""
        for endpoint, watched in list(self._watched.items()):
            if endpoint not in self._due and now - watched.touched_at > _IDLE:
                del self._watched[endpoint]

    def _of(self, endpoint: Endpoint, now: int) -> _Watched:
        watched = self._watched.get(endpoint.id)
        if watched is None:
            known = self._states.health(endpoint)
            watched = self._watched[endpoint.id] = _Watched(endpoint.id, endpoint.updated_at, known, known)
        elif watched.edited_at < endpoint.updated_at:
            watched.health = of_edited(watched.health)
            watched.written, watched.edited_at = EndpointHealth(), endpoint.updated_at
        watched.touched_at = now
        return watched

    def _write_within(self, watched: _Watched, seconds: float) -> list[Record]:
        """Have it written ``seconds`` after it was written last."""
        at = watched.written_at + int(seconds * _SECOND)
        self._due[watched.endpoint] = min(at, self._due.get(watched.endpoint, at))
        return []

    def _record(self, watched: _Watched, now: int, *raised: OperationalEvent) -> Record:
        self._due.pop(watched.endpoint, None)
        watched.written, watched.written_at = watched.health, now
        return self._states.keep_health(
            watched.endpoint, watched.health, edited_at=watched.edited_at, now=now, raised=raised
        )
