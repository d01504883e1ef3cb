"""Identifiers: time-ordered for new things, derived for things that must come out the same on every run."""

from __future__ import annotations

import os
import time
import uuid

_NAMESPACE = uuid.UUID("6f0d6c1e-2f7c-5b0e-9a57-3d8f5c2b7a10")
"""Root of every derived id. Changing it changes all of them, so it never changes."""

LIVE = "live"
"""The run of an ordinary delivery; a replay or resend has a nonce of its own."""


def new_id() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds since the epoch, then random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def keyed_event_id(client: str, key: str, index: int) -> str:
    """The event id of the ``index``-th event of a publish with an idempotency key: equal on every repeat."""
    return derived("event", client, key, str(index))


def delivery_id(event: str, endpoint: str) -> str:
    """One event for one endpoint: the same on every re-run of the router."""
    return derived("delivery", event, endpoint)


def attempt_id(delivery: str, run: str, number: int) -> str:
    """The ``number``-th try (from 1) of a delivery in a run (``live``, or the nonce of a replay or resend)."""
    return derived("attempt", delivery, run, str(number))


def derived(*parts: str) -> str:
    """uuid5 over the parts, each prefixed with its length so that no two lists of parts collide."""
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return str(uuid.uuid5(_NAMESPACE, name))
