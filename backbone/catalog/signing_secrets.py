"""The secrets that sign what is sent to an endpoint: made, checked, and rotated with an overlap."""

from __future__ import annotations

import base64
import binascii
import secrets as random
from typing import TYPE_CHECKING

import msgspec

from schemas.model import timestamps
from schemas.model.errors import Conflict, IdempotencyMismatch, InvalidRequest, Misconfigured, Problem

if TYPE_CHECKING:
    from backbone.catalog.secrets import SecretBox
    from schemas.model.endpoint import Endpoint

PREFIX = "whsec_"
"""What Standard Webhooks puts in front of every secret."""

_MADE_BYTES = 24
SHORTEST, LONGEST = 24, 64
"""Bytes that Standard Webhooks allows."""

OVERLAP = 86_400
"""Seconds for which the secrets before a rotation go on signing, unless the caller says otherwise."""

LONGEST_OVERLAP = 7 * 86_400

MOST_OLD = 10
"""Each signs every message, and its signature is a part of the header."""

_PATH = "$.signing_secret"


def new_secret() -> str:
    """A signing secret as Standard Webhooks spells it: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(random.token_bytes(_MADE_BYTES)).decode()


def problems(secret: str) -> list[Problem]:
    """What is wrong with a secret that the receiver has already."""
    prefix, separator, encoded = secret.partition(PREFIX)
    try:
        length = len(base64.b64decode(encoded, validate=True)) if separator and not prefix else None
    except (binascii.Error, ValueError):
        length = None
    if length is None:
        return [Problem(path=_PATH, message=f"must be {PREFIX} followed by base64")]
    if not SHORTEST <= length <= LONGEST:
        return [Problem(path=_PATH, message=f"must be {SHORTEST} to {LONGEST} bytes, not {length}")]
    return []


def rotated(endpoint: Endpoint, secret: str, overlap: int, secrets: SecretBox) -> Endpoint:
    """An endpoint that signs with ``secret`` and, for ``overlap`` more seconds at most, with those it has.

    Raises:
        InvalidRequest: it has the secret already.
        Conflict: it has too many old secrets that still sign.
    """
    now = timestamps.now()
    ends = now + overlap * 1_000_000
    kept: dict[str, int] = {}
    for sealed, expires_at in endpoint.secrets_with_expiry():
        if _opens_to(sealed, secret, secrets):
            message = "is one of the endpoint's secrets already: give another, or none to have one made"
            raise InvalidRequest("The secret cannot be used.", [Problem(path=_PATH, message=message)])
        ends_at = ends if expires_at is None else min(ends, expires_at)
        if ends_at > now:
            kept[sealed] = ends_at
    if len(kept) > MOST_OLD:
        until = timestamps.to_text(min(kept.values()))
        raise Conflict(
            f"The endpoint has {MOST_OLD} older secrets that still sign, the first of them until {until}. "
            'Wait, or rotate with "overlap": 0, which ends them all at once.'
        )
    return msgspec.structs.replace(
        endpoint,
        signing_secrets=(secrets.seal(secret), *kept),
        signing_secrets_expire_at=(None, *kept.values()),
    )


def check_repeat(endpoint: Endpoint, secret: str, secrets: SecretBox) -> None:
    """Refuse a repeated key that made an endpoint with another secret.

    Raises:
        IdempotencyMismatch: it did.
    """
    if not any(_opens_to(sealed, secret, secrets) for sealed in endpoint.signing_secrets):
        raise IdempotencyMismatch("This idempotency key was used with another body.")


def _opens_to(sealed: str, secret: str, secrets: SecretBox) -> bool:
    try:
        return secrets.open(sealed) == secret
    except Misconfigured:
        return False
