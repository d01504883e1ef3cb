"""Grants of eventhos: nobody gives permissions that it does not hold, or changes who holds more than itself.

A client that a system has sends the events of that system. Who has ``system:update`` says which client that is, so the
right to send counts as this permission: only the client itself and who has the permission get credentials for it, take
them away, or have answers published in its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from families.eventhos.catalog.records import EVERYTHING, FORBIDDEN, WORKSPACE, Refused, System, all_of, find
from schemas.security.permissions import beyond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from families.eventhos.catalog.records import Event
    from schemas.model.access import Client

SENDING = "system:update"
"""The permission that the right to send a system's events counts as."""


def check_may_grant(view: CatalogView, by: str, permissions: Iterable[str]) -> None:
    """Refuse to give or take permissions that the client ``by`` does not hold at this moment.

    Raises:
        Refused: 401002 it lacks one.
    """
    grantor = view.client(WORKSPACE, by)
    held = () if grantor is None or grantor.disabled else grantor.scopes
    lacking = beyond(held, permissions, everything=EVERYTHING)
    if lacking:
        raise Refused(FORBIDDEN, f"Subject not authorized; only who has {', '.join(lacking)} may give or take it")


def check_may_change(view: CatalogView, by: str, client: Client) -> None:
    """Refuse to change, disable, delete or give credentials to a client that may do more than the client ``by``.

    Raises:
        Refused: 401002 it may do more.
    """
    if by == client.id:
        return
    sends = all_of(view, System, lambda each: each.client == client.id)
    check_may_grant(view, by, (*client.scopes, SENDING) if sends else client.scopes)


def check_may_send(view: CatalogView, by: str, event: Event) -> None:
    """Refuse to have an event sent as its system's client where the client ``by`` may not send it.

    Raises:
        Refused: 401002 it may not.
    """
    system = find(view, System, str(event.system_id))
    if system is None or system.client != by:
        check_may_grant(view, by, (SENDING,))
