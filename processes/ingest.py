"""The ingest process: the HTTP plane with the API families."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.takeover import take_over
from backbone.catalog.writer import CatalogWriter
from backbone.endpoint_states import EndpointStateView
from backbone.event_files import event_files
from backbone.kafka.admin import Admin
from backbone.kafka.our_groups import OurGroups
from backbone.kafka.producer import Producer
from backbone.kafka.retrying import retry_before
from backbone.kafka.topology import ensure_internal_topics
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from backbone.operations.draining import Draining
from backbone.operations.growth_driver import GrowthDriver
from backbone.operations.growths import Growths
from backbone.operations.key_reports import KeyReports
from backbone.operations.view import OperationsView
from backbone.publishing.idempotency import IdempotencyLog
from backbone.runs.requests import Runs
from backbone.slices import Slices
from backbone.tracing.settings import open_tracing
from families.catalog import EXTENSIONS
from families.http import families
from ingest_api import ledger_executor, main
from ingest_api.app import create_app
from ingest_api.clients import Clients
from ingest_api.gateway import Gateway
from ingest_api.metrics import Metrics
from schemas.model.errors import Unavailable
from schemas.security.destinations import Destinations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pydantic_settings import BaseSettings

    from backbone.kafka.records import ConsumedRecord
    from ingest_api.family import Family
    from ingest_api.request_ids import RequestIds
    from ingest_api.settings import IngestSettings

log = logging.getLogger(__name__)


def run(settings: IngestSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        Misconfigured: there is no family of a name in ``HEADRACE_FAMILIES``, or spans cannot be sent.
        ValidationError: a setting of a family is none.
        SystemExit: it could not start.
    """
    told(families(settings.families))
    settings.tracing.check()
    main.run(settings, worker_app)


def worker_app(settings: IngestSettings) -> RequestIds:
    """The application of one worker process, in that process: no client of Kafka outlives a fork."""
    served, metrics, slices = families(settings.families), Metrics(settings.backbone.metric_labels), Slices()
    unnamed_tokens = next((each.unnamed_tokens for each in served if each.unnamed_tokens), None)
    clients = new_clients(settings, metrics, slices)
    gateway = Gateway(
        settings,
        clients,
        metrics,
        slices,
        unnamed_tokens=unnamed_tokens,
        told=told(served),
        tracing=open_tracing(settings.tracing, "ingest"),
    )
    return create_app(gateway, served, functools.partial(opened, gateway))


def told(served: Sequence[Family]) -> list[BaseSettings]:
    """What the families are told by the environment.

    Raises:
        ValidationError: a setting is none.
    """
    return [each.settings() for each in served if each.settings is not None]


def new_clients(settings: IngestSettings, metrics: Metrics, slices: Slices) -> Clients:
    """A worker's clients. None of them does anything before it is started."""
    kafka, secret_keys = settings.kafka, settings.backbone.secret_keys

    def set_aside(record: ConsumedRecord, reason: str) -> None:
        metrics.corrupt(str(record.topic()))
        log.warning("catalog record cannot be read", extra={"reason": reason, "offset": record.offset()})

    catalog = Catalog(
        kafka,
        secret_keys,
        on_forged=metrics.catalog_forged,
        set_aside=set_aside,
        on_stall=metrics.consumer_replaced,
    )
    producer = Producer(kafka)
    return Clients(
        secrets=SecretBox(secret_keys),
        admin=Admin(kafka),
        catalog=catalog,
        writer=CatalogWriter(
            catalog,
            kafka,
            extensions=EXTENSIONS,
            destinations=Destinations(settings.webhook_allow, https_only=settings.webhook_https_only),
            bounds=settings.bounds,
        ),
        producer=producer,
        idempotency=IdempotencyLog(kafka, producer, metrics.consumer_replaced, slices=slices),
        endpoint_states=EndpointStateView(kafka, metrics.consumer_replaced),
        runs=Runs(kafka, producer, metrics.consumer_replaced),
        operations=OperationsView(kafka, metrics.consumer_replaced),
        ledger=open_ledger(settings.backbone.ledger_url),
        ledger_threads=ledger_executor.LedgerThreads(),
        files=event_files(settings.backbone.files_url),
    )


@contextlib.asynccontextmanager
async def opened(gateway: Gateway) -> AsyncIterator[None]:
    """Start a gateway's clients, read the catalog to its end, and see to it that there is an administrator.

    At the end it finishes what is under way and disconnects.

    Raises:
        Unavailable: Kafka has not been reachable within ``start_timeout`` seconds, or the ledger's file not at all.
    """
    settings, clients = gateway.settings, gateway.clients
    deadline = time.monotonic() + settings.start_timeout
    await retry_before(deadline, lambda: ensure_internal_topics(clients.admin))
    clients.catalog.start()
    clients.writer.start()
    await clients.producer.start()
    clients.idempotency.start()
    # The ledger agent may start after us, or never have run: until it has, the ledger is empty, not missing.
    # A file that cannot be opened is a mistake of the installation; a server may come up later.
    making_tables = await ledger_executor.opened(
        LedgerWriter(clients.ledger),
        patient=clients.ledger.dialect.name != "sqlite",
        threads=clients.ledger_threads,
    )
    await retry_before(deadline, clients.catalog.caught_up)
    await retry_before(deadline, lambda: take_over(clients.catalog, clients.writer))
    await retry_before(deadline, lambda: gateway.accounts.bootstrap(settings.backbone.first_admin_key()))
    # A keyed publish waits for its own part of the log anyway; the rest may be out of reach.
    with contextlib.suppress(Unavailable):
        await clients.idempotency.caught_up()
    key_reports = KeyReports(clients.producer, gateway.publisher.hot_keys)
    reporting = asyncio.create_task(key_reports.run())
    carrying_on = asyncio.create_task(_growth_driver(gateway).run())
    log.info("ingest is ready", extra={"bootstrap_servers": settings.kafka.bootstrap_servers})
    yield
    carrying_on.cancel()
    if making_tables is not None:
        making_tables.cancel()
    reporting.cancel()
    await key_reports.end()
    await clients.producer.stop()
    views = (clients.catalog, clients.endpoint_states, clients.runs, clients.operations)
    for each in (clients.writer, clients.idempotency, *views):
        await asyncio.to_thread(each.stop)
    if gateway.tracing is not None:
        await asyncio.to_thread(gateway.tracing.close)


def _growth_driver(gateway: Gateway) -> GrowthDriver:
    clients = gateway.clients
    return GrowthDriver(
        clients.catalog,
        Growths(clients.catalog, clients.writer, clients.admin),
        Draining(clients.admin, OurGroups()),
        gateway.settings.kafka,
    )
