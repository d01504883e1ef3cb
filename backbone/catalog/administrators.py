"""That there is always an administrator: who else could make one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model.access import HEADRACE, Role
from schemas.model.errors import Conflict

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client


def administers(client: Client) -> bool:
    """Whether a client may do everything."""
    return client.realm == HEADRACE and Role.ADMIN in client.roles and not client.disabled


def check_not_the_last(view: CatalogView, client: Client) -> None:
    """See that somebody else administers, if this client does. A new start gives back no right that was taken away.

    Raises:
        Conflict: nobody else does.
    """
    if not administers(client):
        return
    everybody = (each for workspace in view.workspaces() for each in view.clients(workspace.name))
    if not any(administers(each) and each.unique_id != client.unique_id for each in everybody):
        raise Conflict(f"client {client.id} is the last administrator: make another one first")
