"""The ingest plane in this process, without Kafka: its catalog is a view that writes change at once.

For tests that make hundreds of requests about who may do what. Publishing checks the events and keeps none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

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
from backbone.catalog.routes import Routes
from backbone.catalog.secrets import SecretBox
from backbone.catalog.view import CatalogView
from backbone.files import event_files
from backbone.publisher import Publisher
from ingest_api.app import IngestApp
from ingest_api.authentication import Authenticator
from ingest_api.first_use import FirstUse
from ingest_api.patience import Patience
from ingest_api.settings import IngestSettings
from schemas import timestamps
from schemas.destinations import ANYWHERE, Destinations
from schemas.event import Receipt
from tests.running_gateway import ADMIN_KEY, SECRET_KEYS, TOKEN_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

    from backbone.catalog.writer import Changes
    from backbone.kafka.topology import TopicSpec
    from ingest_api.state import Gateway
    from schemas.event import EventDraft


class DirectCatalog:
    """A catalog that is always up to date."""

    def __init__(self) -> None:
        self.view = CatalogView()

    async def caught_up(self) -> None:
        """It is."""

    async def lookup(self, find: Callable[[CatalogView], Any]) -> Any:
        """What is found."""
        return find(self.view)


class DirectWriter:
    """Decides on the catalog's own view, and changes it at once."""

    def __init__(self, view: CatalogView) -> None:
        self.destinations = Destinations(ANYWHERE)
        self._view = view

    async def write(self, decide: Callable[[CatalogView], Changes[Any]]) -> Any:
        """The result of the decision."""
        changes = decide(self._view)
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
    def standing(self, _endpoint: object) -> Any:
        """Nothing is known of an endpoint."""
        return {"status": "enabled", "reason": None, "since": None, "until": None}


class _Publisher:
    """Checks events and their publishers, as the real one does, and writes nothing."""

    def __init__(self, checks: Publisher) -> None:
        self._checks = checks

    async def publish(self, drafts: Sequence[EventDraft], **_: object) -> list[Receipt]:
        """A receipt each."""
        await self._checks.check(drafts, "$[{}]".format)
        now = timestamps.now()
        return [Receipt(id=str(uuid4()), topic="t", partition=0, offset=0, received_at=now) for _ in drafts]


class _Executions:
    async def event(self, *_: object) -> None:
        """None is known."""

    contract = event


class LocalGateway:
    """The plane, and callers of it."""

    def __init__(self, app: IngestApp) -> None:
        self.gateway: Gateway = app._gateway  # that of the app, which a test fills in
        self._transport = httpx.ASGITransport(app)

    async def begin(self) -> LocalGateway:
        """Serve in this event loop, with an administrator."""
        self.gateway._patience = Patience(60)
        await self.gateway.accounts.bootstrap(ADMIN_KEY)
        return self

    def client(self, key: str | None = ADMIN_KEY, **options: Any) -> httpx.AsyncClient:
        """An HTTP client; ``key`` goes along as bearer."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(transport=self._transport, base_url="http://local", headers=headers, **options)

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
    for name, value in {
        "HEADRACE_DATA_DIR": str(directory),
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
        **environment,
    }.items():
        monkeypatch.setenv(name, value)
    settings = IngestSettings()
    app = IngestApp(settings)
    _fill(app._gateway, settings, directory)  # in the place of opening it
    return LocalGateway(app)


def _fill(gateway: Any, settings: IngestSettings, directory: Path) -> None:
    catalog: Any = DirectCatalog()
    writer: Any = DirectWriter(catalog.view)
    secrets, admin = SecretBox(settings.backbone.secret_keys), _Admin()
    gateway.catalog, gateway.writer = catalog, writer
    gateway.event_types = EventTypes(catalog, writer, admin)  # type: ignore[arg-type]  # a double
    idempotency: Any = type("Idempotency", (), {"settings": settings.kafka})
    gateway.publisher = _Publisher(Publisher(catalog, None, idempotency))  # type: ignore[arg-type]  # it only checks
    gateway.accounts = Accounts(catalog, writer, secrets)
    gateway.routes = Routes(catalog, writer, secrets)
    gateway.exchange = ExchangeAccounts(writer, secrets)
    gateway.exchange_event_types = ExchangeEventTypes(writer)
    gateway.notifications = ExchangeNotifications(catalog, writer, gateway.event_types, secrets)
    gateway.organisations = Organisations(writer)
    gateway.event_service = EventServiceRoutes(writer)
    gateway.eventhos_accounts = EventhosAccounts(writer, secrets)
    gateway.eventhos_systems = EventhosSystems(writer, gateway.event_types)
    gateway.eventhos_actions = EventhosActions(writer, secrets)
    gateway.executions = _Executions()
    gateway.files = event_files(f"file://{directory}/files")
    gateway.authenticator = Authenticator(catalog.view, catalog.lookup, secrets, gateway.tokens)
    gateway.first_use = FirstUse(catalog, gateway.event_types, limit=100, enabled=True)
    states = _States()

    async def endpoint_states() -> Any:
        return states

    gateway.endpoint_states = endpoint_states
