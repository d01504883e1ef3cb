"""Authorises webhook requests: their ``Authorization`` header, and the access tokens that OAuth 2.0 asks for first.

An access token is kept until it expires or is refused. A refresh token that its server rotates is written to
``endpoint-state`` before it is used, so that the next process goes on with it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit
from weakref import WeakValueDictionary

import msgspec

from backbone.catalog import authorizations
from schemas import timestamps
from schemas.errors import NoAccessToken, Unavailable
from schemas.subscription import AuthorizationType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from backbone.catalog.secrets import SecretBox
    from backbone.kafka.producer import Producer
    from connectors.endpoint_states import EndpointStates
    from connectors.http_client import Answer, HttpClient
    from connectors.rendering import Request
    from schemas.subscription import Authorization, Endpoint

log = logging.getLogger(__name__)

_AGAIN = 0.5
"""Seconds between tries while Kafka does not answer."""

_MOST_TOKENS = 10_000
_EARLY, _EARLY_AT_MOST = 0.1, 30.0
"""A token is renewed before it expires: by this part of its life, and by no more seconds."""

_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class TokenAnswer(NamedTuple):
    """What a token URL answered with success: the members of its JSON object (RFC 6749 section 5.1), and the whole."""

    members: dict[str, Any]
    answer: Answer


async def call_token_url(
    client: HttpClient,
    url: str,
    form: Mapping[str, str],
    *,
    user: str | None = None,
    secret: str | None = None,
    seconds: float,
) -> TokenAnswer:
    """Ask for an access token with a form (RFC 6749), the client's id and secret in it.

    A server that takes them only as HTTP Basic (section 2.3.1) is asked once more in that way.

    Args:
        client: makes the requests.
        url: of the token endpoint.
        form: ``grant_type`` and what belongs to it.
        user: the client id.
        secret: the client secret.
        seconds: that a request may take.

    Raises:
        NoAccessToken: no success, or no JSON object.
    """
    client_members = {"client_id": user, "client_secret": secret}
    whole = {**form, **{name: value for name, value in client_members.items() if value is not None}}
    answer = await _post(client, url, whole, {}, seconds)
    if secret is not None and _refuses_client(answer):
        credentials = basic(quote_plus(user or ""), quote_plus(secret))
        answer = await _post(client, url, form, {"Authorization": credentials}, seconds)
    members = _object(answer)
    if answer.status is None or not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        # The rest of the answer may hold secrets.
        code = members.get("error") if members else None
        known = f" ({code})" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
        why = answer.error or f"answered {answer.status}{known}"
        raise NoAccessToken(f"no access token: {urlsplit(url).hostname} {why}")
    if members is None:
        raise NoAccessToken(f"no access token: {urlsplit(url).hostname} answered with something else than JSON")
    return TokenAnswer(members, answer)


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class _Token(NamedTuple):
    """``expires_at`` in monotonic seconds, None when the server did not say."""

    authorization: Authorization
    header: str
    expires_at: float | None


class _Turn:
    """Who gets an endpoint's next token, one at a time; the others wait for what comes of it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.refused: Authorization | None = None
        self.refused_at = 0.0
        self.why = ""


