"""Which events one endpoint would get now, whenever they were appended: for runs, which look at the past."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from schemas.model.operational_event import is_operational
from stream_processors.routing.matching import TopicMatcher
from stream_processors.routing.operational import readable_by_owner
from stream_processors.routing.routes import LiveSubscription, selected_since

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import ConsumedRecord
    from schemas.model.endpoint import Endpoint
    from stream_processors.routing.matching import Match
    from stream_processors.routing.record_view import Decoding


class EndpointMatching:
    """A snapshot of the endpoint's enabled subscriptions. Ordered ones are left out: runs take no part in them.

    Args:
        view: the catalog.
        endpoint: whose subscriptions they are.
        only: id of the one that counts; None: all.
        skew: as in ``MatchIndex``: events of before a subscription do not match. None: they do.

    Attributes:
        since: topic to the append time (milliseconds) from which on live routing matches a subscription to it.
    """

    def __init__(
        self, view: CatalogView, endpoint: Endpoint, *, only: str | None = None, skew: int | None = None
    ) -> None:
        self._view = view
        self.since: dict[str, int] = {}
        live: defaultdict[str, list[LiveSubscription]] = defaultdict(list)
        for subscription in view.subscriptions_of(endpoint.id):
            event_filter = view.event_filter(subscription.event_filter)
            if event_filter is None or not subscription.enabled or subscription.order is not None:
                continue
            if only not in (None, subscription.id):
                continue
            for topic, added_at in selected_since(event_filter, view).items():
                since = max(subscription.linked_at or 0, added_at) // 1_000 - (skew or 0)
                self.since[topic] = min(since, self.since.get(topic, since))
                begins = 0 if skew is None else since
                live[topic].append(LiveSubscription(subscription, event_filter, endpoint, begins))
        self._matchers = {topic: TopicMatcher(entries, {}) for topic, entries in live.items()}

    def match(self, message: ConsumedRecord, decoding: Decoding) -> Match | None:
        """How the endpoint gets this record's event; None if it does not, or for a tombstone.

        Of operational events it gets those that its owner may read, as live.

        Raises:
            CorruptRecord: from ``decoding``.
        """
        topic, value = message.topic() or "", message.value()
        matcher = self._matchers.get(topic)
        if matcher is None or value is None:
            return None
        matches = matcher.match(message, value, decoding)
        if matches and is_operational(topic):
            matches = readable_by_owner(self._view, matches, message)
        return next(iter(matches), None)
