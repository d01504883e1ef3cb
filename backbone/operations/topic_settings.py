"""How the topic of an event type keeps events: for how long, whether it is compacted, and by which partition key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from backbone.catalog.type_changes import check_key, check_settings, existing_event_type
from backbone.catalog.writer import Changes
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.group_questions import known_groups
from schemas.model import timestamps
from schemas.model.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from backbone.kafka.admin import Admin
    from backbone.kafka.records import Partition
    from schemas.model.event_type import EventType

_FOR_EVER = "a compacted topic keeps the last event of each key for ever: it has no retention"

_SEGMENTS = (
    "Kafka deletes whole segments of the log: the latest one stays until it is full or a week old, so records may be "
    "there for longer."
)


class KeptFor(msgspec.Struct, frozen=True):
    """How a topic is kept; ``retention_seconds`` None: for ever; ``partition_key`` None: events have no key."""

    retention_seconds: int | None
    compacted: bool
    partition_key: str | None = None


class TopicChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of how a topic is kept does.

    Attributes:
        topic: of the event type.
        before, after: how it is kept.
        lost_records: offsets that are older than the new retention, by partition; None: Kafka does not say.
        unread: groups that have not read all of those, with the number of offsets; None: Kafka does not say.
        notes: what else is to be known, as sentences.
    """

    topic: str
    before: KeptFor
    after: KeptFor
    lost_records: dict[int, int] | None
    unread: dict[str, int] | None
    notes: list[str]


