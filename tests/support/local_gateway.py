"""The ingest plane in this process, without Kafka: its catalog is a view that writes change at once.

For tests that make hundreds of requests about who may do what. Publishing checks the events and keeps none.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from backbone.catalog.authenticity import Authenticity
from backbone.catalog.extension import Extensions
from backbone.catalog.macs import MacKeys
from backbone.catalog.secrets import SecretBox
from backbone.catalog.view import CatalogView
from backbone.endpoint_states import EndpointStatus, Standing
from backbone.event_files import event_files
from backbone.ledger.tables import METADATA, open_ledger
from backbone.operations.view import OperationsView
from backbone.runs.view import KnownRun
from backbone.slices import Slices
from families.catalog import EXTENSIONS
from families.http import families
from ingest_api.app import IngestApp
from ingest_api.clients import Clients
from ingest_api.gateway import Gateway
from ingest_api.ledger_executor import LedgerThreads
from ingest_api.metrics import Metrics
from ingest_api.request_deadline import Patience
from ingest_api.settings import IngestSettings
from processes.ingest import told
from schemas.model import timestamps
from schemas.model.endpoint_health import EndpointHealth
from schemas.model.errors import Conflict, IdempotencyMismatch
from schemas.model.event import Receipt
from schemas.model.run import RunCommand
from schemas.security.destinations import ANYWHERE, Destinations
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS, TOKEN_SECRET
from tests.support.signatures import remember_signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

    from backbone.catalog.writer import Changes
    from backbone.kafka.topology import TopicSpec
    from backbone.publishing.idempotency import IdempotencyKey
    from backbone.publishing.publisher import Publisher
    from schemas.model.event import EventDraft
    from schemas.model.run import OffsetRange, Run, Wanted


class DirectCatalog:
    """A catalog that is always up to date."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.authenticity = Authenticity(MacKeys([SECRET_KEYS]))

    async def caught_up(self, _timeout: float = 0.0) -> None:
        """It is."""

    async def lookup(self, find: Callable[[CatalogView], Any]) -> Any:
        """What is found."""
        return find(self.view)


class DirectWriter:
    """Decides on the catalog's own view, and changes it at once."""

    bounds = None

    def __init__(self, view: CatalogView) -> None:
        self.destinations = Destinations(ANYWHERE)
        self.extension = Extensions(EXTENSIONS)
        self._view = view

    async def write(self, decide: Callable[[CatalogView], Changes[Any]]) -> Any:
        """The result of the decision."""
        changes = decide(self._view).extended(self.extension, self._view)
        changes.apply_to(self._view)
        return changes.result


class _Admin:
    """Every topic is there as it should be."""

    class settings:  # noqa: N801  # an attribute
        event_retention = 1

    async def ensure_topics(self, _topics: Sequence[TopicSpec]) -> set[str]:
        """None was there."""
        return set()

    async def partition_count(self, _topic: str) -> int:
        """Enough."""
        return 1_000

    async def is_compacted(self, _topic: str) -> bool:
        """None is."""
        return False


class _States:
    async def caught_up(self) -> None:
        """They are."""

    def standing(self, _endpoint: object) -> Standing:
        """Nothing is known of an endpoint."""
        return Standing(EndpointStatus.ENABLED)

    def health(self, _endpoint: object) -> EndpointHealth:
        """Nor of its health."""
        return EndpointHealth()


class _Producer:
    wait = 4.0

    async def send(self, _records: Sequence[object]) -> list[object]:
        """Nothing is written."""
        return []


class _Operations(OperationsView):
    """Knows what a test has it apply."""

    async def caught_up(self) -> None:
        """There is no Kafka."""


class _Runs:
    """Keeps the runs that are asked for; nobody executes them."""

    def __init__(self) -> None:
        self._known: dict[str, KnownRun] = {}

    async def view(self) -> _Runs:
        """This."""
        return self

    def run(self, run_id: str) -> KnownRun | None:
        """One run."""
        return self._known.get(run_id)

    def runs(self, workspace: str) -> list[KnownRun]:
        """Those of a workspace."""
        return [each for each in self._known.values() if each.run.workspace == workspace]

    async def repeated(self, run_id: str, digest: str) -> KnownRun | None:
        """An earlier request with the same key, if it is the same."""
        found = self._known.get(run_id)
        if found is not None and found.run.digest != digest:
            raise IdempotencyMismatch("another request")
        return found

    async def ranges(self, *_: object, **__: object) -> tuple[OffsetRange, ...]:
        """Nothing is there."""
        return ()

    async def check_there(self, *_: object, **__: object) -> None:
        """Everything is."""

    async def create(self, run: Run) -> KnownRun:
        """Keep it."""
        return self._known.setdefault(run.id, KnownRun(run))

    async def ended(self, known: KnownRun, _seconds: float) -> KnownRun:
        """It never does."""
        return known

    async def command(self, known: KnownRun, wanted: Wanted, by: str) -> KnownRun:
        """Keep the command."""
        command = RunCommand(run=known.run.id, wanted=wanted, by=by, at=0)
        self._known[known.run.id] = known._replace(command=command)
        return self._known[known.run.id]

    async def retry(self, known: KnownRun, by: str) -> KnownRun:
        """Refuse it: none has ended."""
        raise Conflict(f"{by} cannot retry {known.run.id}")


