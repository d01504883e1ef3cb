"""Deliveries and attempts as the ledger has them, read from its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from schemas.model.delivery import Outcome, SourceOffset
from schemas.model.kept_request import KeptRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row


_REQUEST = msgspec.json.Decoder(KeptRequest)
_HEAD = msgspec.json.Decoder(dict[str, str])


class LedgerAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try. ``started_at`` and ``next_at`` are in microseconds since the epoch, ``duration`` in seconds.

    ``request`` and the response's head are without credentials, and of bounded size; None where they were not kept.
    """

    id: str
    run: str
    number: int
    outcome: Outcome
    started_at: int
    duration: float
    status: int | None
    reason: str | None
    error: str | None
    request: KeptRequest | None
    response_head: dict[str, str] | None
    response: str | None
    next_at: int | None


class LedgerDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint, in one run, and where it stands.

    Attributes:
        outcome: None while there was no attempt yet; ``dead`` once it was given up.
        attempts: how many tries were made; ``tries`` are those that the ledger still has, in order.
        changed_at: the end of the latest try, else when it was routed.
    """

    id: str
    run: str
    source: SourceOffset
    event: str
    endpoint: str
    subscriptions: tuple[str, ...]
    routed_at: int | None
    attempts: int
    outcome: Outcome | None
    status: int | None
    reason: str | None
    error: str | None
    next_at: int | None
    dead_reason: str | None
    changed_at: int
    tries: tuple[LedgerAttempt, ...] = ()


def delivery_of(row: Row[Any], tries: Sequence[LedgerAttempt] = ()) -> LedgerDelivery:
    """Read a row of ``tables.DELIVERIES``; its attempts are read from their own rows."""
    outcome = None if row.outcome is None else Outcome(row.outcome)
    # The dead letter and the last attempt come from two topics: either may be here first.
    if row.dead_reason is not None and outcome not in {Outcome.DELIVERED, Outcome.ABORTED}:
        outcome = Outcome.DEAD
    return LedgerDelivery(
        id=row.id,
        run=row.run,
        source=SourceOffset.parse(row.source_offset),
        event=row.event,
        endpoint=row.endpoint,
        subscriptions=tuple(part for part in row.subscriptions.split(",") if part),
        routed_at=row.routed_at,
        attempts=row.attempts,
        outcome=outcome,
        status=row.status,
        reason=row.reason,
        error=row.error,
        next_at=row.next_at if outcome is Outcome.RETRYING else None,
        dead_reason=row.dead_reason,
        changed_at=row.changed_at,
        tries=tuple(tries),
    )


def attempt_of(row: Row[Any]) -> LedgerAttempt:
    """Read a row of ``tables.ATTEMPTS``."""
    return LedgerAttempt(
        id=row.id,
        run=row.run,
        number=row.number,
        outcome=Outcome(row.outcome),
        started_at=row.started_at,
        duration=row.duration,
        status=row.status,
        reason=row.reason,
        error=row.error,
        request=None if row.request is None else _REQUEST.decode(row.request),
        response_head=None if row.response_head is None else _HEAD.decode(row.response_head),
        response=row.response,
        next_at=row.next_at,
    )
