"""Clients that were deleted, for as long as tokens of theirs may be about.

Tokens of earlier releases name a client and nothing else. One that is made again with the id of a deleted client must
not be taken for it: it refuses such tokens of before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas import timestamps
from schemas.family_record import FamilyRecord

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.access import Client

_FAMILY = "headrace"
_COLLECTION = "former_client"
_MOST = 5_000
"""In one workspace: a deletion must not be refused for those that were before."""

_KEPT = 8 * 86_400 * 1_000_000
"""Microseconds; the longest-lived tokens last a week."""


def farewell(view: CatalogView, client: Client) -> tuple[list[FamilyRecord], list[str]]:
    """The record that a deleted client leaves, and the keys of those in its workspace that are not needed any more."""
    now = timestamps.now()
    left = FamilyRecord(
        family=_FAMILY,
        collection=_COLLECTION,
        id=client.id,
        workspace=client.workspace,
        content={},
        created_at=now,
        updated_at=now,
    )
    former = sorted(view.family_records(_FAMILY, _COLLECTION, client.workspace), key=lambda each: each.updated_at)
    beyond = len(former) - _MOST
    old = [each.key for index, each in enumerate(former) if index < beyond or each.updated_at < now - _KEPT]
    return [left], [key for key in old if key != left.key]


def there_was(view: CatalogView, client_id: str) -> bool:
    """Whether a client with this id was deleted of late."""
    return view.family_record(_FAMILY, _COLLECTION, client_id) is not None


def refusing_tokens_of_before(client: Client) -> Client:
    """The client as it refuses the tokens of earlier releases that it was issued until now."""
    return msgspec.structs.replace(client, tokens_from=timestamps.now())
