"""Whether the groups of Headrace have read all that was published before a topic grew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.consumption import selected_topics
from backbone.kafka.group_questions import KnownGroup, known_groups
from backbone.kafka.stalls import readable
from schemas.model.event_type import LedgerPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.catalog.view import CatalogView
    from backbone.kafka.admin import Admin
    from backbone.kafka.our_groups import OurGroups
    from backbone.kafka.records import Partition
    from schemas.model.event_type import EventType
    from schemas.model.growth import Growth


class Draining:
    """Looks at the groups; all methods block, and raise ``Unavailable`` when Kafka does not answer.

    Args:
        admin: of this process.
        groups: the names.
    """

    def __init__(self, admin: Admin, groups: OurGroups) -> None:
        self._admin = admin
        self._groups = groups

    def ends(self, growth: Growth) -> dict[Partition, int]:
        """Where the former partitions end now."""
        return self._admin.end_offsets_now(((growth.topic, each) for each in range(growth.before)), written=True)

    def behind(self, view: CatalogView, event_type: EventType, ends: Mapping[Partition, int]) -> dict[str, int]:
        """Each group that has not read up to the ends, with the number of offsets that it is behind."""
        router, ledger = self._groups.router, self._groups.ledger
        known = {each.group: each for each in known_groups(self._admin.settings, [router, ledger])}
        found = {}
        if is_routed(view, event_type) or _is_read(known[router], ends):
            found[router] = self._left(known[router], ends)
        # An installation may have no ledger agent, so it counts only while one reads the topic.
        if event_type.ledger is not LedgerPolicy.NONE and _is_read(known[ledger], ends):
            found[ledger] = self._left(known[ledger], ends)
        return {group: left for group, left in found.items() if left}

    def _left(self, group: KnownGroup, ends: Mapping[Partition, int]) -> int:
        committed = group.committed
        behind = {each: committed.get(each, 0) for each, end in ends.items() if committed.get(each, 0) < end}
        if not behind:
            return 0
        # Between a committed offset and the end there may be nothing but the marks of transactions, or retention.
        config = self._admin.settings.client_config()
        has_records = readable(config, behind)
        return sum(ends[each] - offset for each, offset in behind.items() if has_records.get(each, True))


def is_routed(view: CatalogView, event_type: EventType) -> bool:
    """Whether a live subscription selects an event type."""
    return any(
        event_type.topic in selected_topics(view, event_type.workspace, selection)
        for _, event_filter, _ in view.live_subscriptions(event_type.workspace)
        for selection in event_filter.types
    )


def _is_read(group: KnownGroup, partitions: Mapping[Partition, int]) -> bool:
    return not group.assigned.isdisjoint(partitions)
