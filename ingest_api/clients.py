"""What one worker process works with: its clients of Kafka, its ledger and its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.writer import CatalogWriter
    from backbone.endpoint_states import EndpointStateView
    from backbone.event_files import EventFiles
    from backbone.kafka.admin import Admin
    from backbone.kafka.producer import Producer
    from backbone.operations.view import OperationsView
    from backbone.publishing.idempotency import IdempotencyLog
    from backbone.runs.requests import Runs
    from ingest_api.ledger_executor import LedgerThreads


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Whoever makes a gateway makes them, starts them before its first request and stops them after its last.

    Attributes:
        secrets: the keys of this installation.
        admin, catalog, writer, producer, idempotency: of this process, on one Kafka.
        endpoint_states, runs, operations: read nothing until they are first asked.
        ledger: the database; it may come up later.
        ledger_threads: where it is asked.
        files: the event files.
    """

    secrets: SecretBox
    admin: Admin
    catalog: Catalog
    writer: CatalogWriter
    producer: Producer
    idempotency: IdempotencyLog
    endpoint_states: EndpointStateView
    runs: Runs
    operations: OperationsView
    ledger: Engine
    ledger_threads: LedgerThreads
    files: EventFiles
