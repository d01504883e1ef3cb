"""Makes the operational events: what subscribers of namespace ``headrace`` are told of endpoints and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import timestamps
from schemas.model.operational_event import OperationalCode, OperationalEvent, operational_id

if TYPE_CHECKING:
    from schemas.model.delivery import Delivery
    from schemas.model.endpoint import Endpoint
    from schemas.model.endpoint_health import EndpointHealth

_MOST_TEXT = 1_000
"""Characters of an error."""


def failing(endpoint: Endpoint, health: EndpointHealth, now: int) -> OperationalEvent:
    """An endpoint fails, or is warned of again; ``now`` is in microseconds since the epoch, here and below."""
    since = health.failing_since or now
    return _event(
        endpoint,
        OperationalCode.FAILING,
        now,
        (str(since), str(health.warnings)),
        warning=health.warnings,
        failures=health.failures,
        failing_since=timestamps.to_text(since),
        disables_at=None if health.disables_at is None else timestamps.to_text(health.disables_at),
        status=health.status,
        error=health.error,
    )


def recovered(endpoint: Endpoint, before: EndpointHealth, now: int) -> OperationalEvent:
    """An endpoint that failed takes what it is sent again; ``before`` is its health until then."""
    since = None if before.failing_since is None else timestamps.to_text(before.failing_since)
    return _event(endpoint, OperationalCode.RECOVERED, now, (since or str(now),), failing_since=since)


def paused(endpoint: Endpoint, until: int, reason: str, now: int) -> OperationalEvent:
    """An endpoint is sent nothing until ``until`` (milliseconds since the epoch)."""
    text = timestamps.to_text(until * 1_000)
    return _event(endpoint, OperationalCode.PAUSED, now, (str(now),), paused_until=text, reason=reason)


def disabled(endpoint: Endpoint, reason: str, since: int, now: int) -> OperationalEvent:
    """An endpoint is sent nothing until it is changed; ``since`` is when the attempt began that disabled it."""
    return _event(endpoint, OperationalCode.DISABLED, now, (str(since),), reason=reason)


def exhausted(endpoint: Endpoint, delivery: Delivery, *, status: int | None, reason: str, now: int) -> OperationalEvent:
    """A delivery became a dead letter."""
    return _event(
        endpoint,
        OperationalCode.EXHAUSTED,
        now,
        (delivery.id, delivery.run),
        delivery=delivery.id,
        event=delivery.event,
        event_topic=delivery.source.topic,
        run=delivery.run,
        attempts=delivery.attempts,
        status=status,
        reason=reason,
    )


def _event(
    endpoint: Endpoint, code: OperationalCode, now: int, since: tuple[str, ...], **data: str | int | None
) -> OperationalEvent:
    told: dict[str, str | int] = {"endpoint": endpoint.id, "name": endpoint.name}
    for name, value in data.items():
        if value is not None:
            told[name] = value[:_MOST_TEXT] if isinstance(value, str) else value
    return OperationalEvent(
        id=operational_id(endpoint.id, code, *since),
        code=code,
        workspace=endpoint.workspace,
        endpoint=endpoint.id,
        owner=endpoint.client,
        time=now,
        data=told,
    )
