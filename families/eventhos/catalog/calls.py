"""The request of an eventhos action, as it is given and as it is kept: credentials sealed, and for their servers only.

Whoever changes an action may leave a credential as it is without knowing it. It must not be had in that way: what is
left as it is goes to the servers that had it before, and to no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.catalog import endpoint_credentials
from schemas.model.contract_call import HIDDEN
from schemas.model.endpoint import Authorization, AuthorizationType, Endpoint, NameValue, RequestTemplate
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.urls import server_of
from schemas.security.request_servers import CHOSEN_BY_SENDER, holds_credentials, sender_names_host, sender_names_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.catalog.secrets import SecretBox
    from schemas.security.destinations import Destinations

TIMEOUT = 70.0
"""Seconds that an action's request may take, as in the original."""

_MOST_IN_HEAD, _MOST_IN_BODY = 65_536, 1_000_000
"""Characters."""

_UNUSABLE = "The action cannot be used."
_AGAIN = "what is kept goes to no other server"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """How an action's request is made; with a ``token_url`` by OAuth2 client credentials.

    As it is given, a ``client_secret`` of None and a header or query parameter of ``HIDDEN`` stand for what was stored
    before; as it is kept, all of them are sealed.
    """

    url: str
    method: str
    request: RequestTemplate
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None

    def authorization(self) -> Authorization | None:
        """As its endpoint has it."""
        if self.token_url is None:
            return None
        return Authorization(
            type=AuthorizationType.CLIENT_CREDENTIALS,
            user=self.client_id,
            secret=self.client_secret,
            token_url=self.token_url,
        )


def completed(call: Call, before: Endpoint | None, secrets: SecretBox, destinations: Destinations) -> Call:
    """A call as it is to be kept, for an action whose endpoint was this one before.

    Raises:
        InvalidRequest: a URL is not an absolute http(s) URL, its address is not allowed, or OAuth2 lacks a part;
            something is to stay as it is that is not there, or that other servers had; or the sender of an event would
            say which server gets credentials.
    """
    problems = [*_size_problems(call.request), *_url_problems(call, before, destinations)]
    if problems:
        raise InvalidRequest(_UNUSABLE, problems)
    kept = _Kept.of(before, call)
    headers = _filled_in("headers", call.request.headers, kept.headers, problems)
    query = _filled_in("queryUrlParams", call.request.query, kept.query, problems)
    secret = secrets.seal(call.client_secret) if call.client_secret else kept.client_secret
    if call.token_url is not None and secret is None:
        problems.append(Problem(path="$.clientSecret", message=f"is required: {_AGAIN}"))
    if problems:
        raise InvalidRequest(_UNUSABLE, problems)
    request = msgspec.structs.replace(call.request, headers=headers, query=query)
    request = endpoint_credentials.sealed_template(request, secrets)
    problems = _server_problems(call, request)
    if problems:
        raise InvalidRequest(_UNUSABLE, problems)
    return msgspec.structs.replace(call, request=request, client_secret=secret)


class _Kept(NamedTuple):
    """What is stored and may stay as it is; headers by their name in lower case."""

    headers: dict[str, NameValue]
    query: dict[str, NameValue]
    client_secret: str | None

    @classmethod
    def of(cls, before: Endpoint | None, call: Call) -> _Kept:
        """Of an endpoint, for another call to be made in the place of its own."""
        if before is None or server_of(before.url or "") != server_of(call.url):
            return cls({}, {}, None)
        template, stored = before.request or RequestTemplate(), before.authorization
        # Its server is told the access token that the secret gives, so both servers must be the same.
        asked_before = stored is not None and server_of(stored.token_url or "") == server_of(call.token_url or "")
        return cls(
            headers={each.name.lower(): each for each in template.headers},
            query={each.name: each for each in template.query},
            client_secret=stored.secret if stored is not None and asked_before else None,
        )


def _size_problems(request: RequestTemplate) -> list[Problem]:
    """Refuse what is too large to be kept before it is looked through for secrets, while others wait."""
    found = []
    if _characters((*request.headers, *request.query)) > _MOST_IN_HEAD:
        found.append(Problem(path="$.headers", message=f"may have {_MOST_IN_HEAD} characters, with queryUrlParams"))
    if _characters(request.body) + len(request.raw_body or "") > _MOST_IN_BODY:
        found.append(Problem(path="$.body", message=f"may have {_MOST_IN_BODY} characters, as may rawBody"))
    return found


def _characters(members: Sequence[NameValue]) -> int:
    return sum(len(each.name) + len(each.value) for each in members)


def _url_problems(call: Call, before: Endpoint | None, destinations: Destinations) -> list[Problem]:
    """An action is always given as a whole: URLs that it had before are let be, or it could not be changed any more."""
    problems = []
    if before is None or before.url != call.url:
        problems += endpoint_credentials.url_problems(call.url, destinations, "$.url")
    if call.token_url is not None:
        stored = None if before is None or before.authorization is None else before.authorization.token_url
        if stored != call.token_url:
            problems += endpoint_credentials.url_problems(call.token_url, destinations, "$.securityUrl")
        if "${." in call.token_url:
            message = "must have no variables: the sender of an event would say which server gets the client secret"
            problems.append(Problem(path="$.securityUrl", message=message))
        if not call.client_id:
            problems.append(Problem(path="$.clientId", message="is required"))
    return problems


def _server_problems(call: Call, request: RequestTemplate) -> list[Problem]:
    """Refuse variables that let the sender of an event say who gets the action's credentials."""
    if not holds_credentials(call.url, request, has_token=call.token_url is not None):
        return []
    message = f"must have no variables here but those of oauthResponse: {CHOSEN_BY_SENDER}"
    found = [Problem(path="$.url", message=message)] if sender_names_server(call.url) else []
    hosts = [index for index, each in enumerate(request.headers) if sender_names_host(each)]
    return found + [Problem(path=f"$.headers[{index}].value", message=message) for index in hosts]


def _filled_in(
    member: str, given: Sequence[NameValue], kept: Mapping[str, NameValue], problems: list[Problem]
) -> tuple[NameValue, ...]:
    """Headers or query parameters with what is stored in the place of ``HIDDEN``; notes what is not stored."""
    whole = []
    for index, each in enumerate(given):
        name = each.name.lower() if member == "headers" else each.name
        stored = kept.get(name) if each.value == HIDDEN else each
        if stored is None:
            message = f"{HIDDEN} stands for a value that is kept, and {_AGAIN}: give it"
            problems.append(Problem(path=f"$.{member}[{index}].value", message=message))
        else:
            whole.append(stored)
    return tuple(whole)
