"""The health of an endpoint: what its last attempts came to, as the connectors share it on ``endpoint-state``."""

from __future__ import annotations

import msgspec

from schemas.model.timestamps import Micros, Millis

HEALTH = "/health"
"""After the endpoint's id in the key of its health."""

REFUSALS = frozenset({401, 403})
"""Statuses with which a receiver refuses the signature or the credentials."""


class EndpointHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the attempts at an endpoint; all of it is since the endpoint was last edited, but for the times.

    Attributes:
        failures: attempts in a row that did not succeed (no response, or another status than 2xx).
        failing_since: when the first of them began.
        warnings: the highest warning that was raised while it fails: 0 is none.
        succeeded_at: the last success.
        failed_at, error, status: of the last failure; a status of None is no response.
        disables_at: when it is disabled, unless an attempt succeeds before; None is never.
        closed_until: end of the circuit breaker's cool-down: no request is made before it.
    """

    failures: int = 0
    failing_since: Micros | None = None
    warnings: int = 0
    succeeded_at: Micros | None = None
    failed_at: Micros | None = None
    error: str | None = None
    status: int | None = None
    disables_at: Micros | None = None
    closed_until: Millis | None = None

    @property
    def is_failing(self) -> bool:
        """Whether so many attempts in a row failed that a warning was raised."""
        return self.warnings > 0


def of_edited(health: EndpointHealth) -> EndpointHealth:
    """The health of an endpoint that was edited since: it may be another server now, and begins without failures."""
    return msgspec.structs.replace(
        health, failures=0, failing_since=None, warnings=0, disables_at=None, closed_until=None
    )
