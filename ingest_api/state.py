"""The gateway of one worker process: everything its routes work with, opened and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from backbone.catalog.accounts import Accounts
from backbone.catalog.envoy import Organisations
from backbone.catalog.event_service import EventServiceRoutes
from backbone.catalog.event_types import EventTypes
from backbone.catalog.eventhos_accounts import EventhosAccounts
from backbone.catalog.eventhos_actions import EventhosActions
from backbone.catalog.eventhos_systems import EventhosSystems
from backbone.catalog.exchange import ExchangeAccounts
from backbone.catalog.exchange_event_types import ExchangeEventTypes
from backbone.catalog.exchange_notifications import ExchangeNotifications
from backbone.catalog.notices import subscription_notices
from backbone.catalog.readable import ReadableCatalog
from backbone.catalog.reader import Catalog
from backbone.catalog.routes import Routes
from backbone.catalog.secrets import SecretBox
from backbone.catalog.takeover import take_over
from backbone.catalog.writer import CatalogWriter
from backbone.dry_run import Looked, dry_run
from backbone.endpoint_states import EndpointStateView
from backbone.executions import Executions
from backbone.files import EventFiles, event_files
from backbone.idempotency import IdempotencyLog
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.topology import ensure_internal_topics
from backbone.ledger.queries import LedgerQueries
from backbone.ledger.searches import EventSearches
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from backbone.publisher import Publisher
from backbone.startup import until_deadline
from ingest_api import ledger_waits
from ingest_api.authentication import Authenticator
from ingest_api.brake import Brake
from ingest_api.first_use import FirstUse
from ingest_api.metrics import Metrics
from ingest_api.patience import Patience
from ingest_api.refusals import RefusalLog
from ingest_api.tokens import Tokens
from schemas.access import Client, Role
from schemas.destinations import Destinations
from schemas.errors import NotAcknowledged, NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Message
    from backbone.ledger.lookups import NamedEvent
    from backbone.ledger.queries import EventPage, EventQuery, LedgerEvent
    from backbone.publisher import IdempotencyKey
    from ingest_api.settings import IngestSettings
    from ingest_api.wire import Receive
    from schemas.budget import AnswerBudget
    from schemas.event import EventDraft, Receipt
    from schemas.event_search import EventSearch, FoundEvent
    from schemas.reading import ReadScope
    from schemas.subscription import EventFilter

log = logging.getLogger(__name__)

T = TypeVar("T")

_UNACKNOWLEDGED_MOST = 3.0
"""Seconds without an acknowledgement, while something waits for one, after which a worker is not ready."""

_NOT_READY = "Kafka does not answer, or does not acknowledge what is written. Send requests elsewhere until it does."

_PROBE_AFTER = 5.0
"""Seconds without an acknowledgement after which a record is written to see whether there is one."""

_DRY_RUNS, _DRY_RUNS_OF_WORKSPACE = 8, 2
"""At the same time; each has a Kafka consumer and a thread of its own."""


class Gateway:
    """Opened in the worker's lifespan, so that every Kafka client comes into being after the process was forked."""

    catalog: Catalog
    writer: CatalogWriter
    producer: Producer
    idempotency: IdempotencyLog
    publisher: Publisher
    accounts: Accounts
    event_types: EventTypes
    routes: Routes
    exchange: ExchangeAccounts
    eventhos_accounts: EventhosAccounts
    eventhos_systems: EventhosSystems
    eventhos_actions: EventhosActions
    exchange_event_types: ExchangeEventTypes
    notifications: ExchangeNotifications
    organisations: Organisations
    event_service: EventServiceRoutes
    files: EventFiles
    ledger: LedgerQueries
    executions: Executions
    authenticator: Authenticator
    first_use: FirstUse

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.brake = Brake()
        self._refusals = RefusalLog()
        self.tokens = Tokens(settings.backbone.token_secret)
        self.realtime_tokens = settings.realtime_token.tokens(settings.backbone)

    async def open(self) -> None:
        """Connect, read the catalog to its end, and see to it that there is an administrator.

        Raises:
            Unavailable: Kafka has not been reachable within ``start_timeout`` seconds, or the ledger's file not at all.
        """
        self._patience = Patience(self.settings.request_timeout)
        self._dry_runs = asyncio.Semaphore(_DRY_RUNS)
        self._dry_runs_of: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(_DRY_RUNS_OF_WORKSPACE)
        )
        kafka = self.settings.kafka
        secrets = SecretBox(self.settings.backbone.secret_keys)
        admin = Admin(kafka)
        deadline = time.monotonic() + self.settings.start_timeout
        await until_deadline(deadline, lambda: ensure_internal_topics(admin))
        self.catalog = Catalog(
            kafka,
            self.settings.backbone.secret_keys,
            on_forged=self.metrics.catalog_forged,
            set_aside=self._catalog_record_set_aside,
            on_stall=self.metrics.consumer_replaced,
        )
        self.catalog.start()
        self.writer = CatalogWriter(
            self.catalog,
            kafka,
            consequences=[subscription_notices],
            destinations=Destinations(self.settings.webhook_allow),
            bounds=self.settings.bounds,
        )
        self.writer.start()
        self.producer = Producer(kafka)
        await self.producer.start()
        self.idempotency = IdempotencyLog(kafka, self.producer, self.metrics.consumer_replaced)
        self.idempotency.start()
        self.event_types = EventTypes(self.catalog, self.writer, admin)
        self.publisher = Publisher(self.catalog, self.producer, self.idempotency, renew=self.event_types.renew)
        self.accounts = Accounts(self.catalog, self.writer, secrets)
        self.routes = Routes(self.catalog, self.writer, secrets)
        self.exchange = ExchangeAccounts(self.writer, secrets)
        self.exchange_event_types = ExchangeEventTypes(self.writer)
        self.notifications = ExchangeNotifications(self.catalog, self.writer, self.event_types, secrets)
        self.organisations = Organisations(self.writer)
        self.event_service = EventServiceRoutes(self.writer)
        self.eventhos_accounts = EventhosAccounts(self.writer, secrets)
        self.eventhos_systems = EventhosSystems(self.writer, self.event_types)
        self.eventhos_actions = EventhosActions(self.writer, secrets)
        self._endpoint_states = EndpointStateView(kafka, self.metrics.consumer_replaced)
        self.files = event_files(self.settings.backbone.files_url)
        ledger = open_ledger(self.settings.backbone.ledger_url)
        # The ledger agent may start after us, or never have run: until it has, the ledger is empty, not missing.
        # A file that cannot be opened is a mistake of the installation; a server may come up later.
        self._ledger_threads = ledger_waits.LedgerThreads()
        self._making_tables = await ledger_waits.opened(
            LedgerWriter(ledger), patient=ledger.dialect.name != "sqlite", threads=self._ledger_threads
        )
        self.ledger = LedgerQueries(ledger)
        self._searches = EventSearches(ledger)
        self.executions = Executions(
            ledger=ledger,
            secrets=secrets,
            publisher=self.publisher,
            idempotency=self.idempotency,
            producer=self.producer,
            ask=self._ask,
        )
        self.authenticator = Authenticator(self.catalog.view, self.lookup, secrets, self.tokens)
        self.first_use = FirstUse(
            self.catalog,
            self.event_types,
            limit=self.settings.crmls_max_message_types,
            enabled=self.settings.crmls_register_on_first_use,
        )
        await until_deadline(deadline, self.catalog.caught_up)
        await until_deadline(deadline, lambda: take_over(self.catalog, self.writer))
        await until_deadline(deadline, lambda: self.accounts.bootstrap(self.settings.backbone.first_admin_key()))
        # A keyed publish waits for its own part of the log anyway; the rest may be out of reach.
        with contextlib.suppress(Unavailable):
            await self.idempotency.caught_up()
        log.info("ingest is ready", extra={"bootstrap_servers": kafka.bootstrap_servers})

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        if self._making_tables is not None:
            self._making_tables.cancel()
        await self.producer.stop()
        await asyncio.to_thread(self.writer.stop)
        await asyncio.to_thread(self.idempotency.stop)
        await asyncio.to_thread(self.catalog.stop)
        await asyncio.to_thread(self._endpoint_states.stop)

    async def publish(self, family: str, drafts: Sequence[EventDraft], key: IdempotencyKey | None) -> list[Receipt]:
        """Publish and count.

        Raises:
            InvalidEvent: an event breaks its type; nothing was written.
            PermissionDenied: the client has not registered a type.
            IdempotencyMismatch: the key was used with another body.
            NotAcknowledged: not within the request's time; it may still be written.
            Unavailable: Kafka cannot take it now.
        """
        receipts = await self._patience.wait(self.publisher.publish(drafts, key=key), NotAcknowledged)
        self.metrics.accepted(family, len(receipts), sum([receipt.repeated for receipt in receipts]))
        return receipts

    async def in_time(self, waiting: Awaitable[T]) -> T:
        """What is awaited, unless it takes longer than a request may.

        Raises:
            Unavailable: it did.
        """
        return await self._patience.wait(waiting)

    def unhurried(self, receive: Receive) -> Receive:
        """``receive`` for a hot route: the time that a client takes for its body does not count."""
        return self._patience.without(receive)

    async def workspace(self, client: Client, name: str | None) -> str:
        """The workspace that a call is about: the client's own, unless an administrator names another.

        Raises:
            PermissionDenied: it is not the client's.
            NotFound: there is no such workspace.
        """
        if name is None or name == client.workspace:
            return client.workspace
        if Role.ADMIN not in client.roles:
            raise PermissionDenied("Only an administrator may act in another workspace.")
        if await self.lookup(lambda view: view.workspace(name)) is None:
            raise NotFound(f"There is no workspace {name}.")
        return name

    async def lookup(self, find: Callable[[CatalogView], T | None]) -> T | None:
        """What is found in the catalog; a miss is looked for once more after the view was brought up to date.

        Raises:
            Unavailable: Kafka does not answer.
        """
        return await self.in_time(self.catalog.lookup(find))

    async def view(self) -> CatalogView:
        """The catalog, brought up to date: what any worker has answered before this call is in it.

        Raises:
            Unavailable: Kafka does not answer.
        """
        await self.in_time(self.catalog.caught_up())
        return self.catalog.view

    async def endpoint_states(self) -> EndpointStateView:
        """What connectors found of endpoints, brought up to date; nothing is read before this is called once.

        Raises:
            Unavailable: Kafka does not answer: whether an endpoint is sent anything cannot be said then.
        """
        await self.in_time(self._endpoint_states.caught_up())
        return self._endpoint_states

    def read_scope(self, client: Client, workspace: str | None = None) -> ReadScope:
        """What a client may read in its own workspace, or an administrator in any; without waiting for Kafka.

        Raises:
            PermissionDenied: the client has no role, or asks for a workspace of others.
        """
        return ReadableCatalog.of(self.catalog.view, client, workspace).scope

    async def event(self, scope: ReadScope, event_id: str) -> LedgerEvent | None:
        """An event as the reader may see it; None when it may not, or when the ledger does not have it (yet).

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self._ask(lambda: self.ledger.event(scope, event_id))

    async def events_called(self, scope: ReadScope, any_id: str, source: str | None) -> list[NamedEvent]:
        """The events that an id stands for, be it the gateway's, a delivery's or the producer's own.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self._ask(lambda: self.ledger.called(scope, any_id, source))

    async def events(self, scope: ReadScope, query: EventQuery, *, limit: int, cursor: str | None) -> EventPage:
        """A page of the events that the reader may see, the latest first.

        Raises:
            InvalidRequest: the cursor is not one of ours.
            Unavailable: the ledger cannot be read.
        """
        return await self._ask(lambda: self.ledger.events(scope, query, limit=limit, cursor=cursor))

    async def count_events(self, scope: ReadScope, search: EventSearch) -> int:
        """How many events a search finds that the reader may see.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self._ask(lambda: self._searches.count(scope, search))

    async def find_events(
        self,
        scope: ReadScope,
        search: EventSearch,
        *,
        offset: int,
        limit: int,
        by_time: bool,
        newest_first: bool,
        budget: AnswerBudget,
    ) -> tuple[FoundEvent, ...]:
        """A part of what the reader may see of what a search finds, ordered by when it happened or else was accepted.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        page = functools.partial(self._searches.page, scope, search, offset=offset, limit=limit, budget=budget)
        return await self._ask(lambda: page(by_time=by_time, newest_first=newest_first))

    async def dry_run(self, scope: ReadScope, event_filter: EventFilter, *, last: int) -> list[Looked]:
        """The last events of a filter's types that the reader may see, and whether it matches each.

        See ``backbone.dry_run``. The ledger says which they are, unless the reader may see all of the workspace.
        """
        await self.view()
        async with self._turn(self._dry_runs_of[scope.workspace]), self._turn(self._dry_runs):
            seconds = self.settings.request_timeout
            looked = await asyncio.to_thread(
                dry_run, self.settings.kafka, self.catalog, event_filter, last=last, seconds=seconds
            )
        if scope.client is None:
            return looked
        readable = await self._ask(lambda: self.ledger.readable(scope, [each.event_id for each in looked]))
        return [each for each in looked if each.event_id in readable]

    @contextlib.asynccontextmanager
    async def _turn(self, semaphore: asyncio.Semaphore) -> AsyncIterator[None]:
        await self.in_time(semaphore.acquire())
        try:
            yield
        finally:
            semaphore.release()

    async def unready(self) -> str | None:
        """Why this worker cannot do its work, or None."""
        try:
            if self.producer.stalled > _UNACKNOWLEDGED_MOST:
                raise NotAcknowledged(f"nothing was acknowledged for {self.producer.stalled:.1f} s")
            await self.in_time(self._is_working())
        except Unavailable as error:
            self._refusals.note(error)
            return _NOT_READY
        return None

    async def _is_working(self) -> None:
        await self.catalog.caught_up()
        if self.producer.idle > _PROBE_AFTER:
            await self.idempotency.probe()

    async def _ask(self, question: Callable[[], T]) -> T:
        return await ledger_waits.answered(
            question, seconds=self.settings.request_timeout, threads=self._ledger_threads
        )

    def _catalog_record_set_aside(self, message: Message, reason: str) -> None:
        self.metrics.corrupt(str(message.topic()))
        log.warning("catalog record cannot be read", extra={"reason": reason, "offset": message.offset()})
