from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from backbone.kafka.settings import KafkaSettings
from backbone.process.exposition import Exposition
from backbone.process.health import Health
from operations.supervisor.ports import free_port
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable


def exposition(host: str, port: int | None, unready: Callable[[], str | None] = lambda: None) -> Exposition:
    registry = CollectorRegistry()
    Counter("headrace_things", "Things.", registry=registry).inc(3)
    return Exposition(host, port, variable="HEADRACE_X_PORT", registry=registry, unready=unready)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104  # what is tested
def test_metrics_and_health_are_served_on_the_host_that_was_set(host: str) -> None:
    port = free_port()
    served = exposition(host, port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        answers = {path: http.get(path) for path in ("/metrics", "/healthz", "/readyz", "/readyz?full=1", "/other")}
        head = http.head("/metrics")
    served.close()
    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/metrics": 200,
        "/healthz": 200,
        "/readyz": 200,
        "/readyz?full=1": 200,
        "/other": 404,
    }
    assert "headrace_things_total 3.0" in answers["/metrics"].text
    assert (head.status_code, head.content) == (200, b"")


def test_metrics_are_not_shown_by_the_name_of_another() -> None:
    port = free_port()
    served = exposition("127.0.0.1", port)
    rebound = {"Host": f"attacker.example:{port}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=rebound) as http:
        found = {path: http.get(path) for path in ("/metrics", "/healthz", "/readyz")}
    served.close()
    assert {path: answer.status_code for path, answer in found.items()} == {
        "/metrics": 421,
        "/healthz": 200,
        "/readyz": 200,
    }
    assert "headrace_things" not in found["/metrics"].text


def test_a_process_that_cannot_work_says_why() -> None:
    port = free_port()
    served = exposition("127.0.0.1", port, lambda: "No room.")
    answer = httpx.get(f"http://127.0.0.1:{port}/readyz")
    alive = httpx.get(f"http://127.0.0.1:{port}/healthz")
    served.close()
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "reason": "No room."})
    assert answer.headers["retry-after"] == "1"
    assert alive.status_code == 200


def test_a_probe_that_hangs_up_writes_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    handlers: list[threading.Thread] = []
    asked, gone = threading.Event(), threading.Event()

    def unready() -> str | None:
        handlers.append(threading.current_thread())
        asked.set()
        gone.wait(10)
        return None

    port = free_port()
    served = exposition("127.0.0.1", port, unready)
    with socket.create_connection(("127.0.0.1", port)) as probe:
        probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        assert asked.wait(10)
        # Closed so, it refuses whatever comes.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.set()
    handlers[0].join(10)
    served.close()
    assert not handlers[0].is_alive()
    assert capfd.readouterr().err == ""
    assert not caplog.records


def test_a_port_that_is_taken_is_told_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misconfigured, match=r"HEADRACE_X_PORT.*in use"):
            exposition("127.0.0.1", taken.getsockname()[1])


def test_without_a_port_nothing_is_served() -> None:
    exposition("127.0.0.1", None).close()


def test_health_follows_the_process_and_kafka() -> None:
    health = Health(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    assert health.reason() == "It is starting."
    health.unready("No room.")
    assert health.reason() == "No room."
