"""``headrace doctor`` on a broker with credentials, whose catalog is signed with keys of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer

from backbone.catalog.accounts import Accounts
from backbone.catalog.endpoints import Endpoints
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from connectors.file.sink import GROUP as FILES
from operations.broker.guard import Guard
from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.doctor import groups, kafka
from operations.doctor.checks import CHECKS, examine
from operations.doctor.endpoints import endpoints
from operations.doctor.installed import Installed
from operations.doctor.secret_keys import secret_keys
from operations.doctor.site import Site
from operations.doctor.topic_copies import copies, replicas
from operations.settings import OperationsSettings
from operations.supervisor.ports import free_port
from schemas.model import topics
from schemas.model.endpoint import Endpoint, EndpointType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("jars")

OURS, SEALED, OTHERS = (f"{name}-{uuid.uuid4()}" for name in ("ours", "sealed", "others"))


@pytest.fixture(scope="module")
def broker(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    home = tmp_path_factory.mktemp("doctor")
    guard = Guard(home / "kafka", sasl_port=free_port())
    parts: dict[str, Any] = {"java": find_java(), "jars": kafka_jars(user_cache(), print)}
    made = JarBroker(home / "kafka", port=free_port(), guard=guard, **parts)
    with running(made, home / "broker.log"):
        settings = KafkaSettings(bootstrap_servers=made.bootstrap_servers, options=guard.security.planes_options)
        asyncio.run(_prepare(settings))
        yield settings


async def _prepare(settings: KafkaSettings) -> None:
    """Topics, and two endpoints: one is disabled, and the secret of the other is sealed with another key."""
    await ensure_internal_topics(Admin(settings))
    catalog = Catalog(settings, [OURS])
    catalog.start()
    await catalog.caught_up(60)
    writer = CatalogWriter(catalog, settings, timeout=60)
    writer.start()
    await Accounts(catalog, writer, SecretBox([OURS])).create_workspace("acme")
    for name, key in (("ours", OURS), ("theirs", SEALED)):
        endpoint = Endpoint(
            id="",
            workspace="acme",
            name=name,
            type=EndpointType.WEB_HOOK,
            url="https://example.org/",
            enabled=name == "theirs",
            created_at=0,
            updated_at=0,
        )
        await Endpoints(writer, SecretBox([key])).create_endpoint(endpoint)
    writer.stop()
    catalog.stop()


@pytest.fixture
def site(broker: KafkaSettings, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def made(*keys: str, **other: Any) -> Site:
            new = Site(
                installed=Installed(data_dir=tmp_path, secret_keys=keys or (OURS, SEALED)),
                operations=OperationsSettings(data_dir=tmp_path, http_port=free_port()),
                **{"kafka": broker, **other},
            )
            stack.callback(new.close)
            return new

        yield made


def test_a_password_that_is_refused(site: Callable[..., Site], broker: KafkaSettings) -> None:
    wrong = broker.model_copy(update={"options": {**broker.options, "sasl.password": "wrong"}})
    (found,) = kafka.reachable(site(kafka=wrong))
    assert found.cause == "kafka-login"
    assert "sasl.password" in found.cure
    assert "wrong" not in found.what
    assert list(kafka.reachable(site())) == []


@pytest.mark.parametrize(("skew", "severity", "side"), [(-90.0, "fault", "ahead of"), (5.0, "warning", "behind")])
def test_a_clock_that_differs(site: Callable[..., Site], skew: float, severity: str, side: str) -> None:
    (found,) = kafka.clocks(site(now=lambda: time.time() + skew))
    assert (found.cause, found.severity) == ("clock-skew", severity)
    assert side in found.what
    assert list(kafka.clocks(site())) == []


def test_secret_keys_of_another_installation(site: Callable[..., Site]) -> None:
    (found,) = secret_keys(site(OTHERS))
    assert found.cause == "other-secrets"
    assert "no plane starts with these secrets" in found.what
    assert list(secret_keys(site())) == []


def test_a_secret_that_none_of_our_keys_opens(site: Callable[..., Site]) -> None:
    (found,) = secret_keys(site(OURS))
    assert found.cause == "other-secrets"
    assert "1 stored secrets cannot be opened" in found.what
    assert "headrace reseal" in found.cure


def test_secret_keys_are_read_from_the_data_directory_and_never_made(site: Callable[..., Site], tmp_path: Path) -> None:
    bare = dataclasses.replace(site(), installed=Installed(data_dir=tmp_path, secret_keys=()))
    report = examine(bare, [check for check in CHECKS if check.name in {"kafka", "secret keys", "endpoints"}])
    assert [each.check for each in report.not_known] == ["secret keys", "endpoints"]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "secret-keys").write_text(f"{OURS}, {SEALED}\n")
    assert list(secret_keys(dataclasses.replace(bare, installed=bare.installed.model_copy()))) == []


def test_a_disabled_endpoint(site: Callable[..., Site]) -> None:
    (found,) = endpoints(site())
    assert found.cause == "disabled-endpoint"
    assert "'ours'" in found.what


def test_planes_that_do_not_run_and_groups_of_the_classic_protocol(
    site: Callable[..., Site], broker: KafkaSettings
) -> None:
    found = {each.what.split()[1] + each.what.split()[2]: each for each in groups.planes(site())}
    assert {each.cause for each in found.values()} == {"missing-plane"}
    # Nothing is subscribed to, so routers would be in no group.
    assert {name: each.severity for name, each in found.items()} == {
        "ledgerruns:": "fault",
        "replayerruns:": "warning",
        "connectorwebhook": "fault",
        "connectorwebsocket": "warning",
        "connectorfile": "warning",
    }
    options = broker.client_config(**{"group.id": FILES, "group.protocol": "classic", "auto.offset.reset": "earliest"})
    consumer = Consumer(options)
    consumer.subscribe([topics.FILE_DELIVERIES])
    try:
        deadline = time.monotonic() + 60
        while not consumer.assignment():
            assert time.monotonic() < deadline
            consumer.poll(0.1)
        now = list(groups.planes(site()))
    finally:
        consumer.close()
    assert [each.cause for each in now].count("missing-plane") == len(found) - 1
    (classic,) = [each for each in now if each.cause == "classic-groups"]
    assert classic.what.startswith(f"{FILES} use")


def test_a_broker_of_ours_is_well_set(site: Callable[..., Site]) -> None:
    """The cluster of tests/component/cluster is not."""
    assert [*groups.sessions(site()), *replicas(site()), *copies(site())] == []
