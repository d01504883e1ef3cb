"""The id of the request that is being answered, for the answer and for every log line that is written meanwhile."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Empty outside of requests."""

HEADER = b"x-request-id"

_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+=/@-]{0,127}")


def taken_over(given: bytes | None) -> str:
    """Return the id that a client or proxy gave, if it is one that can be logged and repeated; else a new one."""
    if given is not None and _SANE.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(16).hex()
