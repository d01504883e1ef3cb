"""The rules of CloudEvents 1.0.2 for attributes: names, types and the constraints of each ("Context Attributes")."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from schemas.model.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT = "clientid"
"""The extension that the gateway sets: who published. A producer's own of that name is refused."""

_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_MOST_EXTENSIONS = 1_000
"""Of one event, whose parts cannot take turns with other requests."""

_LONGEST_REMEMBERED = 256
"""Characters of a source."""
_RESERVED = frozenset(("data", "data_base64"))

_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_REFUSED = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""Control characters, surrogates and noncharacters."""

_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_SEGMENT_WITHOUT_COLON = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})+"
_AUTHORITY = (
    r"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*@)?"
    r"(?:\[[0-9A-Za-z:.\-_~!$&'()*+,;=]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)"
    r"(?::[0-9]*)?"
)
_ROOTED = rf"(?:/{_PCHAR}*)*"
_QUERY = rf"(?:\?(?:{_PCHAR}|[/?])*)?"
_FRAGMENT = rf"(?:#(?:{_PCHAR}|[/?])*)?"
_PATH = rf"(?://{_AUTHORITY}{_ROOTED}|/(?:{_PCHAR}+{_ROOTED})?"
_ABSOLUTE = rf"[A-Za-z][A-Za-z0-9+\-.]*:{_PATH}|{_PCHAR}+{_ROOTED}|){_QUERY}"
_RELATIVE = rf"{_PATH}|{_SEGMENT_WITHOUT_COLON}{_ROOTED}|){_QUERY}"
_URI = re.compile(_ABSOLUTE)
"""RFC 3986, 4.3: no fragment."""
_URI_REFERENCE = re.compile(rf"(?:{_ABSOLUTE}|{_RELATIVE}){_FRAGMENT}")
"""RFC 3986, 4.1."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105  # a grammar's token
_PARAMETER = rf'[ \t]*+;[ \t]*+(?:{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*+"))?+'
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})(?:{_PARAMETER})*+[ \t]*+")
"""Possessive throughout: blanks between semicolons belong to either, and every way of sharing them would be tried."""


def text_problem(text: str) -> str | None:
    """Why CloudEvents allows no such String, or None."""
    # What is printable has no character of the refused kinds, and is known sooner.
    found = None if text.isprintable() else _REFUSED.search(text)
    return (
        None if found is None else f"has the character U+{ord(found[0]):04X}, which CloudEvents excludes from strings"
    )


def source_problem(source: str) -> str | None:
    """Why this is no source, or None."""
    if len(source) > _LONGEST_REMEMBERED:
        return _source_problem.__wrapped__(source)
    return _source_problem(source)


@functools.lru_cache(maxsize=4_096)
def _source_problem(source: str) -> str | None:
    if not source:
        return "must not be empty"
    return None if _URI_REFERENCE.fullmatch(source) else "must be a URI reference (RFC 3986, section 4.1)"


def required_text_problem(text: str) -> str | None:
    """Why this is no value of an attribute that must not be empty, or None."""
    return text_problem(text) if text else "must not be empty"


def dataschema_problem(dataschema: str) -> str | None:
    """Why this is no dataschema, or None."""
    if _URI.fullmatch(dataschema):
        return None
    return "must be an absolute URI without a fragment (RFC 3986, section 4.3)"


def datacontenttype_problem(media_type: str) -> str | None:
    """Why this is no content type of an event's data, or None."""
    found = _MEDIA_TYPE.fullmatch(media_type)
    if found is None:
        return "must be a media type (RFC 2046)"
    subtype = found[1].lower().partition("/")[2]
    if subtype != "json" and not subtype.endswith("+json"):
        return "must be application/json or another JSON type: events carry JSON"
    return None


def extension_problems(extensions: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with extension attributes."""
    if len(extensions) > _MOST_EXTENSIONS:
        found = f"has {len(extensions):,} extension attributes"
        yield Problem(path="$", message=f"{found}; an event may have {_MOST_EXTENSIONS:,}")
        return
    for name, value in extensions.items():
        message = name_problem(name) or _value_problem(value)
        if message is not None:
            yield Problem(path=f"$.{name}", message=message)


def name_problem(name: str) -> str | None:
    """Why no extension attribute has this name, or None."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        return "is not a CloudEvents attribute name: use a-z and 0-9"
    if name == CLIENT:
        return "is set by the gateway to the client that publishes: leave it out"
    return None


def _value_problem(value: Any) -> str | None:
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, bool):
        return None
    if not isinstance(value, int):
        return "must be a string, a boolean or an integer"
    return None if _SMALLEST <= value <= _LARGEST else f"must be an integer from {_SMALLEST} to {_LARGEST}"
