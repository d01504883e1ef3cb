"""The bearer tokens of the families that exchange a key or a secret for one: HS256 JSON Web Tokens.

Those of CRMLS have its document's claims and are valid for seven days; those of the other families say their realm.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt

from schemas.access import Realm
from schemas.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt.types import Options

LIFETIME = 604_800
"""Seconds from issue to expiry of a CRMLS token: exactly seven days, as in the document's sample token."""

_ALGORITHM = "HS256"
_SKEW = 60
"""Seconds by which the clock of the machine that issued a token may be ahead of ours."""

_CHECKS: Options = {"require": ["nameid", "exp", "iat", "nbf"], "verify_exp": False}
"""Expiry is checked against our own clock, on every use and not only when a token is first seen."""


class Token(NamedTuple):
    """An issued token; ``expires_at`` in seconds since the epoch."""

    text: str
    expires_at: int


class Claims(NamedTuple):
    """What a genuine token says: whose it is, until when (seconds since the epoch), and for which family."""

    client: str
    expires_at: int
    realm: Realm = Realm.CRMLS


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
        """A CRMLS token for a client, valid from now on."""
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

    def issue_for(self, realm: Realm, client: str, lifetime: int, **claims: object) -> Token:
        """A token of another family for a client, valid from now on for ``lifetime`` seconds.

        ``claims`` are what the family's clients read in it besides.
        """
        now = int(self._clock())
        said = {**claims, "nameid": client, "realm": realm.value, "nbf": now, "exp": now + lifetime, "iat": now}
        return Token(jwt.encode(said, self._secret, algorithm=_ALGORITHM), now + lifetime)

    def verify(self, token: str) -> Claims:
        """What the token says. About 20 µs: callers keep the result, and ask ``expired`` on each use.

        Raises:
            Unauthenticated: forged, malformed, of another algorithm, not yet valid, or without the claims.
        """
        try:
            claims = jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options=_CHECKS, leeway=_SKEW)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        client, expires_at = claims["nameid"], claims["exp"]
        if not isinstance(client, str) or not isinstance(expires_at, int):
            raise Unauthenticated("The token is not valid: its claims are not of the right types.")
        return Claims(client, expires_at, _realm(claims))

    def expired(self, claims: Claims) -> bool:
        """Whether the token is past its time."""
        return claims.expires_at <= self._clock()


def _realm(claims: dict[str, Any]) -> Realm:
    """A CRMLS token names none: its claims are those of the document, and no more."""
    try:
        return Realm(claims.get("realm", Realm.CRMLS))
    except ValueError as error:
        raise Unauthenticated("The token is not valid: it is for no API family of this gateway.") from error