class Authorizer:
    """Sends requests with the authorization of their endpoint.

    Args:
        client: makes the requests, also those for tokens.
        secrets: opens the credentials.
        states: keeps rotated refresh tokens.
        producer: writes them down.
    """

    def __init__(self, *, client: HttpClient, secrets: SecretBox, states: EndpointStates, producer: Producer) -> None:
        self._client = client
        self._secrets = secrets
        self._states = states
        self._producer = producer
        self._tokens: dict[str, _Token] = {}
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def send(self, make: Callable[[], Awaitable[Request]], endpoint: Endpoint, seconds: float) -> Answer:
        """Send a request; where its access token is refused with 401, once more with a new one.

        Args:
            make: makes the request, each time that it is to be sent: a signature says when, and must not age while a
                token is waited for.
            endpoint: whose authorization it gets.
            seconds: that it may take, and so may the request for a token.

        Raises:
            NoAccessToken: there is none to be had.
            Misconfigured: the endpoint's credentials cannot be opened.
        """
        authorization = endpoint.authorization
        if authorization is None:
            return await self._send(await make(), None, seconds)
        header = await self._header(endpoint.id, authorization, seconds)
        answer = await self._send(await make(), header, seconds)
        if answer.status != HTTPStatus.UNAUTHORIZED or authorization.token_url is None:
            return answer
        renewed = await self._header(endpoint.id, authorization, seconds, refused=header)
        return answer if renewed == header else await self._send(await make(), renewed, seconds)

    async def _send(self, request: Request, header: str | None, seconds: float) -> Answer:
        headers = request.headers
        if header is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            headers["Authorization"] = header
        return await self._client.send(
            request.method, request.url, headers, request.body, seconds, body_limit=request.body_limit
        )

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
                    # It came while this one waited. If each asked again, the last would wait as many times as long.
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
        plain = authorizations.opened(stored, self._secrets)
        form = {"grant_type": "client_credentials"}
        refresh_token = None
        if stored.type is AuthorizationType.REFRESH_TOKEN:
            await _persist(self._states.caught_up)
            refresh_token = self._present_refresh_token(endpoint, plain)
            form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        url = plain.token_url or ""
        members, _ = await call_token_url(
            self._client, url, form, user=plain.user, secret=plain.secret, seconds=seconds
        )
        rotated = _token_text(members.get("refresh_token"))
        if refresh_token is not None and rotated is not None and rotated != refresh_token:
            await self._keep(endpoint, plain, rotated)
        elif refresh_token is not None and self._keeps_with_older_key(endpoint, plain):
            await self._keep(endpoint, plain, refresh_token)
        access_token = _token_text(members.get("access_token"))
        if access_token is None:
            raise NoAccessToken(f"no access token: {urlsplit(url).hostname} answered without access_token")
        return _Token(stored, f"Bearer {access_token}", _expiry(members.get("expires_in")))

    def _present_refresh_token(self, endpoint: str, plain: Authorization) -> str:
        """The one registered, or what its server has given in its place since."""
        registered = plain.refresh_token or ""
        kept = self._states.refresh_token(endpoint)
        if kept is None or kept.succeeds not in self._secrets.digests(registered):
            return registered
        return self._secrets.open(kept.refresh_token)

    def _keeps_with_older_key(self, endpoint: str, plain: Authorization) -> bool:
        """Whether what is kept would be lost with a secret key that is no longer the first."""
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
        await _persist(lambda: self._producer.send([record], final=True))


async def _post(
    client: HttpClient,
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    seconds: float,
) -> Answer:
    about = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers}
    return await client.send("POST", url, about, urlencode(form).encode(), seconds)


def _refuses_client(answer: Answer) -> bool:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return True
    return answer.status == HTTPStatus.BAD_REQUEST and (_object(answer) or {}).get("error") == "invalid_client"


def _object(answer: Answer) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(answer.body or "", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None


def _token_text(member: object) -> str | None:
    """A token, None for what cannot be one: they consist of printable ASCII characters (RFC 6749 appendix A)."""
    return member if isinstance(member, str) and member and member.isascii() and member.isprintable() else None


def _expired(token: _Token) -> bool:
    return token.expires_at is not None and time.monotonic() >= token.expires_at


def _expiry(expires_in: object) -> float | None:
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]  # some send it as a string
    except (TypeError, ValueError, OverflowError):
        return None
    return time.monotonic() + seconds - min(seconds * _EARLY, _EARLY_AT_MOST)


async def _persist(call: Callable[[], Awaitable[object]]) -> None:
    """However long Kafka takes: a rotated refresh token that is lost cannot be had again."""
    while True:
        try:
            await call()
        except Unavailable as error:
            log.warning("a refresh token waits for Kafka: %s", error)
            await asyncio.sleep(_AGAIN)
        else:
            return
