"""A sixth family, added to a copy of the packages by doing what ``docs/families/adding-one.md`` says, and used.

Its events are traced, for which a family does nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operations.broker.selection import BrokerKind, Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from tests.support.collected_spans import collected
from tests.support.running_gateway import running_gateway
from tests.support.running_installation import run_processors, run_webhooks
from tests.support.without_kafka import not_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox, Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "families" / "adding-one.md"
PACKAGES = (
    "schemas",
    "backbone",
    "ingest_api",
    "stream_processors",
    "connectors",
    "families",
    "processes",
    "operations",
)

_STEP = re.compile(r"^`([\w/]+\.py)`:\n\n```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: str, root: Path) -> list[Path]:
    """Write the files that the page shows, and change those that it changes; the files that are new."""
    made = []
    for name, kind, content in _STEP.findall(page):
        path = root / name
        if kind == "python":
            assert not path.exists(), f"{name} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            made.append(path)
            continue
        before = "".join(line[1:] for line in content.splitlines(keepends=True) if line[0] in "- ")
        after = "".join(line[1:] for line in content.splitlines(keepends=True) if line[0] in "+ ")
        # A change within a line shows the line's beginning only.
        before, after = (before[:-1], after[:-1]) if content.startswith("-") else (before, after)
        text = path.read_text()
        assert text.count(before) == 1, f"{name} has not once: {before}"
        path.write_text(text.replace(before, after))
    return made


def test_a_family_costs_the_others_a_line_for_its_routes_and_one_for_its_body() -> None:
    changes = [(name, content) for name, kind, content in _STEP.findall(PAGE.read_text()) if kind == "diff"]
    assert {name for name, _ in changes} == {"families/registry.py"}
    assert [line[0] for _, content in changes for line in content.splitlines() if line[0] in "+-"] == ["+", "+"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """Of its own: for the families that others run, the toy's clients and endpoints are not readable."""
    home = tmp_path / "broker"
    home.mkdir()
    try:
        chosen = Choice(home, environment={}, report=print, port=free_port(), stand_in=False).broker(BrokerKind.JARS)
    except CannotStart as error:
        not_run("a Kafka of its own", error)
    with running(chosen, home / "broker.log"):
        yield chosen.bootstrap_servers


def test_a_family_is_added_as_the_page_says(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, receiver: Receiver
) -> None:
    collector = receiver.mailbox("doorbell-spans")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    copy, data = tmp_path / "copy", tmp_path / "data"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)  # with its bytecode
    data.mkdir()
    made = follow(PAGE.read_text(), copy)
    assert [path.relative_to(copy).as_posix() for path in made] == [
        "families/doorbell/__init__.py",
        "families/doorbell/http/__init__.py",
        "families/doorbell/http/family.py",
        "families/doorbell/delivery/__init__.py",
        "families/doorbell/delivery/body.py",
    ]
    # What is started imports from where it is started.
    monkeypatch.chdir(copy)
    with running_gateway(broker, data) as gateway:
        workspace = gateway.create_workspace()
        _, key = gateway.create_client(workspace, "producer", realm="doorbell")
        _, foreign = gateway.create_client(workspace, "producer")
        with gateway.client(params={"workspace": workspace}) as admin:
            body = {"name": "porter", "type": "WEB_HOOK", "url": mailbox.url, "body": "doorbell"}
            endpoint = admin.post("/headrace/v1/endpoints", json=body).raise_for_status().json()
            rings = {"name": "rings", "types": [{"namespace": "doorbell", "code": "ring"}]}
            chosen = admin.post("/headrace/v1/filters", json=rings).raise_for_status().json()
            link = {"filter": chosen["id"], "endpoint": endpoint["id"]}
            admin.post("/headrace/v1/subscriptions", json=link).raise_for_status()
        with gateway.client(foreign) as stranger:
            assert stranger.post("/doorbell/ring", json={"door": "front"}).status_code == 401
        with gateway.client(key) as visitor:
            assert visitor.post("/doorbell/ring", json={"bell": "front"}).json()["status"] == 400
            context = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
            answer = visitor.post("/doorbell/ring", json={"door": "front"}, headers=context)
            assert "/doorbell/ring" in visitor.get("/openapi.json").json()["paths"]
        assert answer.status_code == 200
        assert answer.json()["ring"]
        assert gateway.records(workspace, "doorbell", "ring") == 1
        # Webhooks pass over what is there when they start, so the router starts after them.
        for _webhooks in run_webhooks(gateway):
            for _processors in run_processors(gateway):
                (request,) = mailbox.wait()
    assert request.body == b'{"ding":"front"}'
    # Each plane has sent its spans before it ended. Requests without a sampled context have none.
    spans = collected(collector.received)
    assert [(span.service, span.kind) for span in spans] == [
        ("headrace-ingest", "SERVER"),
        ("headrace-ingest", "PRODUCER"),
        ("headrace-router", "CONSUMER"),
        ("headrace-connector-webhook", "CLIENT"),
    ]
    assert {span.trace for span in spans} == {TRACE}
    assert [span.parent for span in spans] == [PARENT, *(span.id for span in spans[:-1])]
    assert request.headers["traceparent"] == f"00-{TRACE}-{spans[-1].id}-01"
    assert request.headers["tracestate"] == "vendor=1"
    assert key not in str(spans)


def test_the_code_on_the_page_is_as_the_rest(tmp_path: Path) -> None:
    for name, kind, content in _STEP.findall(PAGE.read_text()):
        if kind == "python":
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            if not (path.parent / "__init__.py").exists():
                (path.parent / "__init__.py").write_text('"""A package."""\n')
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
