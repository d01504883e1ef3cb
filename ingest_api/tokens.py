"""The bearer tokens of the families that exchange a key or a secret for one: HS256 JSON Web Tokens.

A token says its realm, unless its family's document leaves no room for that. It is bound to what it was got with
(``schemas.security.binding``) by the key that signs it, which follows from both: header and claims stay those of the
documents.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import msgspec

from schemas.model.access import Realm
from schemas.model.errors import Unauthenticated
from schemas.security.binding import Binding, earliest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jwt.types import Options

_ALGORITHM = "HS256"
_MICROS = 1_000_000
_SKEW = 60
"""Seconds by which the clock of the machine that issued a token may be ahead of ours."""

_CHECKS: Options = {"require": ["nameid", "exp", "iat", "nbf"], "verify_exp": False}
"""Expiry is checked against our own clock, on every use and not only when a token is first seen."""


class Token(NamedTuple):
    """An issued token; ``expires_at`` in seconds since the epoch."""

    text: str
    expires_at: int


class Claims(NamedTuple):
    """What a genuine token says: whose it is, from and until when (seconds since the epoch), and for which family.

    ``binding`` is to what it is bound; a token of an earlier release is bound to nothing.
    """

    client: str
    expires_at: int
    realm: Realm
    issued_at: int = 0
    binding: Binding | None = None


class Tokens:
    """Issues and verifies.

    Args:
        secret: the signing secret, ``HEADRACE_TOKEN_SECRET``.
        unnamed: the realm of tokens that say none; None: they are refused.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: str, *, unnamed: Realm | None = None, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._unnamed = unnamed
        self._clock = clock

    def issue(
        self,
        realm: Realm,
        client: str,
        lifetime: int,
        binding: Binding | None = None,
        *,
        until: int | None = None,
        **claims: object,
    ) -> Token:
        """A token for a client, valid from now on.

        Args:
            realm: the client's; in the token unless it is the one of tokens that say none.
            client: its id.
            lifetime: seconds.
            binding: to what the token is bound.
            until: when the key ends that it was got with, in microseconds since the epoch; the token lasts no longer.
            claims: what the family's clients read in it besides.
        """
        now = int(self._clock())
        end = _end(now + lifetime, until)
        named = {} if realm == self._unnamed else {"realm": realm}
        said = {"nameid": client, **claims, **named, "nbf": now, "exp": end, "iat": now}
        return self._signed(said, end, binding)

    def verify(self, token: str, bindings: Callable[[str, Realm], Iterable[Binding]] = lambda *_: ()) -> Claims:
        """What the token says. About 20 µs, and 5 µs for each key: callers keep it, and ask ``expired`` each time.

        Args:
            token: as it was issued.
            bindings: to what a token for a client with this id and realm may be bound.

        Raises:
            Unauthenticated: forged, malformed, of another algorithm, not yet valid, without the claims, or bound to
                something else.
        """
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
            named = unverified.get("nameid")
            tried = (*bindings(named, self._realm(unverified)), None) if isinstance(named, str) else (None,)
            claims, binding = self._signed_with(token, tried)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        client, expires_at, issued_at = claims["nameid"], claims["exp"], claims["iat"]
        if not isinstance(client, str) or not isinstance(expires_at, int):
            raise Unauthenticated("The token is not valid: its claims are not of the right types.")
        return Claims(client, expires_at, self._realm(claims), int(issued_at), binding)

    def expired(self, claims: Claims) -> bool:
        """Whether the token is past its time."""
        return claims.expires_at <= self._clock()

    def _signed(self, claims: dict[str, object], end: int, binding: Binding | None) -> Token:
        return Token(jwt.encode(claims, self._key(binding), algorithm=_ALGORITHM), end)

    def _signed_with(self, token: str, bindings: tuple[Binding | None, ...]) -> tuple[dict[str, Any], Binding | None]:
        # A client may have hundreds of keys, and whoever names it has them all tried: only the signature is made here.
        signed, _, signature = token.rpartition(".")
        for binding in bindings[:-1]:
            made = hmac.digest(self._key(binding), signed.encode(), hashlib.sha256)
            if hmac.compare_digest(base64.urlsafe_b64encode(made).rstrip(b"="), signature.encode()):
                return self._read(token, binding), binding
        return self._read(token, bindings[-1]), bindings[-1]

    def _read(self, token: str, binding: Binding | None) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(
            token, self._key(binding), algorithms=[_ALGORITHM], options=_CHECKS, leeway=_SKEW
        )
        return found

    def _realm(self, claims: dict[str, Any]) -> Realm:
        named = claims.get("realm", self._unnamed)
        if not isinstance(named, str):
            raise Unauthenticated("The token is not valid: it is for no API family of this gateway.")
        return Realm(named)

    def _key(self, binding: Binding | None) -> bytes:
        """What signs: the secret itself for tokens of earlier releases."""
        if binding is None:
            return self._secret.encode()
        return hmac.digest(self._secret.encode(), msgspec.json.encode(binding), hashlib.sha256)


def _end(end: int, until: int | None) -> int:
    found = earliest(end, None if until is None else until // _MICROS)
    return end if found is None else found
