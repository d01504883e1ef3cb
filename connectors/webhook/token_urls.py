"""Asks the token endpoints of OAuth 2.0 for access tokens (RFC 6749)."""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from connectors.webhook.transport import HttpRequest
from schemas.model.errors import NoAccessToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.webhook.transport import Response, Transport
    from schemas.model.endpoint import Authorization

MAX_ANSWER = 262_144
"""Most bytes of a token response: a token with many claims has some ten thousand."""

_MOST_REMEMBERED = 10_000

_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_TOKEN_TYPE = re.compile(r"[A-Za-z0-9._:/#?=-]{1,80}")
"""What may be shown of one: a name, or a URI (RFC 6749 section 8.1)."""

_AFTER_THE_CLIENT = frozenset(("invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"))
"""Errors of a server that has recognised the client (RFC 6749 section 5.2): other credentials change nothing."""


class TokenResponse(NamedTuple):
    """A successful response of a token URL: the members of its JSON object (RFC 6749 section 5.1), and the whole."""

    members: dict[str, Any]
    response: Response


class TokenUrls:
    """Asks for access tokens, and remembers how each server takes the client's id and secret.

    They go in the form first. A server that refuses them is asked once more with HTTP Basic, which every server must
    support (section 2.3.1); from then on Basic goes first.

    Args:
        transport: makes the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._basic: set[tuple[str, str]] = set()

    async def ask(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        user: str | None = None,
        secret: str | None = None,
        seconds: float,
    ) -> TokenResponse:
        """Ask for an access token.

        Args:
            url: of the token endpoint.
            form: ``grant_type`` and its parameters.
            user: the client id.
            secret: the client secret.
            seconds: timeout of each request.

        Raises:
            NoAccessToken: the request failed, or its response is no JSON object.
        """
        if secret is None:
            whole = form if user is None else {**form, "client_id": user}
            return _read(url, await self._post(url, whole, {}, seconds))
        client = (url, user or "")
        in_form = {**form, "client_id": user or "", "client_secret": secret}
        as_basic = {"Authorization": basic(quote_plus(user or ""), quote_plus(secret))}
        tries: list[tuple[bool, Mapping[str, str], Mapping[str, str]]] = [(False, in_form, {}), (True, form, as_basic)]
        if client in self._basic:
            tries.reverse()
        for is_basic, members, headers in tries:
            response = await self._post(url, members, headers, seconds)
            if not _refuses_client(response):
                self._remember(client, is_basic=is_basic)
                break
        return _read(url, response)

    def _remember(self, client: tuple[str, str], *, is_basic: bool) -> None:
        if not is_basic:
            self._basic.discard(client)
        elif len(self._basic) < _MOST_REMEMBERED:
            self._basic.add(client)

    async def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str], seconds: float) -> Response:
        about = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers}
        return await self._transport.send(
            HttpRequest("POST", url, about, urlencode(form).encode(), MAX_ANSWER), seconds
        )


def grant(kind: str, plain: Authorization) -> dict[str, str]:
    """The form of a request for a token: the grant type and what the endpoint's authorization adds.

    Args:
        kind: the grant type.
        plain: with plain secrets.
    """
    form = {"grant_type": kind}
    if plain.scope:
        form["scope"] = plain.scope
    if plain.audience:
        form["audience"] = plain.audience
    return form | {each.name: each.value for each in plain.parameters}


def bearer_token(url: str, members: Mapping[str, Any]) -> str:
    """The access token of a response, to be sent as ``Bearer``; without ``token_type`` it is taken for a bearer's.

    Raises:
        NoAccessToken: it is missing, or of another type, which must not be used (RFC 6749 section 7.1).
    """
    host = urlsplit(url).hostname
    token_type = members.get("token_type")
    if token_type is not None and not (isinstance(token_type, str) and token_type.lower() == "bearer"):
        known = isinstance(token_type, str) and _TOKEN_TYPE.fullmatch(token_type)
        shown = f" {token_type}" if known else ""
        raise NoAccessToken(f"no access token: {host} answered with the token_type{shown}, and only Bearer can be sent")
    token = token_text(members.get("access_token"))
    if token is None:
        raise NoAccessToken(f"no access token: {host} answered without access_token")
    return token


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def token_text(member: object) -> str | None:
    """A token, or None for anything else: tokens are printable ASCII characters (RFC 6749 appendix A)."""
    return member if isinstance(member, str) and member and member.isascii() and member.isprintable() else None


def _read(url: str, response: Response) -> TokenResponse:
    host = urlsplit(url).hostname
    members = _object(response)
    if response.status is None or not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        # The rest of the response may hold secrets.
        code = members.get("error") if members else None
        known = f" ({code})" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
        why = response.error or f"answered {response.status}{known}"
        raise NoAccessToken(f"no access token: {host} {why}")
    if response.truncated:
        raise NoAccessToken(f"no access token: {host} answered with more than {MAX_ANSWER} bytes")
    if members is None:
        raise NoAccessToken(f"no access token: {host} answered with something else than JSON")
    return TokenResponse(members, response)


def _refuses_client(response: Response) -> bool:
    """Whether the server may have missed the client's id and secret: those that want Basic say so in several ways."""
    if response.status == HTTPStatus.UNAUTHORIZED:
        return True
    return response.status == HTTPStatus.BAD_REQUEST and (_object(response) or {}).get("error") not in _AFTER_THE_CLIENT


def _object(response: Response) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(response.body or "", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
