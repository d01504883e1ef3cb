"""The health of an endpoint: whether it takes what it is sent, since when not, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backbone.endpoint_states import EndpointStateView, EndpointStatus
from ingest_api.management.dependencies import SubscribersReadable, TheGateway, existing
from ingest_api.management.models import Time
from schemas.model import timestamps

if TYPE_CHECKING:
    from schemas.model.endpoint import Endpoint
    from schemas.model.endpoint_health import EndpointHealth

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


class HealthStatus(StrEnum):
    """How an endpoint does."""

    HEALTHY = "healthy"
    """No failure is known that counts."""
    FAILING = "failing"
    """So many attempts in a row failed that a warning was raised."""
    PAUSED = "paused"
    """It asked for a pause."""
    DISABLED = "disabled"
    """Nothing is sent to it."""


class Breaker(BaseModel):
    """The circuit breaker: after several failures in a row no request is made for a while; then one probes."""

    model_config = ConfigDict(frozen=True)

    open: bool
    until: Annotated[Time | None, Field(description="When the next request may be made.")] = None


class LastError(BaseModel):
    """The last attempt that failed."""

    model_config = ConfigDict(frozen=True)

    at: Time
    message: str
    status: Annotated[int | None, Field(description="Of the response; null if there was none.")]


class HealthOutput(BaseModel):
    """The health of an endpoint, as the worker that sends to it told it some seconds ago.

    A change of the endpoint clears its failures: it may be another server then.
    """

    model_config = ConfigDict(frozen=True)

    status: HealthStatus
    reason: Annotated[str | None, Field(description="Why it is not `healthy`.")]
    paused_until: Time | None
    disabled_since: Annotated[Time | None, Field(description="null where its owner disabled it.")]
    consecutive_failures: Annotated[int, Field(description="Attempts in a row that did not succeed.")]
    failing_since: Annotated[Time | None, Field(description="When the first of them began.")]
    disables_at: Annotated[
        Time | None, Field(description="When it is disabled, if no attempt succeeds until then; null: never.")
    ]
    breaker: Breaker
    last_success_at: Annotated[
        Time | None, Field(description="Of an endpoint that succeeds all the time up to five minutes old.")
    ]
    last_error: LastError | None

    @classmethod
    def of(cls, endpoint: Endpoint, states: EndpointStateView) -> HealthOutput:
        """The health of an endpoint as it stands."""
        standing, health = states.standing(endpoint), states.health(endpoint)
        is_disabled = standing.status is EndpointStatus.DISABLED
        status, reason = HealthStatus.HEALTHY, None
        if standing.status is not EndpointStatus.ENABLED:
            status, reason = HealthStatus.DISABLED if is_disabled else HealthStatus.PAUSED, standing.reason
        elif health.is_failing:
            status, reason = HealthStatus.FAILING, health.error
        return cls(
            status=status,
            reason=reason,
            paused_until=standing.until,
            disabled_since=standing.since if is_disabled else None,
            consecutive_failures=health.failures,
            failing_since=health.failing_since,
            disables_at=None if is_disabled else health.disables_at,
            breaker=_breaker(health),
            last_success_at=health.succeeded_at,
            last_error=_last_error(health),
        )


def _breaker(health: EndpointHealth) -> Breaker:
    until = (health.closed_until or 0) * 1_000
    return Breaker(open=True, until=until) if until > timestamps.now() else Breaker(open=False)


def _last_error(health: EndpointHealth) -> LastError | None:
    if health.failed_at is None:
        return None
    return LastError(at=health.failed_at, message=health.error or "", status=health.status)


@router.get("/endpoints/{endpoint_id}/health", summary="Get the health of an endpoint")
async def get_health(gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str) -> HealthOutput:
    """Whether it takes what it is sent, since when not, and when it is disabled for that."""
    found = existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}")
    return HealthOutput.of(found, await gateway.endpoint_states())
