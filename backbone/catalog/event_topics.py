"""The Kafka topics of event types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.topology import event_topic_spec
from schemas.model.errors import Conflict

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin
    from schemas.model.event_type import EventType


class EventTopics:
    """Creates the topics of event types, and the partitions that they lack.

    Args:
        admin: creates them.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def have(self, event_type: EventType) -> bool:
        """See that the topic has at least as many partitions as the type uses; return whether it existed before."""
        partitions = event_type.effective_partitions
        retention = self._admin.settings.event_retention
        existed = await self._admin.ensure_topics([event_topic_spec(event_type, partitions, retention)])
        if await self._admin.partition_count(event_type.topic) < partitions:
            await self._admin.grow(event_type.topic, partitions)
        return event_type.topic in existed

    async def have_of_new(self, event_type: EventType) -> None:
        """``have`` for a new type, whose topic may be left from a deleted one of the same name.

        Raises:
            Conflict: that topic is compacted and this type is not, or the reverse.
        """
        if not await self.have(event_type):
            return
        compacted = await self._admin.is_compacted(event_type.topic)
        if compacted != event_type.compacted:
            kept = "compacted" if compacted else "not compacted"
            raise Conflict(
                f"the topic of an earlier event type {event_type.namespace}/{event_type.code} is still there, and is "
                f"{kept}: register this one alike, or delete the topic {event_type.topic} in Kafka first"
            )
