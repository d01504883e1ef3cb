"""Text in requests: it must be UTF-8 and consist of whole characters, else it is refused with 400.

JSON can spell half of a surrogate pair, which is not a character: neither Kafka nor an answer could hold it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.model.errors import InvalidRequest, MalformedBody, Problem
from schemas.security.http_head import is_utf_8

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE = re.compile(
    rb"""
    (?: [^\\]++
      | \\ [^u]
      | \\u (?= [^dD] | [dD][^89a-fA-F] | [dD][89a-fA-F](?: [^0-9a-fA-F] | [0-9a-fA-F][^0-9a-fA-F] ) )
      | \\u [dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}
    )*+
    """,
    re.VERBOSE | re.DOTALL,
)
"""Text as far as it has no half of a surrogate pair. Escapes may be millions, so that none is a match of its own."""

_HALF = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_PART = 65_536
"""Bytes that are looked through between two pauses: a millisecond or two, if they are nothing but escapes."""

_LONGEST_ESCAPE = 12
"""Bytes: a surrogate pair."""


def check_body(body: bytes) -> None:
    """Refuse a JSON body that is not UTF-8, or that spells half of a surrogate pair.

    An ASCII body, the common case, costs one pass at the speed of memory.

    Raises:
        MalformedBody: it is one of the two; the message names the first byte.
    """
    for _ in checked_parts(body):
        pass


def checked_parts(body: bytes) -> Iterator[None]:
    """``check_body``, a part at a time, for a body so large that others wait while it is looked through.

    Raises:
        MalformedBody: as ``check_body`` does.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise MalformedBody(f"The body must be UTF-8; byte {error.start} is not.") from None
    # One character is looked for several times as fast as three are.
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return
    at = 0
    while at < len(body):
        # An escape that goes on behind the part is looked at with the next one.
        end = min(len(body), at + _PART)
        found = _WHOLE.match(body, at, end)
        at = end if found is None else found.end()
        if _HALF.match(body, at) and (at <= end - _LONGEST_ESCAPE or end == len(body)):
            raise MalformedBody(f"The body has half of a surrogate pair at byte {at}, which is not a character.")
        if end == len(body):
            return
        yield


def check_target(path: bytes, query: bytes) -> None:
    """Refuse percent-encoding that is not UTF-8 (RFC 3986, 2.5), in a path or a query.

    Raises:
        InvalidRequest: it is not.
    """
    if b"%" in path:
        _check_encoded("path", path)
    if b"%" in query:
        _check_encoded("query", query)


def _check_encoded(where: str, text: bytes) -> None:
    if not is_utf_8(text):
        problem = Problem(path=where, message="must be percent-encoded UTF-8")
        raise InvalidRequest(f"The URL's {where} must be percent-encoded UTF-8.", [problem])


def split_place(error: str) -> tuple[str, str]:
    """Split what msgspec's decoder says into the message and the JSON path, which is ``$`` where it names none.

    It does so in one pass: the message may hold text of the caller's.
    """
    message, at, path = error.rpartition(" - at `$")
    return (message, f"${path[:-1]}") if at and path.endswith("`") else (error, "$")
