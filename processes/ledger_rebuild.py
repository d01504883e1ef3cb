"""``headrace ledger rebuild``: fills the ledger anew from Kafka, in this process."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING

from backbone.catalog.decoders import Decoders
from backbone.catalog.reader import Catalog
from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.group_offsets import GroupOffsets
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model.errors import Misconfigured
from stream_processors.indexing.indexer import LedgerIndexer
from stream_processors.indexing.rebuild import LedgerRebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backbone.kafka.records import ConsumedRecord
    from stream_processors.settings import ProcessorSettings

log = logging.getLogger(__name__)


@contextlib.contextmanager
def rebuilding(settings: ProcessorSettings) -> Iterator[LedgerRebuild]:
    """What fills the ledger, for the length of a with block.

    Raises:
        Misconfigured: the ledger cannot be opened.
        Unavailable: Kafka or the database does not answer.
    """
    # Says why if Kafka cannot be reached, which the catalog does not.
    Admin(settings.kafka).partition_counts_now()
    catalog = Catalog(settings.kafka, settings.backbone.secret_keys)
    catalog.start()
    engine = open_ledger(settings.backbone.ledger_url)
    try:
        catalog.catch_up()
        writer = LedgerWriter(engine)
        writer.create()
        indexer = LedgerIndexer(
            writer=writer, view=catalog.view, decode=Decoders(catalog).decode, set_aside=_was_set_aside
        )
        new_consumer = partial(BatchConsumer, settings.kafka, group=None)
        yield LedgerRebuild(engine=engine, writer=writer, indexer=indexer, new_consumer=new_consumer)
    finally:
        engine.dispose()
        catalog.stop()


def fill(settings: ProcessorSettings, rebuild: LedgerRebuild, progress: Callable[[int, int], None]) -> None:
    """Fill the ledger, and let its agents go on from there.

    An agent that starts after a failure reads everything again, so nothing is missing then either.

    Raises:
        Misconfigured: an agent runs.
        Unavailable: Kafka or the database does not answer; run it again.
    """
    offsets = GroupOffsets(settings.kafka, settings.ledger_group)
    if running := offsets.members():
        raise Misconfigured(
            f"The group {settings.ledger_group} has {running} members: stop every `headrace ledger` and `headrace"
            " processors` first."
        )
    offsets.forget()
    offsets.set(rebuild.run(progress))


def _was_set_aside(message: ConsumedRecord, reason: str) -> None:
    """Leave it: the agent wrote it to ``dead-letters`` when it came."""
    log.info("record not indexed", extra={"topic": message.topic(), "offset": message.offset(), "reason": reason})
