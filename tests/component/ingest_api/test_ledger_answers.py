"""What the API says of events that the ledger has; here the ledger is written to directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

TIME = 1_614_875_814_591_000
SOURCE = SourceOffset("events.w.crmls.Offer", 1, 7)


def delivery_of(event: str, workspace: str) -> Delivery:
    return Delivery(
        id=f"d-{event}",
        event=event,
        endpoint="e",
        workspace=workspace,
        source=SOURCE,
        subscriptions=("s",),
        routed_at=TIME + 2,
    )


def attempt_of(delivery: Delivery) -> Attempt:
    return Attempt(
        id=f"a-{delivery.id}",
        delivery=delivery.id,
        event=delivery.event,
        endpoint=delivery.endpoint,
        workspace=delivery.workspace,
        source=SOURCE,
        run="live",
        number=1,
        outcome=Outcome.DELIVERED,
        started_at=TIME + 3,
        duration=0.25,
        status=204,
    )


@pytest.fixture
def stored(gateway: RunningGateway) -> tuple[str, str, str]:
    """Workspace, CRMLS token, and the id of an event of that account with one delivered webhook."""
    workspace = gateway.create_workspace()
    account, key = gateway.create_client(workspace, "producer", realm="crmls")
    event = str(uuid4())
    row = EventRow(
        workspace=workspace,
        id=event,
        topic=SOURCE.topic,
        source_offset=str(SOURCE),
        namespace="crmls",
        code="Offer",
        source=account,
        subject="Offer1234",
        time=TIME,
        received_at=TIME + 1,
        channel=None,
        identifiers="[]",
        data='{"OfferAmount": 125.50}',
        producer_id=None,
    )
    delivery = delivery_of(event, workspace)
    rows = LedgerRows(events=[row], deliveries=[delivery], attempts=[attempt_of(delivery)])
    engine = open_ledger(f"sqlite:///{gateway.directory}/ledger.sqlite3")
    LedgerWriter(engine).write(rows)
    engine.dispose()
    token = httpx.post(f"{gateway.url}/api/token", params={"apiKey": key}).raise_for_status().json()["token"]
    return workspace, token, event


def test_an_event_with_its_deliveries_and_attempts(gateway: RunningGateway, stored: tuple[str, str, str]) -> None:
    workspace, _, event = stored
    _, key = gateway.create_client(workspace, "operator")
    with gateway.client(key) as http:
        answer = http.get(f"/headrace/v1/events/{event}")
        (listed,) = http.get("/headrace/v1/events", params={"type": "Offer"}).json()["items"]

        schemas = http.get("/openapi.json").json()["components"]["schemas"]

    found = answer.json()
    members = {name: schema.get("properties", {}).keys() for name, schema in schemas.items()}
    assert found.keys() == members["LedgerEventWithDeliveries"]
    assert listed.keys() == members["LedgerEvent"]
    assert found["deliveries"][0].keys() == members["LedgerDelivery"]
    assert found["deliveries"][0]["tries"][0].keys() == members["LedgerAttempt"]
    assert '"data":{"OfferAmount": 125.50}' in answer.text
    assert (found["type"], found["namespace"], found["time"]) == ("Offer", "crmls", "2021-03-04T16:36:54.591Z")
    assert found["topic_offset"] == str(SOURCE)
    (delivery,) = found["deliveries"]
    assert (delivery["outcome"], delivery["attempts"]) == ("delivered", 1)
    (attempt,) = delivery["tries"]
    assert (attempt["status"], attempt["started_at"]) == (204, "2021-03-04T16:36:54.591003Z")
    assert listed["id"] == event


def test_an_event_is_found_by_each_of_its_ids(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    publisher, key = gateway.create_client(workspace, "producer")
    _, stranger_key = gateway.create_client(workspace, "producer")
    one, other, plain = str(uuid4()), str(uuid4()), str(uuid4())
    common = {
        "workspace": workspace,
        "topic": SOURCE.topic,
        "source_offset": str(SOURCE),
        "namespace": "shop",
        "code": "Offer",
        "source": publisher,
        "subject": None,
        "time": TIME,
        "channel": None,
        "identifiers": "[]",
        "data": "1",
    }
    attributes = {"type": "shop/Offer", "time_text": "2021-03-04T16:36:54.5910Z", "extensions": '{"n":5}'}
    rows = [
        EventRow(id=one, received_at=TIME, producer_id="8", ce_source="/1", **common, **attributes),
        EventRow(id=other, received_at=TIME + 1, producer_id="8", ce_source="/2", **common),
        EventRow(id=plain, received_at=TIME + 2, producer_id="9" * 3_000, **common),
    ]
    delivery = delivery_of(one, workspace)
    engine = open_ledger(f"sqlite:///{gateway.directory}/ledger.sqlite3")
    LedgerWriter(engine).write(LedgerRows(events=rows, deliveries=[delivery]))
    engine.dispose()
    with gateway.client(key) as http, gateway.client(stranger_key) as stranger:

        def found(any_id: str, **params: str) -> Any:
            answer = http.get(f"/headrace/v1/events/{any_id}", params=params)
            return answer.json()["event_id"] if answer.status_code == 200 else answer.status_code

        assert [found(one), found(delivery.id), found("8", source="/1")] == [one] * 3
        assert found("8", source="/2") == other
        assert found("9" * 3_000) == found(plain) == found("9" * 3_000, source=publisher) == plain
        assert (found("8", source="/3"), found("7"), found(one, source="/1")) == (404, 404, one)
        ambiguous = http.get("/headrace/v1/events/8")
        assert ambiguous.status_code == 409
        assert [each["path"] for each in ambiguous.json()["errors"]] == [other, one]
        assert "/1" in ambiguous.json()["errors"][1]["message"]
        for any_id in (one, delivery.id, "8"):
            assert stranger.get(f"/headrace/v1/events/{any_id}").status_code == 404
        shown = http.get(f"/headrace/v1/events/{one}").json()
        listed = http.get("/headrace/v1/events", params={"source": "/2"}).json()["items"]
    assert (shown["id"], shown["source"], shown["type"], shown["clientid"]) == ("8", "/1", "shop/Offer", publisher)
    assert (shown["time"], shown["extensions"]) == ("2021-03-04T16:36:54.5910Z", {"n": 5})
    assert [each["event_id"] for each in listed] == [other]


def test_a_crmls_account_gets_its_event_back_and_nobody_elses(
    gateway: RunningGateway, stored: tuple[str, str, str]
) -> None:
    workspace, token, event = stored
    path = f"/api/app/events/{event}"
    with gateway.client(token) as http:
        answer = http.get(path)
        assert http.get(f"/api/app/events/{uuid4()}").status_code == 404
    assert '"message":{"OfferAmount": 125.50}' in answer.text
    assert answer.json()["eventTime"] == "2021-03-04T16:36:54.591+00:00"
    assert answer.json()["id"] == event

    _, key = gateway.create_client(workspace, "producer", realm="crmls")
    other = httpx.post(f"{gateway.url}/api/token", params={"apiKey": key}).json()["token"]
    with gateway.client(other) as http:
        assert http.get(path).status_code == 404
    assert httpx.get(gateway.url + path).status_code == 401
