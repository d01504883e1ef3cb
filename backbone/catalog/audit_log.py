"""The audit log, read: pages of the topic ``audit``, the latest entries first.

There is no view of it: a page reads the topic backwards from where the one before ended. So a worker keeps nothing in
memory, and all that Kafka retains can be read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.read_to_end import read_to
from schemas.model import topics
from schemas.model.audit import AuditEntry, decode_audit_entry
from schemas.model.errors import CorruptRecord, SearchTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.catalog.authenticity import Authenticity
    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from backbone.thread_turns import ThreadTurns

_PARTITION = (topics.AUDIT, 0)
_FIRST_CHUNK, _LARGEST_CHUNK = 400, 20_000
"""Offsets that are read at a time; more and more while a filter finds little."""
_POLL = 0.1


class AuditQuery(NamedTuple):
    """Which entries; None is any.

    Attributes:
        workspace: whose.
        since, until: microseconds since the epoch: from, and before.
        actor: id of the client.
        kind, id: of the resource.
    """

    workspace: str
    since: int | None = None
    until: int | None = None
    actor: str | None = None
    kind: str | None = None
    id: str | None = None

    def fits(self, entry: AuditEntry) -> bool:
        """Whether an entry is one of those."""
        if entry.workspace != self.workspace or self.kind not in (None, entry.kind) or self.id not in (None, entry.id):
            return False
        if self.actor is not None and (entry.actor is None or entry.actor.client != self.actor):
            return False
        return (self.since is None or entry.at >= self.since) and (self.until is None or entry.at < self.until)


class AuditPage(NamedTuple):
    """Entries, the latest first, and the offset before which the next page begins; None: there is no more."""

    entries: list[AuditEntry]
    following: int | None


def audit_page(
    settings: KafkaSettings,
    authenticity: Authenticity,
    query: AuditQuery,
    *,
    limit: int,
    before: int | None,
    seconds: float,
    turns: ThreadTurns,
) -> AuditPage:
    """Return a page of entries. Blocks. Records that no holder of the secret keys wrote are passed over.

    A page that takes long ends early, with fewer entries, and ``following`` goes on.

    Args:
        settings: how to reach Kafka.
        authenticity: checks the records' MACs.
        query: which entries.
        limit: most entries on the page.
        before: ``following`` of the page before.
        seconds: that it may take.
        turns: of the process, for its work between two records.

    Raises:
        SearchTooLong: Kafka does not tell in that time.
        Unavailable: Kafka does not answer.
    """
    deadline = time.monotonic() + seconds
    found: list[AuditEntry] = []
    work, workspace = turns.begin(), query.workspace.encode()
    consumer = BatchConsumer(settings, group=None)
    try:
        first, end = _bounds(consumer, query, deadline)
        end = end if before is None else min(end, before)
        chunk = _FIRST_CHUNK
        while end > first:
            begin = max(first, end - chunk)
            for record in reversed(list(_read(consumer, begin, end, deadline))):
                if record.key() != workspace:
                    continue
                with work:
                    entry = _entry(record, query, authenticity)
                if entry is not None:
                    found.append(entry)
                    if len(found) == limit:
                        return AuditPage(found, record.offset() if record.offset() > first else None)
            end, chunk = begin, min(4 * chunk, _LARGEST_CHUNK)
            if end > first and time.monotonic() > deadline - seconds / 2:
                return AuditPage(found, end)
    finally:
        consumer.close()
    return AuditPage(found, None)


def _bounds(consumer: BatchConsumer, query: AuditQuery, deadline: float) -> tuple[int, int]:
    """The offsets to look at. Kafka dates records a moment after the entries in them, which the query goes by."""
    if _PARTITION not in consumer.partitions_of([topics.AUDIT], _left(deadline)):
        return 0, 0
    first, end = consumer.watermarks([_PARTITION], _left(deadline))[_PARTITION]
    if query.since is not None:
        since = consumer.offsets_for_times({_PARTITION: query.since // 1_000}, _left(deadline))[_PARTITION]
        first = end if since is None else max(first, since)
    return first, end


def _read(consumer: BatchConsumer, begin: int, end: int, deadline: float) -> Iterator[ConsumedRecord]:
    # An end that was met while an earlier part was read is none of this one.
    consumer.passed(())
    consumer.assign({_PARTITION: begin})
    for record in read_to(consumer, {_PARTITION: end}, {_PARTITION: begin}, check=lambda: _left(deadline), wait=_POLL):
        if begin <= record.offset() < end:
            yield record


def _entry(record: ConsumedRecord, query: AuditQuery, authenticity: Authenticity) -> AuditEntry | None:
    try:
        entry = decode_audit_entry(record.value() or b"")
    except CorruptRecord:
        return None
    return entry if query.fits(entry) and authenticity.is_ours(record) else None


def _left(deadline: float) -> float:
    """Seconds that one question to Kafka may take.

    Raises:
        SearchTooLong: there are none.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise SearchTooLong("the audit log could not be read in time")
    return left
