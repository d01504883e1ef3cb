"""Authorizes webhook requests: the ``Authorization`` header, and the access tokens that OAuth 2.0 needs for it.

An access token is kept until it expires or is refused. A refresh token that its server rotates is written to
``endpoint-state`` before it is used, so that the next process goes on with it.
"""

from __future__ import annotations

import asyncio
import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from backbone.catalog import endpoint_credentials
from backbone.kafka.retrying import retry
from connectors.webhook.token_urls import TokenUrls, basic, bearer_token, grant, token_text
from connectors.webhook.transport import HttpRequest
from schemas.model import timestamps
from schemas.model.endpoint import AuthorizationType
from schemas.model.errors import NoAccessToken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backbone.catalog.secrets import SecretBox
    from backbone.kafka.producer import Producer
    from connectors.webhook.endpoint_states import EndpointStates
    from connectors.webhook.rendering import Request
    from connectors.webhook.transport import Response, Transport
    from schemas.model.endpoint import Authorization, Endpoint

_WAITING = "a refresh token"
"""For the log."""

_MOST_TOKENS = 10_000
_EARLY, _EARLY_AT_MOST = 0.1, 30.0
"""A token is renewed before it expires: by this part of its lifetime, and at most by so many seconds."""


class _Token(NamedTuple):
    """``expires_at`` in monotonic seconds, None when the server did not say."""

    authorization: Authorization
    header: str
    expires_at: float | None


class _Turn:
    """Lets one request at a time ask for an endpoint's token; the others wait for the result."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.refused: Authorization | None = None
        self.refused_at = 0.0
        self.why = ""


class Authorizer:
    """Sends requests with the authorization of their endpoint.

    Args:
        transport: sends the requests, also those for tokens.
        secrets: decrypts the credentials.
        states: keeps rotated refresh tokens.
        producer: writes them.

    Attributes:
        token_urls: for others that need access tokens.
    """

    def __init__(self, *, transport: Transport, secrets: SecretBox, states: EndpointStates, producer: Producer) -> None:
        self.token_urls = TokenUrls(transport)
        self._transport = transport
        self._secrets = secrets
        self._states = states
        self._producer = producer
        self._tokens: dict[str, _Token] = {}
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def send(self, make: Callable[[], Awaitable[Request]], endpoint: Endpoint, seconds: float) -> Response:
        """Send a request; where its access token is refused with 401, once more with a new one.

        Args:
            make: makes the request each time that it is sent: its signature has a timestamp, which must not age while
                a token is fetched.
            endpoint: has the credentials.
            seconds: timeout, also of the request for a token.

        Raises:
            NoAccessToken: the token URL gave none.
            Misconfigured: the endpoint's credentials cannot be decrypted.
        """
        authorization = endpoint.authorization
        if authorization is None:
            return await self._send(await make(), None, seconds)
        header = await self._header(endpoint.id, authorization, seconds)
        response = await self._send(await make(), header, seconds)
        if response.status != HTTPStatus.UNAUTHORIZED or authorization.token_url is None:
            return response
        renewed = await self._header(endpoint.id, authorization, seconds, refused=header)
        return response if renewed == header else await self._send(await make(), renewed, seconds)

    async def _send(self, request: Request, header: str | None, seconds: float) -> Response:
        headers = request.headers
        if header is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            headers["Authorization"] = header
        sent = HttpRequest(request.method, request.url, headers, request.body, request.body_limit, request.span)
        return await self._transport.send(sent, seconds)

    async def _header(
        self,
        endpoint: str,
        stored: Authorization,
        seconds: float,
        *,
        refused: str | None = None,
    ) -> str:
        if stored.type is AuthorizationType.API_KEY:
            return f"Bearer {self._secrets.open(stored.secret or '')}"
        if stored.type is AuthorizationType.BASIC:
            return basic(stored.user or "", self._secrets.open(stored.secret or ""))
        asked_at = time.monotonic()
        turn = self._turns.setdefault(endpoint, _Turn())
        async with turn.lock:
            known = self._tokens.get(endpoint)
            if known is None or known.authorization != stored or known.header == refused or _expired(known):
                if turn.refused == stored and turn.refused_at >= asked_at:
                    # Refused while this one waited. If each asked again, the last would wait that many times as long.
                    raise NoAccessToken(turn.why)
                known = await self._first_in_turn(turn, endpoint, stored, seconds)
            return known.header

    async def _first_in_turn(self, turn: _Turn, endpoint: str, stored: Authorization, seconds: float) -> _Token:
        try:
            token = await self._new_token(endpoint, stored, seconds)
        except NoAccessToken as error:
            turn.refused, turn.refused_at, turn.why = stored, time.monotonic(), str(error)
            raise
        if len(self._tokens) >= _MOST_TOKENS:
            self._tokens.clear()
        self._tokens[endpoint] = token
        return token

    async def _new_token(self, endpoint: str, stored: Authorization, seconds: float) -> _Token:
        plain = endpoint_credentials.opened(stored, self._secrets)
        form = grant("client_credentials", plain)
        refresh_token = None
        if stored.type is AuthorizationType.REFRESH_TOKEN:
            await retry(self._states.caught_up, waiting=_WAITING)
            refresh_token = self._present_refresh_token(endpoint, plain)
            form = grant("refresh_token", plain) | {"refresh_token": refresh_token}
        url = plain.token_url or ""
        members, _ = await self.token_urls.ask(url, form, user=plain.user, secret=plain.secret, seconds=seconds)
        rotated = token_text(members.get("refresh_token"))
        if refresh_token is not None and rotated is not None and rotated != refresh_token:
            await self._keep(endpoint, plain, rotated)
        elif refresh_token is not None and self._keeps_with_older_key(endpoint, plain):
            await self._keep(endpoint, plain, refresh_token)
        return _Token(stored, f"Bearer {bearer_token(url, members)}", _expiry(members.get("expires_in")))

    def _present_refresh_token(self, endpoint: str, plain: Authorization) -> str:
        """The registered refresh token, or the one that its server has given in its place since."""
        registered = plain.refresh_token or ""
        kept = self._states.refresh_token(endpoint)
        if kept is None or kept.succeeds not in self._secrets.digests(registered):
            return registered
        return self._secrets.open(kept.refresh_token)

    def _keeps_with_older_key(self, endpoint: str, plain: Authorization) -> bool:
        """Whether the kept token is encrypted with an older secret key, and would be lost with it."""
        kept = self._states.refresh_token(endpoint)
        if kept is None or kept.succeeds not in self._secrets.digests(plain.refresh_token or ""):
            return False
        return not self._secrets.is_current(kept.refresh_token)

    async def _keep(self, endpoint: str, plain: Authorization, rotated: str) -> None:
        record = self._states.keep_refresh_token(
            endpoint,
            self._secrets.seal(rotated),
            succeeds=self._secrets.digest(plain.refresh_token or ""),
            now=timestamps.now(),
        )
        # However long Kafka takes: a rotated refresh token that is lost cannot be had again.
        await retry(lambda: self._producer.send([record], final=True), waiting=_WAITING)


def _expired(token: _Token) -> bool:
    return token.expires_at is not None and time.monotonic() >= token.expires_at


def _expiry(expires_in: object) -> float | None:
    """When to renew a token, in monotonic seconds; None when its server does not tell. Some send text."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float, str)):
        return None
    try:
        seconds = float(expires_in)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds):
        return None
    return time.monotonic() + seconds - min(seconds * _EARLY, _EARLY_AT_MOST)
