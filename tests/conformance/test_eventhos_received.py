"""What eventhos' log shows of received events and of what was run for them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.eventhos_calls import SEED_BODY, refused

if TYPE_CHECKING:
    from tests.component.connectors.receiver import Mailbox
    from tests.support.eventhos_log import EventLog
    from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("processors", "webhooks")


def test_E_02_a_contract_gets_the_body_and_is_processed(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(mailbox.url)

    log.send()

    (request,) = mailbox.wait()
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == SEED_BODY
    assert log.row("processed")["state"] == ["processed"]


def test_E_05_an_event_without_contracts_is_received(log: EventLog) -> None:
    answer = log.eventhos.send(log.event)
    assert answer.json()["code"] == 200310

    row = log.row(None)

    assert log.content(f"/event/received/{row['id']}")["executedEventContracts"] == []


def test_E_19_any_json_is_passed_on(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(mailbox.url)
    bodies = ["[1, 2]", '"text"', "null", "3", "125.50"]

    for body in bodies:
        log.send(content=body, headers={"content-type": "application/json"})

    assert sorted(request.body.decode() for request in mailbox.wait(len(bodies))) == sorted(bodies)


@pytest.mark.parametrize("body", ["[" * 300 + "]" * 300, '{"x":1e999}', '{"x": 12.50}'])
def test_E_46_any_json_is_shown_as_it_was_sent(log: EventLog, body: str) -> None:
    assert log.eventhos.send(log.event, content=body).json()["code"] == 200310

    row = log.row(None)
    assert f'"body":{body},' in log.get("/event/received", idSearch=row["id"]).text
    assert f'"body":{body},' in log.get(f"/event/received/{row['id']}").text


def test_E_46_received_events_are_listed(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(mailbox.url)
    log.send()
    log.send()
    log.row("processed", which=1)

    page = log.page(order="desc", itemsPerPage=1)
    assert {name: page[name] for name in page if name != "items"} == {
        "pageIndex": 0,
        "itemsPerPage": 1,
        "totalItems": 2,
        "totalPages": 2,
    }
    (newest,) = page["items"]
    assert newest["eventIdentifier"] == log.event.identifier
    assert (newest["eventId"], newest["systemId"]) == (log.event.id, log.event.system)
    assert newest["systemName"] == "A system"
    assert newest["eventDescription"] == "Of a test."
    assert newest["receivedAt"].endswith("Z")
    assert newest["state"] == ["processed"]
    assert [newest] == log.page(itemsPerPage=1, pageIndex=1)["items"]
    assert [newest] == log.page(idSearch=newest["id"])["items"]
    assert [newest] == log.page(fromTime=newest["receivedAt"], itemsPerPage=1, order="desc")["items"]
    assert log.page(systemId=log.event.system)["totalItems"] == 2
    assert log.page(systemId=log.event.system + 1_000_000)["totalItems"] == 0
    assert log.page(toTime="2020-01-01")["totalItems"] == 0
    assert log.page(fromTime="2020-01-01", toTime="2100-01-01T00:00:00+02:00")["totalItems"] == 2


def test_E_46_a_condition_that_is_left_empty_is_none(log: EventLog) -> None:
    assert log.eventhos.send(log.event, json={}).json()["code"] == 200310
    row = log.row(None)

    empty = dict.fromkeys(("systemId", "fromTime", "toTime", "state", "eventIdentifierSearch"), "")
    assert log.content("/event/received", **empty, idSearch=row["id"])["items"] == [row]
    assert log.page(idSearch="")["items"] == [row]


@pytest.mark.parametrize(
    "condition", [{"fromTime": "yesterday"}, {"state": "lost"}, {"idSearch": "\0"}, {"activeSort": "state"}]
)
def test_E_46_conditions_that_say_nothing_are_refused(log: EventLog, condition: dict[str, str]) -> None:
    refused(log.get("/event/received", **condition), 400000)


def test_E_47_a_received_event_shows_its_request_and_contracts(log: EventLog, mailbox: Mailbox) -> None:
    number = log.contract(mailbox.url)
    log.send(params={"color": "red"}, headers={"X-Trace": "7"})

    content = log.content(f"/event/received/{log.row('processed')['id']}")

    received = content["receivedEvent"]
    request = received["received_request"]
    assert request["body"] == SEED_BODY
    assert (request["method"], request["query"]["color"], request["headers"]["x-trace"]) == ("POST", "red", "7")
    assert "/event/send" in request["url"]
    assert log.event.token not in json.dumps(content)
    assert (received["eventId"], received["eventIdentifier"]) == (log.event.id, log.event.identifier)
    assert received["eventOperation"] == "new"
    (detail,) = content["executedEventContracts"]
    assert (detail["state"], detail["attempts"], detail["isAborted"]) == ("processed", 0, False)
    assert (detail["contractId"], detail["contractName"].startswith("test-")) == (number, True)
    assert (detail["actionName"], detail["actionOperation"]) == ("An action", "process")


def test_E_47_an_event_that_was_not_received_is_not_found(log: EventLog) -> None:
    refused(log.get(f"/event/received/{uuid4()}"), 404202)


def test_E_48_an_execution_shows_request_and_response(log: EventLog, mailbox: Mailbox) -> None:
    async def answer(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"ok": True}, status=201, headers={"X-Answer": "yes"})

    mailbox.answering = answer
    log.contract(mailbox.url, queryUrlParams=[{"key": "q", "value": "${.body.id}"}])
    log.send()
    (detail,) = log.details("processed")

    found = log.execution(detail)

    assert found["state"] == "processed"
    assert (found["contract_id"], found["received_event_id"]) == (detail["contractId"], log.row("processed")["id"])
    assert found["request"]["url"] == mailbox.url
    assert (found["request"]["method"], found["request"]["params"]) == ("POST", {"q": "199"})
    assert found["request"]["body"] == SEED_BODY
    assert (found["response"]["status"], found["response"]["statusText"]) == (201, "Created")
    assert found["response"]["headers"]["X-Answer"] == "yes"
    assert found["response"]["body"] == {"ok": True}
    assert found["response"]["startTime"] <= found["response"]["endTime"]
    assert log.content(f"/received/execution-detail/{detail['detailId']}") == found


def test_E_48_an_execution_that_there_was_not_is_not_found(log: EventLog) -> None:
    for path in ("/event/received/execution-detail", "/received/execution-detail"):
        refused(log.get(f"{path}/{uuid4()}"), 404203)


def test_E_49_received_events_are_found_by_state(log: EventLog, mailbox: Mailbox) -> None:
    mailbox.answers = [500, 200]
    log.contract(mailbox.url)
    log.send()
    log.row("error")
    log.send()
    log.row("processed", which=1)

    assert [each["state"] for each in log.page(state="error")["items"]] == [["error"]]
    assert [each["state"] for each in log.page(state="processed")["items"]] == [["processed"]]
    assert log.page(state="aborted")["totalItems"] == 0


def test_E_52_the_log_is_not_for_everybody(log: EventLog, gateway: RunningGateway) -> None:
    paths = (
        "/event/received",
        "/event/received/1",
        "/event/received/execution-detail/1",
        "/received/execution-detail/1",
    )
    with gateway.client(None) as nobody, gateway.client(log.event.token) as sender:
        for path in paths:
            refused(nobody.get(path), 403002)
            refused(sender.get(path), 401002)
        refused(nobody.post("/event/retry/aborted", json={}), 403002)
        refused(sender.post("/event/retry/aborted", json={}), 401002)
