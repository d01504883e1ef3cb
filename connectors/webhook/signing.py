"""Standard Webhooks 1.0.0 signatures: HMAC-SHA256 over ``{id}.{timestamp}.{body}``, one per secret."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The HMAC key of a signing secret: ``whsec_`` and base64, padded or not.

    Raises:
        Misconfigured: it is not base64, or empty.
    """
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise Misconfigured("a signing secret is not whsec_ followed by base64") from error
    if not key:
        raise Misconfigured("a signing secret is empty")
    return key


def signature_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that let a receiver verify ``body`` exactly as it was sent.

    During a rotation there are several keys, and the receiver accepts the message if any signature verifies. Without a
    key there is no signature header.

    Args:
        keys: newest first.
        message_id: the same on every try, so that a receiver can drop repeats; holds no dot.
        timestamp: of this try, seconds since the epoch.
        body: the bytes on the wire.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if keys:
        signed = f"{message_id}.{timestamp}.".encode() + body
        headers["webhook-signature"] = " ".join(f"v1,{_sign(key, signed)}" for key in keys)
    return headers


def _sign(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
