from __future__ import annotations

import io

import pytest
from rich.console import Console

from operations.supervisor.processes import Process
from operations.supervisor.progress import Progress
from operations.supervisor.supervisor import Part, PartState


@pytest.fixture
def parts() -> list[Part]:
    def part(name: str, note: str = "") -> Part:
        return Part(process=Process(name, ["true"]), ready=lambda: True, note=note)

    return [part("kafka", "Apache Kafka, at 127.0.0.1:9092"), part("ingest")]


@pytest.fixture
def terminal() -> Console:
    # A terminal that a test can read: colours and cursor movements included.
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_for_each_change(parts: list[Part]) -> None:
    console = Console(file=io.StringIO(), width=40)
    with Progress(console, parts) as progress:
        kafka = parts[0]
        kafka.state, kafka.started_at = PartState.STARTING, 10.0
        progress.changed(kafka)
        kafka.state, kafka.changed_at = PartState.READY, 12.5
        progress.changed(kafka)
        progress.refresh()
    assert written(console) == "kafka: starting\nkafka: ready after 2.5 s (Apache Kafka, at 127.0.0.1:9092)\n"


def test_what_is_the_matter_with_a_part_is_said(parts: list[Part], terminal: Console) -> None:
    log = Console(file=io.StringIO(), width=40)
    parts[1].state, parts[1].trouble = PartState.RESTARTING, "ended by SIGKILL; its log is ingest.log"
    for console in (log, terminal):
        with Progress(console, parts) as progress:
            progress.changed(parts[1])
    assert written(log) == "ingest: restarting (ended by SIGKILL; its log is ingest.log)\n"
    assert "ended by SIGKILL; its log is ingest.log" in written(terminal)


def test_a_terminal_shows_every_part_and_what_it_waits_for(parts: list[Part], terminal: Console) -> None:
    with Progress(terminal, parts) as progress:
        parts[0].state = PartState.READY
        progress.changed(parts[0])
    last = written(terminal)
    assert "kafka" in last
    assert "ready" in last
    assert "Apache Kafka, at 127.0.0.1:9092" in last
    assert "waiting" in last


def test_nothing_is_drawn_while_others_print(parts: list[Part], terminal: Console) -> None:
    with Progress(terminal, parts) as progress:
        progress.pause()
        before = written(terminal)
        progress.refresh()
        assert written(terminal) == before
