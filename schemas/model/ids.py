"""Identifiers: time-ordered for new things, derived for things that must come out the same on every run."""

from __future__ import annotations

import hashlib
import os
import time
import uuid

_ROOT = uuid.UUID("6f0d6c1e-2f7c-5b0e-9a57-3d8f5c2b7a10").bytes
"""Root of every derived id. Changing it changes all of them, so it never changes."""

_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
"""A hexadecimal digit with its upper two bits replaced by the variant of RFC 9562."""

LIVE = "live"
"""The run of an ordinary delivery; a replay or resend has a nonce of its own."""

TEST = "test-"
"""Begins the run of a delivery that tries an endpoint: it is sent once, and touches nothing else."""


def new_id() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds since the epoch, then random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_ids(count: int) -> list[str]:
    """``count`` ids as ``new_id`` makes them, of one instant, at a fraction of the price."""
    millis = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{millis[:8]}-{millis[8:]}-7"
    digits = os.urandom(10 * count).hex()
    return [
        f"{head}{digits[at : at + 3]}-{_VARIANT[digits[at + 4]]}{digits[at + 5 : at + 8]}-{digits[at + 8 : at + 20]}"
        for at in range(0, 20 * count, 20)
    ]


def keyed_event_id(client: str, key: str, index: int) -> str:
    """The event id of the ``index``-th event of a publish with an idempotency key: equal on every repeat.

    ``client`` is its ``Client.unique_id``, here and below.
    """
    return derived("event", client, key, str(index))


def cloudevent_id(client: str, source: str, own_id: str) -> str:
    """The event id of a CloudEvent, which its source and id identify: equal on every repeat."""
    return derived("cloudevent", client, source, own_id)


def delivery_id(event: str, endpoint: str) -> str:
    """One event for one endpoint: the same on every re-run of the router."""
    return derived("delivery", event, endpoint)


def contract_delivery_id(event: str, subscription: str) -> str:
    """One event for one contract: unlike ``delivery_id``, two contracts of one endpoint stay two deliveries."""
    return derived("contract", event, subscription)


def attempt_id(delivery: str, run: str, number: int) -> str:
    """The ``number``-th try (from 1) of a delivery in a run (``live``, or the nonce of a replay or resend)."""
    return derived("attempt", delivery, run, str(number))


def derived(*parts: str) -> str:
    """uuid5 over the parts, each prefixed with its length so that no two lists of parts collide."""
    name = "".join([f"{len(part)}:{part}" for part in parts])
    # What uuid.uuid5 computes, without the three objects that it makes on the way: it is in the data path.
    digits = hashlib.sha1(_ROOT + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