class TopicSettings:
    """Changes how topics are kept.

    Args:
        admin, writer: of this process.
    """

    def __init__(self, admin: Admin, writer: CatalogWriter) -> None:
        self._admin = admin
        self._writer = writer

    def plan(
        self,
        view: CatalogView,
        event_type: EventType,
        *,
        retention: int | None = None,
        compacted: bool | None = None,
        partition_key: str | UnsetType | None = UNSET,
        seconds: float,
    ) -> TopicChange:
        """What a change would do. Blocks.

        Args:
            view: the catalog.
            event_type: whose topic it is.
            retention: seconds; None: as it is.
            compacted: whether it keeps each key's last event instead; None: as it is.
            partition_key: of new events; None: they have no key; unset: as it is.
            seconds: for Kafka to answer.

        Raises:
            Conflict: it is to be compacted and has no partition key, or has both; or its key cannot change now.
            InvalidRequest: the partition key is none.
            QuotaExceeded: the retention is longer than it may be.
            Unavailable: Kafka does not answer.
        """
        if compacted and retention is not None:
            raise Conflict(_FOR_EVER)
        if retention is not None and self._writer.bounds is not None:
            self._writer.bounds.check_retention(retention)
        found = self._admin.topic_config_now(event_type.topic)
        key = event_type.partition_key if partition_key is UNSET else partition_key
        before = KeptFor(_retention(found), "compact" in found["cleanup.policy"], event_type.partition_key)
        is_compacted = before.compacted if compacted is None else compacted
        if is_compacted and retention is not None:
            raise Conflict(_FOR_EVER)
        check_settings(msgspec.structs.replace(event_type, compacted=is_compacted, partition_key=key))
        check_key(view, event_type, key)
        after = KeptFor(retention, compacted=False, partition_key=key)
        if is_compacted:
            after = KeptFor(None, compacted=True, partition_key=key)
        elif retention is None:
            kept = self._admin.settings.event_retention if before.compacted else before.retention_seconds
            after = KeptFor(kept, compacted=False, partition_key=key)
        lost: dict[int, int] | None = {}
        unread: dict[str, int] | None = {}
        if (after.retention_seconds, after.compacted) != (before.retention_seconds, before.compacted):
            lost, unread = self._lost(event_type.topic, after.retention_seconds, seconds)
        return TopicChange(
            topic=event_type.topic,
            before=before,
            after=after,
            lost_records=lost,
            unread=unread,
            notes=_notes(before, after, unread),
        )

    async def apply(self, topic: str, change: TopicChange) -> None:
        """Make a change; to repeat it carries on.

        Raises:
            NotFound: there is no such event type any more.
            Conflict: its partition key cannot change now.
            Unavailable: Kafka does not answer; the topic may be kept in the new way already.
        """
        after = change.after
        kept = {"cleanup.policy": "compact" if after.compacted else "delete"}
        if after.retention_seconds is not None:
            kept["retention.ms"] = str(after.retention_seconds * 1_000)
        await self._admin.configure_topic(topic, kept)

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_event_type(view, topic)
            key = found.partition_key if after.partition_key == change.before.partition_key else after.partition_key
            if (found.compacted, found.partition_key) == (after.compacted, key):
                return Changes(result=None)
            check_key(view, found, key)
            kept = msgspec.structs.replace(found, compacted=after.compacted, partition_key=key)
            return Changes(put=[msgspec.structs.replace(kept, updated_at=timestamps.now())], result=None)

        await self._writer.write(decide)

    def _lost(
        self, topic: str, retention: int | None, seconds: float
    ) -> tuple[dict[int, int] | None, dict[str, int] | None]:
        """The offsets that are older than the retention, and the groups that have not read them."""
        if retention is None:
            return {}, {}
        cut = self._cut(topic, retention, seconds)
        lost = {number: end - first for (_, number), (first, end) in cut.items() if end > first}
        if not lost:
            return {}, {}
        try:
            groups = known_groups(self._admin.settings, None, topic=topic, seconds=seconds)
        except Unavailable:
            return lost, None
        unread = {
            each.group: sum(
                max(0, end - max(first, each.committed[place]))
                for place, (first, end) in cut.items()
                if place in each.committed
            )
            for each in groups
        }
        return lost, {group: left for group, left in unread.items() if left}

    def _cut(self, topic: str, retention: int, seconds: float) -> dict[Partition, tuple[int, int]]:
        """The first offset of each partition, and the first that is young enough."""
        since = int((time.time() - retention) * 1_000)
        consumer = BatchConsumer(self._admin.settings, group=None)
        try:
            partitions = consumer.partitions_of([topic], seconds)
            bounds = consumer.watermarks(partitions, seconds)
            found = consumer.offsets_for_times(dict.fromkeys(partitions, since), seconds) if partitions else {}
        finally:
            consumer.close()
        young = {each: end if found[each] is None else found[each] or 0 for each, (_, end) in bounds.items()}
        return {each: (first, max(first, young[each])) for each, (first, _) in bounds.items()}


def _retention(config: dict[str, str]) -> int | None:
    milliseconds = int(config["retention.ms"])
    return None if milliseconds < 0 or "delete" not in config["cleanup.policy"] else milliseconds // 1_000


def _notes(before: KeptFor, after: KeptFor, unread: dict[str, int] | None) -> list[str]:
    notes = []
    if after.partition_key != before.partition_key:
        order = "Events have no key" if after.partition_key is None else f"Order is that of {after.partition_key}"
        notes.append(f"{order} from now on; nothing that is there moves. An event may overtake an earlier one, once.")
        notes.append("Tell the teams that read the topic: a consumer that needs the order of the former key loses it.")
    if not after.compacted and after.retention_seconds != before.retention_seconds:
        notes.append(_SEGMENTS)
    if after.compacted and not before.compacted:
        notes.append("Of each key only the last event stays; events without a key are deleted and not taken any more.")
    if before.compacted and not after.compacted:
        notes.append("Events that are older than the retention are deleted, the last one of a key too.")
    if unread:
        named = ", ".join(f"{group} ({left:,})" for group, left in unread.items())
        notes.append(f"These groups have not read what is deleted, and lose it: {named}.")
    if unread is None:
        notes.append("Kafka does not say now which groups have not read what is deleted.")
    return notes
