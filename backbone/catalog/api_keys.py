"""API keys: how one is made, and what is kept of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from schemas.model import timestamps
from schemas.model.access import ApiKey, KeyUse

if TYPE_CHECKING:
    from schemas.model.access import Client

SHORTEST_KEY = 16
"""Characters of an API key that is given rather than generated."""


def new_plaintext() -> str:
    """A new API key in plaintext."""
    return f"hrk_{secrets.token_urlsafe(32)}"


def api_key_record(
    key_id: str,
    client: Client,
    plaintext: str,
    digest: str,
    expires_at: int | None = None,
    *,
    use: KeyUse = KeyUse.API,
    sealed: str | None = None,
) -> ApiKey:
    """What is kept of an API key; ``expires_at`` in microseconds since the epoch, None for never.

    ``sealed`` is the key encrypted, where a family has to show it again.
    """
    now = timestamps.now()
    return ApiKey(
        id=key_id,
        client=client.id,
        workspace=client.workspace,
        digest=digest,
        hint=plaintext[-4:],
        use=use,
        sealed=sealed,
        expires_at=expires_at,
        created_at=now,
        updated_at=now,
    )
