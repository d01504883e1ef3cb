"""Members of what the ledger has, as our own API shows them: times as RFC 3339 texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.model import timestamps

if TYPE_CHECKING:
    from backbone.ledger.delivery_rows import LedgerAttempt, LedgerDelivery
    from backbone.ledger.queries import LedgerEvent

_TIMES = frozenset({"time", "received_at", "routed_at", "changed_at", "started_at", "next_at"})


def members(thing: LedgerEvent | LedgerDelivery | LedgerAttempt, *without: str) -> dict[str, Any]:
    """The members of a row, but for some."""
    found = {}
    for name in thing.__struct_fields__:
        if name not in without:
            value = getattr(thing, name)
            found[name] = timestamps.to_text(value) if name in _TIMES and value is not None else value
    return found


def delivery_members(delivery: LedgerDelivery) -> dict[str, Any]:
    """The members of a delivery without its attempts."""
    return members(delivery, "tries", "source")


def attempt_members(attempt: LedgerAttempt) -> dict[str, Any]:
    """The members of an attempt."""
    return members(attempt)
