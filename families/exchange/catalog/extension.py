"""What Exchange adds to the writes of others: it tells of changed subscriptions, and follows deleted clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.extension import CatalogExtension, Edits, check_content
from families.exchange.catalog.consequences import notification_keys, subscription_notices
from families.exchange.catalog.records import COLLECTION, REALM, Details, details_keys
from schemas.model.access import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Record
    from schemas.model.family_record import FamilyRecord


class ExchangeExtension(CatalogExtension):
    """Follows deleted clients, and tells endpoints of changed subscriptions."""

    def check_record(self, record: FamilyRecord) -> None:
        """Refuse details of a definition that are none.

        Raises:
            InvalidRequest: they are none.
        """
        if (record.family, record.collection) == (REALM, COLLECTION):
            check_content(record, Details)

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        """Delete what tells a deleted client of changed subscriptions, and what is kept of its definition."""
        gone = (before.get(key) for key in edits.delete)
        clients = [each for each in gone if isinstance(each, Client)]
        return Edits(
            delete=[key for each in clients for key in (*notification_keys(before, each), *details_keys(before, each))]
        )

    def events(self, before: CatalogView, edits: Edits) -> Callable[[CatalogView], Sequence[Record]]:
        """Return a function that makes the notifications of the changes."""
        return subscription_notices(before, edits)


EXTENSION = ExchangeExtension()
