"""Text in requests: it must be UTF-8 and consist of whole characters, else it is refused with 400.

JSON can spell half of a surrogate pair, which is not a character: neither Kafka nor an answer could hold it.
"""

from __future__ import annotations

import re

from schemas.errors import InvalidRequest, MalformedBody, Problem
from schemas.http_head import is_utf_8

_ESCAPE = re.compile(
    rb"""
    \\(?: u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}
      | (?P<half> u[dD][89a-fA-F][0-9a-fA-F]{2} )
      | . )
    """,
    re.VERBOSE | re.DOTALL,
)
"""One escape in a JSON text: a surrogate pair, half of one, or any other."""


def check_body(body: bytes) -> None:
    """Refuse a JSON body that is not UTF-8, or that spells half of a surrogate pair.

    An ASCII body, the common case, costs one pass at the speed of memory.

    Raises:
        MalformedBody: it is one of the two; the message names the first byte.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise MalformedBody(f"The body must be UTF-8; byte {error.start} is not.") from None
    # One character is looked for several times as fast as three are.
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return
    for escape in _ESCAPE.finditer(body):
        if escape["half"]:
            raise MalformedBody(
                f"The body has half of a surrogate pair at byte {escape.start()}, which is not a character."
            )


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
