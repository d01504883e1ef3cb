"""The headers that requests to an endpoint carry besides ours: which names are reserved, and how much they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 4_096
"""Of names and values together; servers take 8 KiB of headers in all, often with those that proxies add."""

MOST = 200
"""Headers of one endpoint, however short."""

_FRAMING = frozenset(("content-length", "content-type", "expect", "host"))
"""They frame the message, or say how its body is written."""

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""They belong to one connection (RFC 9110 section 7.6.1)."""

NEVER_SENT = _FRAMING | _HOP_BY_HOP
"""No endpoint can set them; the HTTP client alone writes those that a message needs."""

_SIGNED = "webhook-"
"""Standard Webhooks' own, with the signature."""

_CLOUDEVENTS = "ce-"
"""Attributes of a CloudEvent in binary mode: a receiver would take them for the event's."""

RESERVED = ", ".join((*sorted(NEVER_SENT), f"{_CLOUDEVENTS}*", f"{_SIGNED}*"))
"""What an endpoint cannot set, for messages."""


def is_free(name: str) -> bool:
    """Whether a request may carry a header that its endpoint has, or that a template makes."""
    lowered = name.lower()
    return lowered not in NEVER_SENT and not lowered.startswith(_SIGNED)


def is_reserved(name: str) -> bool:
    """Whether a new header of an endpoint is refused."""
    return not is_free(name) or name.lower().startswith(_CLOUDEVENTS)


def size(headers: Mapping[str, str]) -> int:
    """Bytes of names and values together."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
