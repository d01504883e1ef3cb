"""The request of an attempt as the delivery log keeps it: without credentials, and of bounded size."""

from __future__ import annotations

import msgspec


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that was sent.

    Attributes:
        method, url: as sent; the URL without credentials.
        headers: as sent, without credentials; those that the HTTP client adds (``Host``, ``Content-Length``,
            ``User-Agent``) are left out.
        body: the first bytes of it, as text.
        size: bytes of the whole body.
    """

    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""
    size: int = 0
