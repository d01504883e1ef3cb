"""The head of a request: what our own HTTP client writes before the body.

Names are checked, and the lines that never change are written, once for each list of names: the requests to an endpoint
have the same one.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from schemas.model.request_headers import NEVER_SENT

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED = 4_096

_CONTENT_TYPE = "content-type"
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token (RFC 9110 section 5.6.2)."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no value may have, besides line ends, which are counted."""


class HeadLines:
    """Writes the header lines of requests.

    Args:
        user_agent: of requests that have none.
    """

    def __init__(self, user_agent: str) -> None:
        # A response that is compressed nevertheless is not decompressed.
        self._defaults = {"User-Agent": user_agent, "Accept-Encoding": "identity", "Accept": "*/*"}
        self._plan_of = functools.lru_cache(_REMEMBERED)(self._plan)

    def of(self, headers: Mapping[str, str], authorization: str, length: int) -> str:
        """Return all lines after ``Host``, with the empty one that ends the head.

        Args:
            headers: of the request; of two names that differ in case only, the later one is sent.
            authorization: the line to send unless the headers have one.
            length: bytes of the body.

        Raises:
            ValueError: a header cannot be sent: it frames the message, its name is no token, or its value has control
                characters, with which it could be more than one header.
        """
        plan = self._plan_of(tuple(headers))
        lines = plan.template % tuple(headers.values()) if plan.unique else _lines(headers)
        if lines.count("\n") != plan.number or lines.count("\r") != plan.number or _CONTROL.search(lines):
            raise ValueError("a header has control characters")
        own = "" if plan.has_authorization else authorization
        return f"{own}{lines}{plan.defaults}Content-Length: {length}\r\n\r\n"

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        lowered = [name.lower() for name in names]
        for name, lower in zip(names, lowered, strict=True):
            if not _NAME.fullmatch(name) or (lower in NEVER_SENT and lower != _CONTENT_TYPE):
                raise ValueError(f"the header {name!r} cannot be sent")
        defaults = dict(self._defaults)
        if _CONTENT_TYPE not in lowered:
            defaults["Content-Type"] = "application/octet-stream"
        written = "".join(f"{name}: {value}\r\n" for name, value in defaults.items() if name.lower() not in lowered)
        return _Plan(
            template="".join(f"{name.replace('%', '%%')}: %s\r\n" for name in names),
            unique=len(set(lowered)) == len(names),
            number=len(set(lowered)),
            defaults=written,
            has_authorization="authorization" in lowered,
        )


class _Plan(NamedTuple):
    template: str
    unique: bool
    number: int
    defaults: str
    has_authorization: bool


def _lines(headers: Mapping[str, str]) -> str:
    later = {name.lower(): (name, value) for name, value in headers.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in later.values())
