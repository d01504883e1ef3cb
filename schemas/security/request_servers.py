"""Who gets the credentials of a request template: not whom the sender of an event names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from schemas.model.errors import Misconfigured
from schemas.model.secrecy import hides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.model.endpoint import NameValue, RequestTemplate

CHOSEN_BY_SENDER = "the request holds credentials, and whoever sends an event would say which server gets them"

_AUTHORITY = re.compile(r"[^/]*(//)?(\$\{[^{}]*\}|[^/?#])*")
"""The scheme, host and port of a URL; a variable belongs to it whatever characters it has."""

_VARIABLE = re.compile(r"\$\{(\.[^{}]*)\}")
_OF_THE_TOKEN = re.compile(r"\.oauthResponse\b")
"""Variables of the token call's answer: that server has been given the credentials, and no sender speaks for it."""

_DEEPEST = 100


def check_server(url: str, template: RequestTemplate, *, has_token: bool) -> None:
    """Refuse to make a request with credentials where the sender of the event says which server gets them.

    Raises:
        Misconfigured: the template was stored before this was refused.
    """
    named = sender_names_server(url) or any(map(sender_names_host, template.headers))
    if named and holds_credentials(url, template, has_token=has_token):
        raise Misconfigured(CHOSEN_BY_SENDER)


def sender_names_server(url: str) -> bool:
    """Whether the scheme, host or port of a URL has a variable that an event fills in."""
    found = _AUTHORITY.match(url)
    return _is_sent(found[0] if found is not None else url)


def sender_names_host(header: NameValue) -> bool:
    """Whether a header names the host, by a variable that an event fills in."""
    return header.name.lower() == "host" and _is_sent(header.value)


def holds_credentials(url: str, template: RequestTemplate, *, has_token: bool) -> bool:
    """Whether a request carries credentials of its owner, by what their names and values look like.

    A value that is one variable of the event and nothing else is the sender's.

    Args:
        url: it may have a user and a password, parameters, or a secret path.
        template: headers, query and body.
        has_token: whether an access token is fetched for it.
    """
    found = _AUTHORITY.match(url)
    server = url if found is None else found[0]
    if has_token or "@" in server:
        return True
    named = (*template.headers, *template.query, *template.body)
    if any(each.sealed or _is_own(each.name, each.value) for each in named):
        return True
    if any(_is_own(name, text) for name, text in _after_server(url[len(server) :])):
        return True
    return template.raw_body is not None and any(_is_own(name, text) for name, text in _members(template.raw_body))


def _is_sent(text: str) -> bool:
    return any(_OF_THE_TOKEN.match(each) is None for each in _VARIABLE.findall(text))


def _is_own(name: str, value: str) -> bool:
    whole = _VARIABLE.fullmatch(value)
    if whole is not None:
        return _OF_THE_TOKEN.match(whole[1]) is not None
    return bool(value) and hides(name, value)


def _after_server(rest: str) -> Iterator[tuple[str, str]]:
    """The parts of a URL's path, which have no names, and its parameters; without what an event fills in."""
    path, _, query = _VARIABLE.sub("", rest).partition("#")[0].partition("?")
    for part in path.split("/"):
        yield "", part
    yield from parse_qsl(query)


def _members(raw: str) -> Iterator[tuple[str, str]]:
    try:
        found: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        found = raw
    yield from _texts("", found, _DEEPEST)


def _texts(name: str, value: Any, deepest: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict) and deepest:
        for member, each in value.items():
            yield from _texts(member, each, deepest - 1)
    elif isinstance(value, list) and deepest:
        for each in value:
            yield from _texts(name, each, deepest - 1)