class _Publisher:
    """Checks events and their publishers, as the real one does, and writes nothing."""

    def __init__(self, checks: Publisher, published: list[tuple[IdempotencyKey | None, EventDraft]]) -> None:
        self.check = checks.check
        self._published = published

    async def publish(
        self, drafts: Sequence[EventDraft], *, key: IdempotencyKey | None = None, **_: object
    ) -> list[Receipt]:
        """A receipt each."""
        await self.check(drafts, "$[{}]".format)
        self._published += [(key, draft) for draft in drafts]
        now = timestamps.now()
        return [Receipt(id=str(uuid4()), topic="t", partition=0, offset=0, received_at=now) for _ in drafts]


class LocalGateway:
    """The plane, and callers of it.

    Attributes:
        published: the events that were accepted, with the idempotency keys of their requests.
    """

    def __init__(self, gateway: Gateway, published: list[tuple[IdempotencyKey | None, EventDraft]]) -> None:
        self.published = published
        self.gateway = gateway
        app = IngestApp(gateway, families(gateway.settings.families), contextlib.nullcontext)
        self._transport = httpx.ASGITransport(app)

    async def begin(self) -> LocalGateway:
        """Serve in this event loop, with an administrator."""
        self.gateway._patience = Patience(60)  # type: ignore[misc]  # made at its first use
        await self.gateway.accounts.bootstrap(ADMIN_KEY)
        return self

    def client(self, key: str | None = ADMIN_KEY, **options: Any) -> httpx.AsyncClient:
        """An HTTP client; ``key`` goes along as bearer."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(transport=self._transport, base_url="http://localhost", headers=headers, **options)

    async def workspace(self) -> str:
        """A new workspace."""
        name = f"ws-{uuid4()}"
        async with self.client() as admin:
            (await admin.post("/headrace/v1/workspaces", json={"name": name})).raise_for_status()
        return name

    async def new_client(self, workspace: str, *roles: str, **properties: Any) -> tuple[str, str]:
        """A client of a workspace: its id and an API key."""
        async with self.client(params={"workspace": workspace}) as admin:
            body = {"name": f"test-{uuid4()}", "roles": roles, **properties}
            made = (await admin.post("/headrace/v1/clients", json=body)).raise_for_status().json()
            key = (await admin.post(f"/headrace/v1/clients/{made['id']}/keys")).raise_for_status().json()
        return made["id"], key["key"]


def local_gateway(directory: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> LocalGateway:
    """One whose settings are those of an installation; ``begin`` comes before its first use in an event loop."""
    remember_signatures()
    for name, value in {
        "HEADRACE_DATA_DIR": str(directory),
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
        **environment,
    }.items():
        monkeypatch.setenv(name, value)
    published: list[tuple[IdempotencyKey | None, EventDraft]] = []
    return LocalGateway(_gateway(IngestSettings(), directory, published), published)


def _gateway(
    settings: IngestSettings, directory: Path, published: list[tuple[IdempotencyKey | None, EventDraft]]
) -> Gateway:
    catalog, ledger = DirectCatalog(), open_ledger(f"sqlite:///{directory}/ledger.db")
    METADATA.create_all(ledger)
    doubles: Any = {
        "admin": _Admin(),
        "catalog": catalog,
        "writer": DirectWriter(catalog.view),
        "producer": _Producer(),
        "idempotency": type("Idempotency", (), {"settings": settings.kafka}),
        "endpoint_states": _States(),
        "runs": _Runs(),
        "operations": _Operations(settings.kafka),
    }
    clients = Clients(
        secrets=SecretBox(settings.backbone.secret_keys),
        ledger=ledger,
        ledger_threads=LedgerThreads(),
        files=event_files(f"file://{directory}/files"),
        **doubles,
    )
    served = families(settings.families)
    unnamed = next((each.unnamed_tokens for each in served if each.unnamed_tokens), None)
    gateway = Gateway(settings, clients, Metrics(), Slices(), unnamed_tokens=unnamed, told=told(served))
    gateway.publisher = _Publisher(gateway.publisher, published)  # type: ignore[assignment]  # it only checks
    return gateway
