"""Answers whose size the caller chooses: bounded over all of their parts, and nobody else waits for them."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from tests.support.event_service_client import event_service

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

TIME = 1_614_875_814_591_000
SIZE, EVENTS = 700_000, 30
MOST_MEMORY = 1_000_000
"""KiB that the gateway may come to have: it were more than four millions."""


def store(gateway: RunningGateway, workspace: str) -> None:
    """Large events in the ledger."""
    rows = [
        EventRow(
            workspace=workspace,
            id=str(uuid4()),
            topic=f"events.{workspace}.events.T",
            source_offset=f"events.{workspace}.events.T/0/{number}",
            namespace="events",
            code="T",
            source="client",
            subject=None,
            time=TIME + number,
            received_at=TIME + number,
            channel=None,
            identifiers="[]",
            data=json.dumps({"text": "x" * SIZE}),
            producer_id=None,
        )
        for number in range(EVENTS)
    ]
    writer = LedgerWriter(open_ledger(f"sqlite:///{gateway.directory / 'ledger.sqlite3'}"))
    writer.create()
    for row in rows:
        writer.write(LedgerRows(events=[row]))


def peak(gateway: RunningGateway) -> int:
    """The most memory that the gateway has had, in KiB."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def test_the_fields_of_one_graphql_answer_share_one_bound(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    store(gateway, service.workspace)
    field = "events(pagination: {limit: %d}) { collectionItems { id data } }"
    again = " ".join(f"d{number}: data" for number in range(80))
    copies = f"{{ events(pagination: {{limit: 10}}) {{ collectionItems {{ {again} }} }} }}"
    many = "{" + " ".join(f"a{number}: {field % 30}" for number in range(90)) + "}"
    waited, finished = [], threading.Event()

    def beside() -> None:
        with gateway.client(None) as http:
            while not finished.is_set():
                began = time.monotonic()
                http.get("/healthz").raise_for_status()
                waited.append(time.monotonic() - began)

    with ThreadPoolExecutor(5) as pool:
        other = pool.submit(beside)
        try:
            answers = list(pool.map(lambda _: service.result(many), range(4)))
        finally:
            finished.set()
        other.result()

    for answer in answers:
        assert answer["data"] is None
        assert "33,554,432 characters in all of its fields together" in answer["errors"][0]["message"]
        assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert "33,554,432 characters" in service.errors(copies)[0]
    assert len(service.data("{" + field % 10 + "}")["events"]["collectionItems"]) == 10
    assert peak(gateway) < MOST_MEMORY
    assert max(waited) < 5, "it was 15 s and more"


def test_the_values_of_all_items_share_one_bound(gateway: RunningGateway) -> None:
    service = event_service(gateway)
    for number in range(20):
        service.websocket(f"e{number}")
    names = " ".join(f"n{number}: name" for number in range(90))
    page = "endpoints { collectionItems { %s } }"
    assert len(service.data("{" + page % names + "}")["endpoints"]["collectionItems"]) == 20
    fields = " ".join(f"f{number}: {page % '...x'}" for number in range(9))
    spread = f"{{ {fields} }} fragment x on EndpointOutput {{ {' '.join(f'n{n}: name' for n in range(90))} }}"
    assert "aliases" in service.errors(spread)[0]
    plain = "id name type meta creationDate lastModified workspaceId"
    fields = " ".join(f"f{number}: {page % '...x'}" for number in range(95))
    spread = f"{{ {fields} }} fragment x on EndpointOutput {{ {plain} }}"
    found = service.result(spread)
    assert found["data"] is None
    assert "15,000 values" in found["errors"][0]["message"]


def test_a_page_of_large_filters_ends_early_and_its_cursor_goes_on(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    condition = {"data": {"a": ["x" * 60_000]}}
    with gateway.client(params={"workspace": workspace}) as admin:
        wanted = {"name": "f", "types": [{"code": "T"}], "condition": condition}
        made = {admin.post("/headrace/v1/filters", json=wanted).raise_for_status().json()["id"] for _ in range(80)}
        first = admin.get("/headrace/v1/filters", params={"limit": 1_000}).raise_for_status().json()
        assert 50 < len(first["items"]) < 80
        cursor = {"limit": 1_000, "cursor": first["next_cursor"]}
        second = admin.get("/headrace/v1/filters", params=cursor).raise_for_status().json()
    assert second["next_cursor"] is None
    assert {each["id"] for each in first["items"] + second["items"]} == made
