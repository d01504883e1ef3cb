"""The bearer tokens of the CRMLS family: HS256 JSON Web Tokens with its document's claims, valid for seven days."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import jwt

from schemas.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt.types import Options

LIFETIME = 604_800
"""Seconds from issue to expiry: exactly seven days, as in the document's sample token."""

_ALGORITHM = "HS256"
_CHECKS: Options = {"require": ["nameid", "exp", "iat", "nbf"], "verify_exp": False}
"""Expiry is checked against our own clock, on every use and not only when a token is first seen."""


class Token(NamedTuple):
    """An issued token; ``expires_at`` in seconds since the epoch."""

    text: str
    expires_at: int


class Claims(NamedTuple):
    """What a genuine token says: whose it is, and until when (seconds since the epoch)."""

    client: str
    expires_at: int


class Tokens:
    """Issues and verifies.

    Args:
        secret: the signing secret, ``HEADRACE_TOKEN_SECRET``.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, client: str) -> Token:
        """A token for a client, valid from now on."""
        now = int(self._clock())
        claims = {
            "nameid": client,
            "unique_name": client,
            # The sample token of the document carries the role twice; clients may have come to count on the array.
            "role": ["user", "user"],
            "nbf": now,
            "exp": now + LIFETIME,
            "iat": now,
        }
        return Token(jwt.encode(claims, self._secret, algorithm=_ALGORITHM), now + LIFETIME)

    def verify(self, token: str) -> Claims:
        """What the token says. About 20 µs: callers keep the result, and ask ``expired`` on each use.

        Raises:
            Unauthenticated: forged, malformed, of another algorithm, not yet valid, or without the claims.
        """
        try:
            claims = jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options=_CHECKS)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        client, expires_at = claims["nameid"], claims["exp"]
        if not isinstance(client, str) or not isinstance(expires_at, int):
            raise Unauthenticated("The token is not valid: its claims are not of the right types.")
        return Claims(client, expires_at)

    def expired(self, claims: Claims) -> bool:
        """Whether the token is past its time."""
        return claims.expires_at <= self._clock()
