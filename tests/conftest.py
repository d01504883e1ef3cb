"""What every test may ask for: above all a Kafka, one broker for a whole session.

``--kafka`` says which: ``env`` the one of ``KAFKA_BOOTSTRAP_SERVERS``, ``jars`` Apache Kafka from its jars,
``containers`` the same in a container, ``tansu`` a stand-in, and ``auto``, the default, the first of these that can be
had. One broker serves all, so a test uses names of its own (workspaces, consumer groups) and expects no empty topic.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import pytest

from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import BrokerKind, Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from tests.component.connectors.receiver import Mailbox, Receiver
from tests.conformance.outcomes import Outcomes
from tests.support.running_gateway import RunningGateway, running_gateway
from tests.support.running_installation import (
    Installation,
    run_files,
    run_processors,
    run_realtime,
    run_replayer,
    run_webhooks,
)
from tests.support.without_kafka import not_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOLD = "told"

_SESSION_PLANES = frozenset(("processors", "replayer", "webhooks", "files", "realtime"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kafka",
        choices=[kind.value for kind in BrokerKind],
        default=BrokerKind.AUTO.value,
        help="which Kafka the tests run on (default: auto)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist cannot write to the terminal: what it has to tell is told when it ends."""
    for line in getattr(node, "workeroutput", {}).get(_TOLD, ()):
        _teller(node.config)(f"{node.gateway.id}: {line}")


def pytest_configure(config: pytest.Config) -> None:
    # A busy machine is no fault of what is tested.
    hypothesis.settings.register_profile("without-clock", deadline=None)
    hypothesis.settings.load_profile("without-clock")
    if not hasattr(config, "workerinput"):
        is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword
        config.pluginmanager.register(Outcomes(config.rootpath / "build" / "conformance.json", is_whole=is_whole))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a component test that has planes for the whole session: those after it start and strike their own."""
    for item in items:
        asked = _SESSION_PLANES.intersection(getattr(item, "fixturenames", ()))
        if asked and "tests/component/" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} starts {', '.join(sorted(asked))} for the session; start its own")


@pytest.fixture(scope="module", autouse=True)
def no_tail_is_left() -> Iterator[None]:
    """Fail a module that leaves a tail of a topic running: it would log its dead broker until the session ends."""
    before = set(threading.enumerate())
    yield
    assert [each.name for each in threading.enumerate() if each not in before and each.name.startswith("tail-")] == []


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a Kafka that answers; where none can be had, see ``not_run``."""
    home = tmp_path_factory.mktemp("kafka")
    kind = BrokerKind(pytestconfig.getoption("--kafka"))
    tell = _teller(pytestconfig)
    try:
        broker = Choice(home, environment=os.environ, report=tell, port=free_port(), stand_in=True).broker(kind)
    except CannotStart as error:
        if kind is not BrokerKind.AUTO:
            raise
        not_run("a Kafka", error)
    with running(broker, home / "broker.log"), pytest.MonkeyPatch.context() as environment:
        for name, value in broker.client_environment.items():
            environment.setenv(name, value)
        tell(f"Kafka: {broker.description}, at {broker.bootstrap_servers}")
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def jars(pytestconfig: pytest.Config) -> None:
    """Apache Kafka's jars and a Java, for tests that start brokers; without them these are skipped and listed."""
    try:
        find_java()
        kafka_jars(user_cache(), _teller(pytestconfig))
    except CannotStart as error:
        not_run("Kafka's jars", error)


@pytest.fixture(scope="module")
def own_broker(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a Kafka of the module's own, for tests that sign the catalog with other keys than the rest."""
    home = tmp_path_factory.mktemp("own-broker")
    broker = JarBroker(home / "kafka", java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())
    with running(broker, home / "broker.log"):
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def gateway(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The ingest plane, on real Kafka, for the whole session."""
    with running_gateway(kafka_bootstrap, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session")
def processors(gateway: RunningGateway) -> Iterator[None]:
    """The router and the ledger agent. A test that asks for it starts no router of its own: events would come twice."""
    yield from run_processors(gateway)


@pytest.fixture(scope="session")
def replayer(gateway: RunningGateway) -> Iterator[None]:
    """The replayer."""
    yield from run_replayer(gateway)


@pytest.fixture(scope="session")
def webhooks(gateway: RunningGateway) -> Iterator[None]:
    """The webhook connector, which may post to this machine."""
    yield from run_webhooks(gateway)


@pytest.fixture(scope="session")
def files(gateway: RunningGateway) -> Iterator[None]:
    """The file connector."""
    yield from run_files(gateway)


@pytest.fixture(scope="session")
def realtime(gateway: RunningGateway) -> Iterator[str]:
    """A realtime node: ``ws://127.0.0.1:<port>``."""
    yield from run_realtime(gateway)


@pytest.fixture(scope="session")
def installation(gateway: RunningGateway, processors: None, webhooks: None, files: None, realtime: str) -> Installation:
    """All planes."""
    return Installation(gateway=gateway, realtime_url=realtime)


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """An HTTP server whose paths are mailboxes."""
    running = Receiver()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def mailbox(receiver: Receiver) -> Mailbox:
    """A webhook receiver of the test's own: its ``url``, how it answers, what it got."""
    return receiver.mailbox(f"mailbox-{uuid4()}")


def _teller(config: pytest.Config) -> Callable[[str], None]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        told: list[str] = getattr(config, "workeroutput", {}).setdefault(_TOLD, [])
        return told.append

    def tell(line: str) -> None:
        reporter.ensure_newline()
        reporter.write_line(line)

    return tell
