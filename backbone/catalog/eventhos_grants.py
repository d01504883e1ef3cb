"""Grants of eventhos: nobody gives permissions that it does not hold, or changes who holds more than itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.eventhos import EVERYTHING, FORBIDDEN, Refused
from schemas.permissions import beyond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from schemas.access import Client


def check_may_grant(view: CatalogView, by: str, permissions: Iterable[str]) -> None:
    """Refuse to give or take permissions that the client ``by`` does not hold at this moment.

    Raises:
        Refused: 401002 it lacks one.
    """
    grantor = view.client(by)
    held = () if grantor is None or grantor.disabled else grantor.scopes
    lacking = beyond(held, permissions, everything=EVERYTHING)
    if lacking:
        raise Refused(FORBIDDEN, f"Subject not authorized; only who has {', '.join(lacking)} may give or take it")


def check_may_change(view: CatalogView, by: str, client: Client) -> None:
    """Refuse to change, disable, delete or give credentials to a client that may do more than the client ``by``.

    Raises:
        Refused: 401002 it may do more.
    """
    if by != client.id:
        check_may_grant(view, by, client.scopes)
