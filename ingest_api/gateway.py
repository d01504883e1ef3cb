"""The gateway of one worker process: everything that its routes work with."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from backbone.catalog.accounts import Accounts
from backbone.catalog.event_types import EventTypes
from backbone.catalog.projections import Projections
from backbone.catalog.quotas import CatalogQuotas
from backbone.catalog.readable import ReadableCatalog
from backbone.catalog.subscriptions import Routes
from backbone.ledger.balance import Balance
from backbone.ledger.queries import LedgerQueries
from backbone.publishing.publisher import Publisher
from ingest_api import ledger_executor
from ingest_api.authentication import Authenticator
from ingest_api.brake import Brake
from ingest_api.dry_runs import DryRuns
from ingest_api.quotas.quotas import Quotas
from ingest_api.refusals import RefusalLog
from ingest_api.request_deadline import Patience
from ingest_api.tokens import Tokens
from schemas.model.access import Client, Role
from schemas.model.errors import NotAcknowledged, NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from pydantic_settings import BaseSettings

    from backbone.catalog.view import CatalogView
    from backbone.endpoint_states import EndpointStateView
    from backbone.kafka.records import Ack
    from backbone.ledger.balance import BalanceQuery, BalanceRow, RoutedPartition
    from backbone.ledger.lookups import NamedEvent
    from backbone.ledger.queries import EventPage, EventQuery, LedgerEvent
    from backbone.operations.view import OperationsView
    from backbone.publishing.prepared_event import PreparedEvent
    from backbone.publishing.publisher import IdempotencyKey
    from backbone.slices import Slices
    from backbone.tracing.spans import Tracing
    from ingest_api.clients import Clients
    from ingest_api.http import Receive
    from ingest_api.metrics import Metrics
    from ingest_api.settings import IngestSettings
    from schemas.model.access import Realm
    from schemas.model.event import EventDraft, Receipt
    from schemas.security.reading import ReadScope

T = TypeVar("T")
S = TypeVar("S", bound="BaseSettings")

_UNACKNOWLEDGED_MOST = 3.0
"""Seconds without an acknowledgement, while something waits for one, after which a worker is not ready."""

_NOT_READY = "Kafka does not answer, or does not acknowledge what is written. Send requests elsewhere until it does."

_PROBE_AFTER = 5.0
"""Seconds without an acknowledgement after which a record is written to see whether there is one."""


class Gateway:
    """Everything that the routes of one worker process work with; it opens nothing and closes nothing.

    Args:
        settings: of the plane.
        clients: of this process; see ``Clients``.
        metrics, slices: of this process.
        unnamed_tokens: the realm of tokens that say none.
        told: the settings of the families that are served.
        tracing: makes the spans of what is published; None makes none.
    """

    def __init__(
        self,
        settings: IngestSettings,
        clients: Clients,
        metrics: Metrics,
        slices: Slices,
        *,
        unnamed_tokens: Realm | None = None,
        told: Iterable[BaseSettings] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.clients = clients
        self.metrics = metrics
        self.slices = slices
        self.tracing = tracing
        self.brake = Brake()
        self._refusals = RefusalLog()
        self._told = {type(each): each for each in told}
        self._kept: dict[Callable[[Gateway], Any], Any] = {}
        self.tokens = Tokens(settings.backbone.token_secret, unnamed=unnamed_tokens)
        self.realtime_tokens = settings.realtime_token.tokens(settings.backbone)
        self.secrets = secrets = clients.secrets
        self.catalog = catalog = clients.catalog
        self.writer = clients.writer
        self.files = clients.files
        self.runs = clients.runs
        self.ledger = LedgerQueries(clients.ledger)
        self._balance = Balance(clients.ledger)
        self.event_types = EventTypes(catalog, clients.writer, clients.admin)
        self.publisher = Publisher(
            catalog,
            clients.producer,
            clients.idempotency,
            renew=self.event_types.renew,
            slices=slices,
            tracing=tracing,
        )
        self.accounts = Accounts(catalog, clients.writer, secrets)
        self.routes = Routes(catalog, clients.writer, secrets)
        self.projections = Projections(clients.writer)
        self.catalog_quotas = CatalogQuotas(clients.writer)
        self.quotas = Quotas(settings.quotas, catalog.view, settings.backbone.data_dir / "quotas", metrics.over_quota)
        self.dry_runs = DryRuns(settings, catalog, self.in_time, self._readable)
        self.authenticator = Authenticator(catalog.view, self.lookup, secrets, self.tokens)

    @functools.cached_property
    def _patience(self) -> Patience:
        """Belongs to the event loop of the first request."""
        return Patience(self.settings.request_timeout)

    def settings_of(self, kind: type[S]) -> S:
        """What a family was told when this process started."""
        return cast("S", self._told[kind])

    def kept(self, make: Callable[[Gateway], T]) -> T:
        """What a family has one of in a worker: made when it is first asked for, and the same ever after."""
        if make not in self._kept:
            self._kept[make] = make(self)
        found: T = self._kept[make]
        return found

    async def publish(
        self,
        family: str,
        drafts: Sequence[EventDraft],
        key: IdempotencyKey | None,
        *,
        size: int,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Receipt]:
        """Publish and count. Every route that publishes comes through here, so that quotas hold for all.

        Args:
            family: its name, as in metrics.
            drafts: events of one client.
            key: under which they are published once.
            size: bytes of the request's body.
            first: changes the catalog for them, once the quotas have admitted them.

        Raises:
            RateExceeded: a quota is used up; nothing was written.
            InvalidEvent: an event breaks its type; nothing was written.
            PermissionDenied: the client has not registered a type.
            IdempotencyMismatch: the key was used with another body.
            NotAcknowledged: not within the request's time; it may still be written.
            Unavailable: Kafka cannot take it now.
        """
        self.quotas.admit(drafts, size)
        if first is not None:
            # Not in one wait with what follows: an event under way must not be given up before its outcome is known.
            await self.in_time(first())
        began = time.perf_counter()
        receipts = await self._patience.wait(self.publisher.publish(drafts, key=key), NotAcknowledged)
        self.count_published(family, receipts, time.perf_counter() - began)
        return receipts

    def begin_publish(self, draft: EventDraft, prepared: PreparedEvent, *, size: int) -> asyncio.Future[list[Ack]]:
        """Publish one event as ``publish`` does, without a wait; what it would raise is on the future.

        Args:
            draft: the event.
            prepared: of this draft.
            size: bytes of the request's body.
        """
        try:
            self.quotas.admit((draft,), size)
            return self.publisher.begin(prepared)
        except Exception as error:  # noqa: BLE001 - told like any other
            failed: asyncio.Future[list[Ack]] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def count_published(self, family: str, receipts: Sequence[Receipt], seconds: float) -> None:
        """Count what a request has published; Kafka took so many seconds for it."""
        self.metrics.acknowledged(receipts, seconds)
        self.metrics.accepted(family, len(receipts), sum([receipt.repeated for receipt in receipts]))

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
        # Many requests wait for one answer of Kafka, and would all go on in the same round of the event loop.
        await self.slices.turn()
        return self.catalog.view

    async def endpoint_states(self) -> EndpointStateView:
        """What connectors found of endpoints, brought up to date; nothing is read before this is called once.

        Raises:
            Unavailable: Kafka does not answer: whether an endpoint is sent anything cannot be said then.
        """
        await self.in_time(self.clients.endpoint_states.caught_up())
        return self.clients.endpoint_states

    async def operations(self) -> OperationsView:
        """The figures of topics and consumer groups; nothing is read before this is called once.

        Raises:
            Unavailable: Kafka has not answered yet since this process began; later on, the last figures are told.
        """
        await self.in_time(self.clients.operations.read_once())
        return self.clients.operations

    def read_scope(self, client: Client, workspace: str | None = None) -> ReadScope:
        """What a client may read in its own workspace, or an administrator in any; without waiting for Kafka.

        Raises:
            PermissionDenied: the client has no role, or asks for a workspace of others.
        """
        return ReadableCatalog.of(self.catalog.view, client, workspace).scope

    async def ask(self, question: Callable[[], T]) -> T:
        """What the ledger answers to a question that blocks, which is put to it on a thread of its own.

        Raises:
            Unavailable: it does not within the request's time.
        """
        return await ledger_executor.answered(
            question, seconds=self.settings.request_timeout, threads=self.clients.ledger_threads
        )

    async def event(self, scope: ReadScope, event_id: str) -> LedgerEvent | None:
        """An event as the reader may see it; None when it may not, or when the ledger does not have it (yet).

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self.ask(lambda: self.ledger.event(scope, event_id))

    async def events_called(self, scope: ReadScope, any_id: str, source: str | None) -> list[NamedEvent]:
        """The events that an id stands for, be it the gateway's, a delivery's or the producer's own.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self.ask(lambda: self.ledger.called(scope, any_id, source))

    async def events(self, scope: ReadScope, query: EventQuery, *, limit: int, cursor: str | None) -> EventPage:
        """A page of the events that the reader may see, the latest first.

        Raises:
            InvalidRequest: the cursor is not one of ours.
            Unavailable: the ledger cannot be read.
        """
        return await self.ask(lambda: self.ledger.events(scope, query, limit=limit, cursor=cursor))

    async def balance(self, scope: ReadScope, query: BalanceQuery) -> tuple[int | None, list[BalanceRow]]:
        """The time until which the ledger is complete, and a page of the balance.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self.ask(lambda: (self._balance.complete_until(), self._balance.rows(scope, query)))

    async def routed(self, workspace: str, *, limit: int, after: tuple[str, int] | None) -> list[RoutedPartition]:
        """A page of the partitions that were routed.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        return await self.ask(lambda: self._balance.routed(workspace, limit=limit, after=after))

    async def _readable(self, scope: ReadScope, event_ids: Sequence[str]) -> set[str]:
        found = set(event_ids)
        if scope.client is not None:
            found = await self.ask(lambda: self.ledger.readable(scope, event_ids))
        return found - await self.ask(lambda: self.ledger.redacted(scope, event_ids))

    async def unready(self) -> str | None:
        """Why this worker cannot do its work, or None."""
        try:
            if self.clients.producer.stalled > _UNACKNOWLEDGED_MOST:
                raise NotAcknowledged(f"nothing was acknowledged for {self.clients.producer.stalled:.1f} s")
            await self.in_time(self._is_working())
        except Unavailable as error:
            self._refusals.note(error)
            return _NOT_READY
        return None

    async def _is_working(self) -> None:
        await self.catalog.caught_up()
        if self.clients.producer.idle > _PROBE_AFTER:
            await self.clients.idempotency.probe()
