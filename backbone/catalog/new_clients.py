"""The record of a client that comes into being, in whatever API."""

from __future__ import annotations

from typing import Any

from schemas.model import timestamps
from schemas.model.access import Client
from schemas.model.ids import new_id


def new_client(client_id: str | None = None, **properties: Any) -> Client:
    """Return a client with these properties that was never before, even if its id was.

    An id that is not chosen is a new one, and the client's ``unique_id`` too. Tokens that do not say what they were got
    with are refused if they are older than the client.
    """
    fresh, now = new_id(), timestamps.now()
    times = {"created_at": now, "updated_at": now, "tokens_from": now}
    return Client(id=client_id or fresh, identity=fresh, **{**times, **properties})
