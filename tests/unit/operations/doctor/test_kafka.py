"""Addresses at which there is no Kafka, or none that speaks as we do."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from operations.doctor import kafka
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from operations.doctor.site import Site


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "SECONDS", 1.5)


@pytest.fixture
def web_server() -> Iterator[str]:
    """``host:port`` of a server that is no Kafka."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_kafka_listens_there(site: Callable[..., Site]) -> None:
    servers = f"127.0.0.1:{free_port()}"
    (found,) = kafka.reachable(site(kafka={"bootstrap_servers": servers}))
    assert (found.cause, found.severity) == ("kafka-away", "fault")
    assert servers in found.what
    assert "Connection refused" in found.what
    assert found.cure == "Check that Kafka runs, and KAFKA_BOOTSTRAP_SERVERS."
    (found,) = kafka.reachable(site(kafka={"bootstrap_servers": servers}, has_local_broker=True))
    assert "headrace up" in found.cure


def test_the_name_does_not_resolve(site: Callable[..., Site]) -> None:
    (found,) = kafka.reachable(site(kafka={"bootstrap_servers": "kafka.invalid:9092"}))
    assert (found.cause, found.cure) == ("kafka-address", "Check the host names in KAFKA_BOOTSTRAP_SERVERS.")


def test_the_port_is_not_kafkas(site: Callable[..., Site], web_server: str) -> None:
    (found,) = kafka.reachable(site(kafka={"bootstrap_servers": web_server}))
    assert found.cause == "kafka-away"
    assert "KAFKA_BOOTSTRAP_SERVERS" in found.cure


def test_the_port_does_not_speak_tls(site: Callable[..., Site], web_server: str) -> None:
    options = {"security.protocol": "SSL"}
    (found,) = kafka.reachable(site(kafka={"bootstrap_servers": web_server, "options": options}))
    assert found.cause == "kafka-tls"
    assert "security.protocol" in found.cure


def test_options_that_librdkafka_does_not_know(site: Callable[..., Site]) -> None:
    (found,) = kafka.reachable(site(kafka={"options": {"sasl.user": "me"}}))
    assert found.cause == "kafka-options"
    assert "sasl.user" in found.what
