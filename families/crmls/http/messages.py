"""CRMLS event posts and answers: member names, member order and date spelling of the EventGateway document.

Dates are spelt as .NET's ``DateTimeOffset`` prints them: up to seven fraction digits, always ``+00:00``, never ``Z``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from schemas.model import timestamps
from schemas.model.errors import InvalidRequest, MalformedBody, Problem

CODE_LENGTH = 200
"""Most characters of a ``messageType``: it names a topic."""

TOKEN_LIFETIME = 604_800
"""Seconds from issue to expiry of a token: exactly seven days, as in the document's sample token."""

_FRACTION = re.compile(r"[.,](\d+)")
_BEFORE_COMMA = re.compile(rb'(?:[^",]++|"(?:[^"\\]++|\\.)*+"?|,(?!\s*+[}\]]))*+', re.DOTALL)
"""Everything up to a comma before a bracket. A text that does not end goes to the end of the body: looked for from each
of its quotes anew, the time would grow with the square of its length."""

_ENDS_VALUE = re.compile(rb'["}\]\w]')

_MOST_MENDED = 1_000_000
"""Bytes of a body that is read once more without its trailing commas: a message of more is no record any more."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_STRINGS = ("eventName", "eventTime", "messageType")


class _Body(msgspec.Struct, rename="camel"):
    event_name: str
    event_time: str
    message_type: str
    message: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    event_name: str
    event_time: str
    source_account: str
    message: msgspec.Raw
    message_type: str
    created_by: None
    created_on: str
    id: str
    modified_by: None
    modified_on: str


class Post(NamedTuple):
    """A posted event; ``time`` in microseconds since the epoch, ``time_text`` as sent, ``message`` the JSON as sent."""

    event_name: str
    time: int
    time_text: str
    message_type: str
    message: bytes


_BODY = msgspec.json.Decoder(_Body)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def read_post(body: bytes, *, strict: bool = False) -> Post:
    """Read the body of ``POST /api/app/events``.

    The document itself prints a request with a trailing comma, so, unless ``strict``, a body that is not JSON is read
    once more without its trailing commas.

    Raises:
        MalformedBody: it is not a JSON object.
        InvalidRequest: a member is missing or wrong; every such member is named.
    """
    try:
        return _checked(body)
    except MalformedBody:
        if strict or len(body) > _MOST_MENDED:
            raise
        mended = _without_trailing_commas(body)
        if mended == body:
            raise
        return _checked(mended)


def _without_trailing_commas(body: bytes) -> bytes:
    """The body without the commas that stand between a value and a closing bracket."""
    parts = []
    at = 0
    while at < len(body):
        found = _BEFORE_COMMA.match(body, at)
        before = b"" if found is None else found[0]
        at += len(before)
        parts.append(before)
        if not _ENDS_VALUE.match(before.rstrip()[-1:]):
            parts.append(body[at : at + 1])
        at += 1
    return b"".join(parts)


def _checked(body: bytes) -> Post:
    try:
        read = _BODY.decode(body)
    except msgspec.ValidationError:
        raise InvalidRequest("The event is not valid.", _wrong_members(body)) from None
    except _UNREADABLE as error:
        raise MalformedBody(f"The body is not JSON: {error}") from error
    message = bytes(read.message)
    problems = []
    if not message.startswith(b"{"):
        problems.append(Problem(path="$.message", message="must be a JSON object"))
    if not read.event_name:
        problems.append(Problem(path="$.eventName", message="must not be empty"))
    if not 0 < len(read.message_type) <= CODE_LENGTH:
        problems.append(Problem(path="$.messageType", message=f"must have 1 to {CODE_LENGTH} characters"))
    time = 0
    try:
        time = timestamps.parse(read.event_time)
    except ValueError:
        problems.append(Problem(path="$.eventTime", message="must be an ISO 8601 date and time with an offset"))
    if problems:
        raise InvalidRequest("The event is not valid.", problems)
    return Post(read.event_name, time, read.event_time, read.message_type, message)


def _wrong_members(body: bytes) -> list[Problem]:
    try:
        members = _MEMBERS.decode(body)
    except msgspec.ValidationError:
        return [Problem(path="$", message="must be a JSON object")]
    except _UNREADABLE as error:
        # The reader of the event stopped at a wrong member: what comes after it is looked at only now.
        raise MalformedBody(f"The body is not JSON: {error}") from error
    problems = []
    for name in (*_STRINGS, "message"):
        value = bytes(members.get(name, b""))
        if not value or value == b"null":
            problems.append(Problem(path=f"$.{name}", message="is required"))
        elif name in _STRINGS and not value.startswith(b'"'):
            problems.append(Problem(path=f"$.{name}", message="must be a string"))
        elif name == "message" and not value.startswith(b"{"):
            problems.append(Problem(path=f"$.{name}", message="must be a JSON object"))
    return problems


def answer(
    *, event_name: str, event_time: str, source: str, message: bytes, message_type: str, created_at: int, event_id: str
) -> bytes:
    """The document's response body; ``created_at`` in microseconds since the epoch, ``message`` JSON as sent."""
    created_on = seven_digits(created_at)
    return _ENCODER.encode(
        _Answer(
            event_name=event_name,
            event_time=event_time,
            source_account=source,
            message=msgspec.Raw(message),
            message_type=message_type,
            created_by=None,
            created_on=created_on,
            id=event_id,
            modified_by=None,
            modified_on=created_on,
        ),
    )


def token_claims(client: str) -> dict[str, Any]:
    """What a token says besides whose it is and when it ends."""
    # The sample token of the document carries the role twice; clients may have come to count on the array.
    return {"unique_name": client, "role": ["user", "user"]}


def token_answer(token: str, expires_at: int) -> bytes:
    """The body of ``POST /api/token``; ``expires_at`` in seconds since the epoch."""
    return _ENCODER.encode({"token": token, "expiration": seven_digits(expires_at * 1_000_000)})


def seven_digits(micros: int) -> str:
    """``createdOn``, ``modifiedOn`` and ``expiration``: always seven fraction digits."""
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{_seconds_text(seconds)}.{fraction:06d}0+00:00"


def event_time(micros: int, text: str) -> str:
    """``eventTime``: the instant in UTC with the fraction as sent, at most seven digits, trailing zeros trimmed."""
    sent = _FRACTION.search(text)
    fraction = sent.group(1)[:7].rstrip("0") if sent else ""
    point = f".{fraction}" if fraction else ""
    seconds = _seconds_text(micros // 1_000_000)
    if timestamps.is_leap_second(text):
        seconds = f"{seconds[:-2]}60"
    return f"{seconds}{point}+00:00"


def _seconds_text(seconds: int) -> str:
    return timestamps.to_text(seconds * 1_000_000)[:-1]
