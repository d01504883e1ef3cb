"""Tokens of realtime clients: HS256 JSON Web Tokens with the claims of Centrifugo, kept apart from every other token.

A connection token says who connects, of which workspace, and which channels the server subscribes it to; a subscription
token lets that user into one more channel. https://centrifugal.dev/docs/server/authentication
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import msgspec
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backbone.hs256 import Verifier
from backbone.process.settings import check_strength
from schemas.model.access import DEFAULT_WORKSPACE
from schemas.model.errors import HeadraceError
from schemas.security.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.process.settings import BackboneSettings
    from schemas.model.access import ApiKey, Client

AUDIENCE = "headrace-realtime"
"""What tells these tokens from the others that the same secret signs."""

_ALGORITHM = "HS256"
_MICROS = 1_000_000


class InvalidToken(HeadraceError):
    """Forged, malformed, of another kind, or not yet valid."""


class ExpiredToken(HeadraceError):
    """It was valid once."""


class IssuerKey(NamedTuple):
    """The API key that a token is asked for with; ``ends_at`` in microseconds since the epoch, None for never."""

    binding: Binding
    ends_at: int | None

    @classmethod
    def of(cls, client: Client, key: ApiKey | None) -> IssuerKey | None:
        """That of a client that has shown a key."""
        return None if key is None else cls(Binding.of(client, key), key.expires_at)


class ConnectionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection token says.

    Attributes:
        user: whoever connects, as the issuer calls it.
        workspace: whose channels it may name.
        issuer: id of the client that had it issued, if any; the token is worth no more than that client.
        binding: to what of the issuer it is bound; None in tokens of earlier releases, and of other issuers.
        issued_at: seconds since the epoch, where there is no binding; None: it does not say.
        channels: that the server subscribes it to.
        expires_at: when the connection ends unless it is refreshed, seconds since the epoch; None: never.
        info: JSON shown to others, if any.
    """

    user: str
    workspace: str
    issuer: str | None
    binding: Binding | None = None
    issued_at: int | None = None
    channels: tuple[str, ...]
    expires_at: int | None
    info: Any = None


class SubscriptionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription token says, as a connection token does; ``client`` binds it to one connection."""

    user: str
    workspace: str
    issuer: str | None = None
    binding: Binding | None = None
    issued_at: int | None = None
    channel: str
    client: str | None
    expires_at: int | None


class _Claims(msgspec.Struct, kw_only=True):
    sub: str = ""
    iss: str | None = None
    bound: Binding | None = None
    iat: int | float | None = None
    workspace: str = DEFAULT_WORKSPACE
    channels: tuple[str, ...] = ()
    subs: dict[str, Any] | None = None
    channel: str | None = None
    client: str | None = None
    info: Any = None
    exp: int | float | None = None
    expire_at: int | float | None = None
    nbf: int | float | None = None
    aud: str | tuple[str, ...] = ()
    nameid: str | None = None

    def at(self) -> int | None:
        """When a token without a binding was issued."""
        return None if self.bound is not None or self.iat is None else int(self.iat)

    def until(self) -> int | None:
        """``expire_at`` overrides ``exp``; 0 means never."""
        at = self.exp if self.expire_at is None else self.expire_at
        return int(at) if at else None


_CLAIMS = msgspec.json.Decoder(_Claims)


class RealtimeTokenSettings(BaseSettings):
    """The same values for the HTTP plane, which issues tokens, and the realtime nodes, which verify them.

    ``Misconfigured`` is raised for a secret that is too short.

    Attributes:
        secret: signs the tokens (``HEADRACE_REALTIME_TOKEN_SECRET``); by default ``HEADRACE_TOKEN_SECRET``.
        audience: that tokens must name (``HEADRACE_REALTIME_TOKEN_AUDIENCE``); empty takes those of another
            Centrifugo-compatible issuer that shares the secret.
    """

    model_config = SettingsConfigDict(env_prefix="HEADRACE_REALTIME_TOKEN_", frozen=True, extra="ignore")

    secret: str = Field("", repr=False)
    audience: str = AUDIENCE

    @field_validator("secret")
    @classmethod
    def _check(cls, secret: str) -> str:
        if secret:
            check_strength("HEADRACE_REALTIME_TOKEN_SECRET", secret)
        return secret

    def tokens(self, backbone: BackboneSettings) -> RealtimeTokens:
        """Issues and verifies with these."""
        return RealtimeTokens(self.secret or backbone.token_secret, audience=self.audience)


class RealtimeTokens:
    """Issues and verifies.

    Args:
        secret: the signing secret.
        audience: that tokens must name; empty takes any but those of other API families.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: str, *, audience: str = AUDIENCE, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._verifier = Verifier(secret)
        self._audience = audience
        self._clock = clock

    def issue_connection(
        self,
        *,
        user: str,
        workspace: str,
        issuer: str | None,
        lifetime: int,
        channels: Sequence[str] = (),
        key: IssuerKey | None = None,
    ) -> tuple[str, int]:
        """A connection token and when it expires (seconds since the epoch); ``lifetime`` in seconds.

        It is bound to the issuer's ``key``, and lasts no longer.
        """
        return self._issue(lifetime, key, sub=user, workspace=workspace, iss=issuer, channels=list(channels))

    def issue_subscription(
        self,
        *,
        user: str,
        workspace: str,
        issuer: str | None,
        lifetime: int,
        channel: str,
        key: IssuerKey | None = None,
    ) -> tuple[str, int]:
        """A subscription token and when it expires (seconds since the epoch), as ``issue_connection`` gives one."""
        return self._issue(lifetime, key, sub=user, workspace=workspace, iss=issuer, channel=channel)

    def connection(self, token: str) -> ConnectionClaims:
        """What a connection token says.

        Raises:
            InvalidToken, ExpiredToken: it is worth nothing.
        """
        claims = self._verify(token)
        if claims.channel is not None:
            raise InvalidToken("a subscription token, not a connection token")
        return ConnectionClaims(
            user=claims.sub,
            workspace=claims.workspace,
            issuer=claims.iss,
            binding=claims.bound,
            issued_at=claims.at(),
            channels=claims.channels if claims.subs is None else tuple(claims.subs),
            expires_at=claims.until(),
            info=claims.info,
        )

    def subscription(self, token: str) -> SubscriptionClaims:
        """What a subscription token says.

        Raises:
            InvalidToken, ExpiredToken: it is worth nothing.
        """
        claims = self._verify(token)
        if not claims.channel:
            raise InvalidToken("not a subscription token: it names no channel")
        return SubscriptionClaims(
            user=claims.sub,
            workspace=claims.workspace,
            issuer=claims.iss,
            binding=claims.bound,
            issued_at=claims.at(),
            channel=claims.channel,
            client=claims.client,
            expires_at=claims.until(),
        )

    def _issue(self, lifetime: int, key: IssuerKey | None, **claims: Any) -> tuple[str, int]:
        now = int(self._clock())
        end = now + lifetime
        claims = {name: value for name, value in claims.items() if value is not None}
        if key is not None:
            claims["bound"] = msgspec.to_builtins(key.binding)
            end = end if key.ends_at is None else min(end, key.ends_at // _MICROS)
        claims |= {"iat": now, "exp": end}
        if self._audience:
            claims["aud"] = self._audience
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM), end

    def _verify(self, token: str) -> _Claims:
        try:
            claims = _CLAIMS.decode(self._verifier.payload(token))
        except ValueError as error:
            raise InvalidToken(str(error)) from error
        named = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
        if self._audience and self._audience not in named:
            raise InvalidToken("a token for another audience")
        if claims.nbf is not None and claims.nbf > self._clock():
            raise InvalidToken("the token is not valid yet")
        if claims.nameid is not None:
            raise InvalidToken("a token of another API family")
        if claims.exp is not None and claims.exp <= self._clock():
            raise ExpiredToken("the token has expired")
        return claims
