"""What the event service adds to the writes of others: since when its sockets have no event filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.extension import CatalogExtension, Edits
from families.event_service.model import is_socket
from schemas.model.endpoint import Subscription
from schemas.model.unlinked import UNLINKED

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.resources import Resource


class EventServiceExtension(CatalogExtension):
    """Notes on a socket endpoint that a write takes its last event filter away.

    Without any event filter it gets all events from then on. It must not get what was published before and did not pass
    the filter.
    """

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        """Put the socket endpoints that lose their last subscription."""
        gone = set(edits.delete)
        links = [each for each in (before.get(key) for key in edits.delete) if isinstance(each, Subscription)]
        alone: list[Resource] = []
        for endpoint_id in dict.fromkeys(each.endpoint for each in links):
            endpoint = before.endpoint(endpoint_id)
            if endpoint is None or not is_socket(endpoint):
                continue
            if all(each.key in gone for each in before.subscriptions_of(endpoint_id)):
                alone.append(msgspec.structs.replace(endpoint, options=endpoint.options | {UNLINKED: ""}))
        return Edits(put=alone)


EXTENSION = EventServiceExtension()
