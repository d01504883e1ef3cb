"""A gateway that is away, not ready, late, of other secrets, or that knows of problems itself."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from operations.api.target import Target
from operations.doctor import gateway
from operations.errors import NotKnown
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from operations.doctor.site import Site

Answers = dict[str, tuple[int, Any]]


@pytest.fixture
def answers() -> Answers:
    """What the gateway answers to a path, set by the test."""
    return {"/readyz": (200, {"status": "ready"}), "/headrace/v1/workspaces?limit=1": (200, {"items": []})}


@pytest.fixture
def asked(answers: Answers, site: Callable[..., Site]) -> Iterator[Callable[..., Site]]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, {"detail": "Not Found"}))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(url=f"http://127.0.0.1:{server.server_port}", key="key")
        yield lambda **other: site(target=target, **other)
        server.shutdown()


def test_one_that_is_away(site: Callable[..., Site]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (found,) = gateway.answers(site(target=Target(url=url, key="key")))
    assert (found.cause, found.severity) == ("missing-plane", "fault")
    assert url in found.what
    assert "headrace ingest" in found.cure


def test_one_that_is_well(asked: Callable[..., Site]) -> None:
    assert list(gateway.answers(asked())) == []
    assert list(gateway.credential(asked())) == []


def test_one_that_is_not_ready(asked: Callable[..., Site], answers: Answers) -> None:
    answers["/readyz"] = (503, {"status": "not ready", "reason": "Kafka does not answer."})
    (found,) = gateway.answers(asked())
    assert (found.cause, found.severity) == ("not-ready", "fault")
    assert found.what.endswith("Kafka does not answer.")


@pytest.mark.parametrize(("skew", "told"), [(90.0, "behind this"), (-90.0, "ahead of this")])
def test_one_whose_clock_differs(asked: Callable[..., Site], skew: float, told: str) -> None:
    here = asked().now
    (found,) = gateway.answers(asked(now=lambda: here() + skew))
    assert found.cause == "clock-skew"
    assert told in found.what


def test_one_with_other_secrets(asked: Callable[..., Site], answers: Answers) -> None:
    answers["/headrace/v1/workspaces?limit=1"] = (401, {"detail": "unknown key"})
    (found,) = gateway.credential(asked())
    assert (found.cause, found.severity) == ("wrong-key", "fault")
    assert "HEADRACE_ADMIN_KEY" in found.cure


def test_what_it_knows_itself(asked: Callable[..., Site], answers: Answers) -> None:
    said = {"what": "The group acme stands.", "cause": "It hangs.", "cure": "Restart it."}
    kinds = ("no_progress", "hot_key", "under_replicated")
    answers["/headrace/v1/operations"] = (200, {"problems": [{"kind": kind, **said} for kind in kinds]})
    found = list(gateway.snapshot(asked()))
    assert [(each.cause, each.severity) for each in found] == [("no-progress", "fault"), ("hot-key", "warning")]
    assert {(each.what, each.cure) for each in found} == {("The group acme stands. It hangs.", "Restart it.")}


def test_one_without_figures_or_without_our_key(asked: Callable[..., Site], site: Callable[..., Site]) -> None:
    with pytest.raises(NotKnown, match="404"):
        list(gateway.snapshot(asked()))
    with pytest.raises(NotKnown, match="no key here"):
        list(gateway.snapshot(site(no_target="no key here")))
