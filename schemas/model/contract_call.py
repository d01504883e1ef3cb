"""What a family that shows its executions keeps of them: the request an event came with, and the calls it led to.

Credentials are taken out of both (``without_credentials``), texts are cut to a bound.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from schemas.model.secrecy import hides, is_credential, looks_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.model.delivery import Headers

HEADER = "hr_request"
"""The record header of an event that holds its ``ReceivedRequest``."""

MAX_BODY = 16_384
"""Characters of a request's or an answer's body that are kept."""

_MAX_URL = 4_096
_MAX_VALUE = 1_024
"""Characters of a URL, and of a header or query parameter, that are kept."""

_MAX_NAMED = 100
"""Headers, and query parameters, that are kept."""

_MAX_VALUES = 16_384
"""Characters of all of them: an account is part of an attempt, which has to fit into a record however it is spelled."""

HIDDEN = "***"
"""Stands for a credential."""

_ENCODER = msgspec.json.Encoder()


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The HTTP request that an event came with, as JSON in the record header ``hr_request``; its body is the event.

    Attributes:
        method, url: as received; the URL without credentials.
        headers: by lower-case name, without credentials.
        query: parameter to value, or to several.
        retry_of: the delivery that a person sent again: this event is for that one's contract only.
        contract: id of that contract's subscription.
        reply_from: code of the event type whose endpoint answered with this event (``Endpoint.reply_to``).
        depth: how many replies led to it, one out of the other.
    """

    method: str = "POST"
    url: str = ""
    headers: dict[str, str] = {}
    query: dict[str, str | list[str]] = {}
    retry_of: str | None = None
    contract: str | None = None
    reply_from: str | None = None
    depth: int = 0

    def to_header(self) -> bytes:
        """As ``EventDraft.request`` takes it."""
        return _ENCODER.encode(self)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was sent; ``body`` is the text that went out."""

    method: str
    url: str
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: str = ""


class CallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What it was answered; without a status ``status_text`` says why there is none. Times as RFC 3339 text."""

    status: int | None = None
    status_text: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    start_time: str
    end_time: str


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One contract's call and its answer; ``reply`` says why the answer was not published as an event, if it was not.

    When no access token was to be had, it is the call for the token.
    """

    request: Call
    response: CallAnswer
    reply: str | None = None

    def to_json(self) -> str:
        """As text, to be sealed."""
        return _ENCODER.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Execution:
        """Read what ``to_json`` gave.

        Raises:
            msgspec.DecodeError: it is something else.
        """
        return _EXECUTION.decode(text)


_EXECUTION = msgspec.json.Decoder(Execution)
_RECEIVED = msgspec.json.Decoder(ReceivedRequest)


def received_request(headers: Headers | None) -> ReceivedRequest | None:
    """The request of an event's record; None when it has none that can be read."""
    for name, value in headers or ():
        if name == HEADER:
            return read_request(value)
    return None


def read_request(value: bytes | str) -> ReceivedRequest | None:
    """A request as the header holds it, or None."""
    try:
        return _RECEIVED.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def kept_url(url: str) -> str:
    """A URL as it is kept: without credentials, and of bounded length."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return url[:_MAX_URL]
    if "@" in parts.netloc:
        parts = parts._replace(netloc=f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}")
    if any(hides(name, value) for name, value in pairs):
        shown = [(name, without_credentials({name: value})[name]) for name, value in pairs]
        parts = parts._replace(query=urlencode(shown, safe="*"))
    return urlunsplit(parts)[:_MAX_URL]


def kept_values(named: Mapping[str, str]) -> dict[str, str]:
    """Headers or query parameters as they are kept: without credentials, and of bounded number and length."""
    kept: dict[str, str] = {}
    left = _MAX_VALUES
    for whole, value in without_credentials(dict(islice(named.items(), _MAX_NAMED))).items():
        name, text = whole[:_MAX_VALUE], value[:_MAX_VALUE]
        left -= len(name) + len(text)
        if left < 0:
            break
        kept[name] = text
    return kept


def without_credentials(named: Mapping[str, Any]) -> dict[str, Any]:
    """Headers or query parameters, with what is a credential by its name or its looks replaced."""
    return {name: HIDDEN if _hides(name, value) else value for name, value in named.items()}


def _hides(name: str, value: object) -> bool:
    texts = value if isinstance(value, list) else [value]
    return is_credential(name) or any(isinstance(each, str) and looks_secret(name, each) for each in texts)
