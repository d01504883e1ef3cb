"""Filling the ledger anew, without Kafka."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from backbone.kafka.records import Record
from schemas.model import topics
from stream_processors.indexing.rebuild import LedgerRebuild
from tests.unit.stream_processors.runs.doubles import Consumer, Log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.stream_processors.runs.doubles import Stored


def test_redactions_are_known_before_what_they_redact() -> None:
    log, indexed, read = Log(), list[str](), list[tuple[int, int]]()
    for topic in ("events.w.n.c", topics.ATTEMPTS, topics.REDACTIONS, topics.WEBHOOK_DELIVERIES):
        for _ in range(3):
            log.append(Record(topic, b"value", None))
            log.mark([(topic, 0)])

    def index(batch: Sequence[Stored]) -> None:
        indexed.extend(each.topic() for each in batch)

    rebuild = LedgerRebuild(
        engine=None,  # type: ignore[arg-type]
        writer=SimpleNamespace(drop=lambda: None, create=lambda: None),  # type: ignore[arg-type]
        indexer=SimpleNamespace(topics=lambda: {place[0] for place in log.partitions}, index=index),  # type: ignore[arg-type]
        new_consumer=lambda: Consumer(log),  # type: ignore[arg-type,return-value]
    )

    ends = rebuild.run(lambda done, total: read.append((done, total)))

    assert indexed[:3] == [topics.REDACTIONS] * 3
    assert len(indexed) == 12
    assert ends == dict.fromkeys(log.partitions, 6)
    assert read[-1] == (24, 24)
