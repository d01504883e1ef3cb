"""Socket endpoints that get all events while they have no event filter, and since when they have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.model.endpoint import Endpoint

UNLINKED = "unlinked_at"
"""The endpoint option that says since when (microseconds since the epoch) a socket endpoint has no event filter.

An empty text in a catalog record means the record's own append time, which the catalog view fills in.
"""

_LONGEST_MICROS = 18
"""Digits: no time that a record can have has more."""


def is_unlinked_at(text: str) -> bool:
    """Whether a text is one that the option ``UNLINKED`` can have."""
    return text == "" or (text.isascii() and text.isdigit() and len(text) <= _LONGEST_MICROS)


def unlinked_at(endpoint: Endpoint) -> int:
    """Since when an endpoint has no event filter, microseconds since the epoch; 0 where nothing says so.

    Options are the client's own: what is in there must not stop the router.
    """
    text = endpoint.options.get(UNLINKED, "")
    return int(text or 0) if is_unlinked_at(text) else 0
