"""Takes a backup of the topics ``catalog`` and ``_schemas``, and restores them on a Kafka that has neither."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from backbone.catalog.authenticity import Authenticity
from backbone.catalog.macs import MacKeys
from backbone.catalog.records import apply
from backbone.catalog.view import CatalogView
from backbone.catalog.writer import TRANSACTIONAL_ID
from backbone.kafka.admin import Admin
from backbone.kafka.read_to_end import read_topics_to_end
from backbone.kafka.records import Record, headers_of
from backbone.kafka.topology import ensure_internal_topics_now, event_topic_spec
from backbone.kafka.transaction import TransactionalProducer
from operations.backup.backup_file import Head, StoredRecord
from schemas.model import timestamps, topics
from schemas.model.errors import CorruptRecord, Forged, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.settings import KafkaSettings
    from schemas.model.event_type import EventType

TOPICS = (topics.CATALOG, topics.SCHEMAS)

_SECONDS = 600.0
"""For the one transaction of a restore."""


def take(kafka: KafkaSettings) -> tuple[Head, list[StoredRecord]]:
    """Read the last record of each key, in the order in which they were written.

    Raises:
        Unavailable: Kafka does not answer, or no plane has made the topics.
    """
    Admin(kafka).partition_count_now(topics.CATALOG)
    found: dict[tuple[str, bytes], StoredRecord] = {}
    for record in read_topics_to_end(kafka, TOPICS):
        place = record.topic(), record.key() or b""
        found.pop(place, None)
        value = record.value()
        if value is not None:
            headers = [(name, content or b"") for name, content in headers_of(record)]
            found[place] = StoredRecord(*place, value, headers)
    return Head(taken_at=timestamps.to_text(timestamps.now()), records=len(found)), list(found.values())


def check_keys(records: Sequence[StoredRecord], secret_keys: Sequence[str]) -> None:
    """Refuse records that the secret keys do not fit: the restored installation could not start.

    Raises:
        Misconfigured: a key is missing, or the file was changed.
    """
    authenticity = Authenticity(MacKeys(secret_keys))
    for record in records:
        if record.topic() == topics.CATALOG:
            try:
                authenticity.judge(record)
            except Forged as error:
                raise Misconfigured(
                    f"The record {record.key().decode(errors='replace')} of the backup does not count: {error}. Set"
                    " HEADRACE_SECRET_KEYS to the keys that the installation had."
                ) from error


def restore(kafka: KafkaSettings, records: Sequence[StoredRecord], secret_keys: Sequence[str]) -> int:
    """Make the topics of the event types, then write the records in one transaction; return how many types there are.

    Raises:
        Misconfigured: this Kafka has a catalog, or the secret keys do not fit.
        Conflict: Kafka does not take the name of a topic.
        Unavailable: Kafka does not answer; nothing is restored unless all is.
    """
    check_keys(records, secret_keys)
    check_empty(kafka)
    ensure_internal_topics_now(Admin(kafka))
    kinds = _event_types(records)
    # Before the records: a catalog without them takes no event, and no second restore.
    Admin(kafka, timeout=60).ensure_topics_now(
        [event_topic_spec(kind, kind.effective_partitions, kafka.event_retention) for kind in kinds]
    )
    producer = TransactionalProducer(kafka, TRANSACTIONAL_ID, timeout=_SECONDS)
    try:
        producer.start()
        producer.begin()
        for each in records:
            producer.produce(Record(each.topic(), each.value(), each.key(), each.headers(), 0))
        producer.commit()
    finally:
        producer.close()
    return len(kinds)


def check_empty(kafka: KafkaSettings) -> None:
    """Refuse a Kafka that an installation uses.

    Raises:
        Misconfigured: it does.
    """
    admin = Admin(kafka)
    known = admin.partition_counts_now()
    places = [(topic, 0) for topic in TOPICS if topic in known]
    if any(admin.end_offsets_now(places, written=True).values()):
        raise Misconfigured(
            "This Kafka has a catalog already: restore before the first start of headrace ingest, on a new Kafka."
        )


def _event_types(stored: Sequence[StoredRecord]) -> list[EventType]:
    view = CatalogView()
    for each in stored:
        # The installation that was saved had passed it over too.
        with contextlib.suppress(CorruptRecord):
            apply(view, each)
    return [kind for workspace in view.workspaces() for kind in view.event_types(workspace.name)]
