"""Whoever cannot reach Kafka is told what the client met, and what to check."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError

from backbone.kafka.admin import Admin
from backbone.kafka.connection_errors import ConnectionErrors
from backbone.kafka.settings import KafkaSettings
from operations.broker.selection import GivenBroker
from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor import up
from operations.supervisor.up import Up
from schemas.model.errors import Misconfigured, Unavailable
from tests.unit.backbone.kafka.refusing_broker import REFUSAL, refusing_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

SASL = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "headrace",
    "sasl.password": "a wrong one",
}


@pytest.fixture
def refusing() -> Iterator[str]:
    with refusing_broker() as address:
        yield address


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something that listens and is no Kafka."""

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def said(bootstrap_servers: str, **options: str) -> str:
    settings = KafkaSettings(bootstrap_servers=bootstrap_servers, options=options)
    with pytest.raises(Unavailable) as raised:
        Admin(settings, timeout=3).partition_counts_now()
    return str(raised.value)


def test_a_refused_password_is_told(refusing: str) -> None:
    told = said(refusing, **SASL)
    assert REFUSAL.decode() in told
    assert "Check sasl.mechanism, sasl.username and sasl.password in HEADRACE_KAFKA_OPTIONS." in told
    assert "a wrong one" not in told


def test_a_port_without_tls_is_told(other_server: str) -> None:
    told = said(other_server, **{"security.protocol": "SSL"})
    assert "SSL handshake failed" in told
    assert "that this port speaks TLS" in told


def test_a_port_of_kafka_that_hangs_up_on_tls_is_told() -> None:
    errors = ConnectionErrors()
    errors(KafkaError(KafkaError._TRANSPORT, "ssl://k:9092: SSL handshake failed: Disconnected: a PLAINTEXT listener?"))
    assert "that this port speaks TLS" in errors.explain()


def test_a_port_that_is_not_kafkas_is_told(other_server: str) -> None:
    assert "names a port of Kafka" in said(other_server)


def test_a_broker_that_is_not_there_is_told() -> None:
    told = said("127.0.0.1:1")
    assert "Connect to ipv4#127.0.0.1:1 failed: Connection refused. Check that Kafka runs" in told


def test_a_host_that_is_unknown_is_told() -> None:
    assert "Check the host names in KAFKA_BOOTSTRAP_SERVERS." in said("no-such-host.invalid:9092")


@pytest.mark.parametrize(
    "options", [SASL | {"sasl.mechanism": "NOPE"}, {"security.protocol": "SSL", "ssl.ca.location": "/none"}]
)
def test_options_that_the_client_does_not_take_are_told(options: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"HEADRACE_KAFKA_OPTIONS: .*(NOPE|ssl.ca.location)"):
        Admin(KafkaSettings(options=options))


def test_headrace_up_tells_it_too(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "GIVEN_TIMEOUT", 2.0)
    monkeypatch.setattr(KafkaSettings, "__init__", _with_sasl(KafkaSettings.__init__))
    starting = Up(OperationsSettings(http_port=1, realtime_port=1), GivenBroker(refusing), console=None)  # type: ignore[arg-type]
    with pytest.raises(CannotStart, match=r"Invalid username or password\. Check sasl.mechanism"):
        starting._reach_given()


def _with_sasl(original: Any) -> Any:
    def init(self: KafkaSettings, **values: Any) -> None:
        original(self, options=SASL, **values)

    return init
