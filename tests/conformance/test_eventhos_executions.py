"""What eventhos runs for a received event, and what its log shows of it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from aiohttp import web

from tests.eventhos_calls import SEED_BODY, Eventhos, EventhosEvent, eventhos_on
from tests.eventhos_log import EventLog

if TYPE_CHECKING:
    import httpx

    from tests.component.connectors.receiver import Mailbox, Receiver
    from tests.running_gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("processors", "webhooks")


@pytest.fixture(scope="module")
def eventhos(gateway: RunningGateway) -> Eventhos:
    return eventhos_on(gateway)


@pytest.fixture
def event(eventhos: Eventhos) -> EventhosEvent:
    return eventhos.event()


@pytest.fixture
def log(eventhos: Eventhos, event: EventhosEvent) -> EventLog:
    return EventLog(eventhos=eventhos, event=event)


def contract(log: EventLog, url: str, order: int = 1, **action: Any) -> int:
    """A contract of the log's event that calls a URL."""
    return log.eventhos.contract(log.event, log.eventhos.action(log.event.system, url, **action), order)


def send(log: EventLog, body: Any = SEED_BODY, **options: Any) -> None:
    answer = log.eventhos.send(log.event, json=body, **options)
    assert (answer.status_code, answer.json()["code"]) == (200, 200000), answer.text


def failing(mailbox: Mailbox) -> str:
    """The URL of a target that does not work."""
    mailbox.answers = [500]
    return mailbox.url


def check_refused(answer: httpx.Response, code: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (code // 1000, code), answer.text
    assert answer.json()["message"]


def test_E_02_a_contract_gets_the_body_and_is_processed(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, mailbox.url)

    send(log)

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
    contract(log, mailbox.url)
    bodies = ["[1, 2]", '"text"', "null", "3", "125.50"]

    for body in bodies:
        send(log, content=body, headers={"content-type": "application/json"})

    assert sorted(request.body.decode() for request in mailbox.wait(len(bodies))) == sorted(bodies)


@pytest.mark.parametrize("body", ["[" * 300 + "]" * 300, '{"x":1e999}', '{"x": 12.50}'])
def test_E_46_any_json_is_shown_as_it_was_sent(log: EventLog, body: str) -> None:
    assert log.eventhos.send(log.event, content=body).json()["code"] == 200310

    row = log.row(None)
    assert f'"body":{body},' in log.get("/event/received", idSearch=row["id"]).text
    assert f'"body":{body},' in log.get(f"/event/received/{row['id']}").text


def test_E_46_received_events_are_listed(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, mailbox.url)
    send(log)
    send(log)
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


@pytest.mark.parametrize(
    "condition", [{"fromTime": "yesterday"}, {"state": "lost"}, {"idSearch": "\0"}, {"activeSort": "state"}]
)
def test_E_46_conditions_that_say_nothing_are_refused(log: EventLog, condition: dict[str, str]) -> None:
    check_refused(log.get("/event/received", **condition), 400000)


def test_E_47_a_received_event_shows_its_request_and_contracts(log: EventLog, mailbox: Mailbox) -> None:
    number = contract(log, mailbox.url)
    send(log, params={"color": "red"}, headers={"X-Trace": "7"})

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
    check_refused(log.get(f"/event/received/{uuid4()}"), 404202)


def test_E_48_an_execution_shows_request_and_response(log: EventLog, mailbox: Mailbox) -> None:
    async def answer(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"ok": True}, status=201, headers={"X-Answer": "yes"})

    mailbox.answering = answer
    contract(log, mailbox.url, queryUrlParams=[{"key": "q", "value": "${.body.id}"}])
    send(log)
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
        check_refused(log.get(f"{path}/{uuid4()}"), 404203)


def test_E_49_received_events_are_found_by_state(log: EventLog, mailbox: Mailbox) -> None:
    mailbox.answers = [500, 200]
    contract(log, mailbox.url)
    send(log)
    log.row("error")
    send(log)
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
            check_refused(nobody.get(path), 403002)
            check_refused(sender.get(path), 401002)
        check_refused(nobody.post("/event/retry/aborted", json={}), 403002)
        check_refused(sender.post("/event/retry/aborted", json={}), 401002)


def test_E_60_groups_run_one_after_another(log: EventLog, receiver: Receiver) -> None:
    boxes = [receiver.mailbox(f"group-{uuid4()}") for _ in range(3)]
    ended: list[float] = []

    async def slow(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0.4)
        ended.append(time.monotonic())
        return web.Response()

    for box, order in zip(boxes, (3, 1, 2), strict=True):
        box.answering = slow
        contract(log, box.url, order)

    send(log)

    last, first, second = (box.wait()[0].at for box in boxes)
    assert first < ended[0] <= second < ended[1] <= last
    assert len(log.details("processed", "processed", "processed")) == 3


def test_E_61_contracts_of_one_order_overlap(log: EventLog, receiver: Receiver) -> None:
    boxes = [receiver.mailbox(f"side-by-side-{uuid4()}") for _ in range(2)]

    both = asyncio.Barrier(2)

    async def wait_for_both(_request: web.Request, _number: int) -> web.Response:
        async with asyncio.timeout(20):
            await both.wait()
        return web.Response()

    for box in boxes:
        box.answering = wait_for_both
        contract(log, box.url)

    send(log)

    log.row("processed", "processed")


def test_E_62_a_failed_contract_does_not_stop_the_next_group(log: EventLog, receiver: Receiver) -> None:
    bad, good = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("bad", "good"))
    contract(log, failing(bad), 1)
    contract(log, good.url, 2)

    send(log)

    failed, processed = log.details("error", "processed")
    assert (failed["state"], processed["state"]) == ("error", "processed")
    assert log.execution(failed)["response"]["status"] == 500
    assert len(bad.received) == 1


def test_E_63_a_contract_has_one_try(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, failing(mailbox))
    send(log)

    (detail,) = log.details("error")

    assert (detail["attempts"], detail["isAborted"]) == (0, False)
    assert log.execution(detail)["response"]["body"] == "answer 1"
    assert len(mailbox.received) == 1


def test_E_63_a_target_that_does_not_answer_is_an_error(log: EventLog) -> None:
    contract(log, "http://127.0.0.1:9/nobody-listens")
    send(log)

    (detail,) = log.details("error")

    response = log.execution(detail)["response"]
    assert response["status"] is None
    assert "cannot connect" in response["statusText"]


def test_E_64_a_failed_contract_is_sent_again_once(log: EventLog, receiver: Receiver) -> None:
    target, other = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("target", "other"))
    target.answers = [500, 200]
    contract(log, target.url, 1)
    contract(log, other.url, 2)
    send(log, params={"color": "red"})
    received = log.row("error", "processed")
    detail, _ = log.details("error", "processed")

    answer = log.retry(received, detail)

    assert (answer.status_code, answer.json()) == (200, {"code": 200000, "message": "success"})
    check_refused(log.retry(received, detail), 400206)
    again = log.row("processed", which=1)
    assert again["id"] != received["id"]
    assert again["received_request"]["body"] == SEED_BODY
    assert again["received_request"]["query"]["color"] == "red"
    assert json.loads(target.wait(2)[1].body) == SEED_BODY
    marked, _ = log.details("retried", "processed")
    assert (marked["detailId"], marked["attempts"]) == (detail["detailId"], 1)
    check_refused(log.retry(received, detail), 400206)
    check_refused(log.abort(detail), 400203)
    assert len(other.received) == 1


def test_E_64_only_a_failed_contract_of_the_event_is_sent_again(log: EventLog, mailbox: Mailbox) -> None:
    mailbox.answers = [200, 500]
    contract(log, mailbox.url)
    send(log)
    (processed,) = log.details("processed")
    first = log.row("processed")
    send(log)
    (failed,) = log.details("error", which=1)
    second = log.row("error", which=1)
    elsewhere = EventLog(eventhos=log.eventhos, event=log.eventhos.event(log.event.system, log.event.client))

    check_refused(log.retry(first, processed), 400206)
    check_refused(log.retry(first, failed), 400206)
    check_refused(log.retry(second, {**failed, "detailId": str(uuid4())}), 400206)
    check_refused(log.retry(second, {**failed, "contractId": failed["contractId"] + 1_000_000}), 400204)
    check_refused(log.retry(second, failed, contractDetailId=None), 400203)
    check_refused(log.retry(second, failed, receivedEventId=None), 400203)
    check_refused(elsewhere.retry(second, failed), 400206)
    assert log.eventhos.stored(log.event) == 2


def test_E_65_a_failed_contract_is_aborted_and_not_sent_again(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, failing(mailbox))
    send(log)
    (detail,) = log.details("error")
    received = log.row("error")

    answer = log.abort(detail)

    assert (answer.status_code, answer.json()["code"]) == (200, 200000)
    check_refused(log.retry(received, detail), 400206)
    check_refused(log.abort(detail), 400203)
    (aborted,) = log.details("aborted")
    assert (aborted["isAborted"], aborted["attempts"]) == (True, 0)
    assert log.execution(aborted)["is_aborted"] is True
    assert log.page(state="aborted")["totalItems"] == 1
    assert log.page(state="error")["totalItems"] == 0
    check_refused(log.abort(aborted), 400203)
    assert log.eventhos.stored(log.event) == 1


def test_E_67_templates_fill_in_the_request(log: EventLog, receiver: Receiver) -> None:
    name = f"template-{uuid4()}"
    box = receiver.mailbox(f"{name}/Morpheush")
    contract(
        log,
        f"{receiver.url(name)}/${{.body.name}}",
        method="PUT",
        headers=[{"key": "X-Job", "value": "job: ${.body.job}"}, {"key": "X-Color", "value": "${.query.color}"}],
        queryUrlParams=[{"key": "who", "value": "${.body.name} & ${.headers.x-caller}"}],
        body=[{"key": "id", "value": "${.body.id}"}, {"key": "tags", "value": "${.body.tags}"}],
    )

    send(log, {**SEED_BODY, "tags": ["a", 1.50]}, params={"color": "red"}, headers={"X-Caller": "me"})

    (request,) = box.wait()
    path, _, query = request.target.partition("?")
    assert (request.method, path, parse_qs(query)) == ("PUT", f"/{name}/Morpheush", {"who": ["Morpheush & me"]})
    assert (request.headers["x-job"], request.headers["x-color"]) == ("job: Leader", "red")
    assert json.loads(request.body) == {"id": "199", "tags": ["a", 1.5]}


def test_E_67_a_raw_body_is_filled_in(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, mailbox.url, rawBody={"user": {"name": "${.body.name}"}, "text": "Dear ${.body.job}", "n": 1})

    send(log)

    assert json.loads(mailbox.wait()[0].body) == {"user": {"name": "Morpheush"}, "text": "Dear Leader", "n": 1}


def test_E_68_a_token_is_fetched_by_form_and_used(log: EventLog, receiver: Receiver) -> None:
    tokens, target = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("tokens", "target"))

    async def issue(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"access_token": "the-token", "token_type": "bearer", "kind": "short"})

    tokens.answering = issue
    contract(
        log,
        target.url,
        securityType=1,
        securityUrl=tokens.url,
        clientId="me",
        clientSecret="my secret",
        headers=[{"key": "X-Kind", "value": "${.oauthResponse.body.kind}"}],
        body=[{"key": "token", "value": "${.oauthResponse.body.access_token}"}],
    )

    send(log)

    (request,) = target.wait()
    assert request.headers["authorization"] == "Bearer the-token"
    assert request.headers["x-kind"] == "short"
    assert json.loads(request.body) == {"token": "the-token"}
    (asked,) = tokens.received
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": ["my secret"],
    }
    (detail,) = log.details("processed")
    shown = json.dumps(log.execution(detail))
    assert "the-token" not in shown
    assert "my secret" not in shown


def test_E_68_a_token_is_hidden_however_it_is_spelled(log: EventLog, receiver: Receiver) -> None:
    tokens, target = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("tokens", "target"))

    async def issue(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"access_token": 'the/"Token=', "refresh_token": "another+One"})

    async def echo(request: web.Request, _number: int) -> web.Response:
        return web.Response(text=request.path_qs + await request.text() + request.headers["x-auth-token"])

    tokens.answering, target.answering = issue, echo
    oauth = {"securityType": 1, "securityUrl": tokens.url, "clientId": "me", "clientSecret": "my secret"}
    url = target.url + "?a=${.oauthResponse.body.access_token}"
    members = [{"key": name, "value": f"${{.oauthResponse.body.{name}}}"} for name in ("access_token", "refresh_token")]
    static = [{"key": "X-Auth-Token", "value": "Token a-static=one"}]
    contract(log, url, **oauth, body=members, queryUrlParams=members, headers=static)
    contract(log, "http://${.oauthResponse.body.refresh_token}/", **oauth, order=2)

    send(log)

    for detail in log.details("processed", "error"):
        shown = json.dumps(log.execution(detail)).lower()
        assert "***" in shown
        assert "token=" not in shown.replace("_token=", "")
        assert "token%3d" not in shown
        assert "one" not in shown.replace("none", "")
    with log.eventhos.gateway.client() as admin:
        attempts = admin.get(f"/headrace/v1/events/{log.row('processed', 'error')['id']}").raise_for_status().text
    assert "***" in attempts
    assert "Token=" not in attempts


def test_E_68_without_a_token_the_contract_is_an_error(log: EventLog, receiver: Receiver, mailbox: Mailbox) -> None:
    tokens = receiver.mailbox(f"tokens-{uuid4()}")
    tokens.answers = [403]
    oauth = {"securityType": 1, "securityUrl": tokens.url, "clientId": "me", "clientSecret": "my secret"}
    contract(log, mailbox.url, **oauth)

    send(log)

    (detail,) = log.details("error")
    found = log.execution(detail)
    assert found["request"]["url"] == tokens.url
    assert "no access token" in found["response"]["statusText"]
    assert "my secret" not in json.dumps(found)
    assert mailbox.received == []


def test_E_69_an_answer_is_sent_to_the_event_to_reply_to(log: EventLog, receiver: Receiver, mailbox: Mailbox) -> None:
    reply = EventLog(eventhos=log.eventhos, event=log.eventhos.event(log.event.system, log.event.client))
    replied = receiver.mailbox(f"replied-{uuid4()}")

    async def answer(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"price": 125.5})

    mailbox.answering = answer
    contract(log, mailbox.url, reply_to=reply.event.identifier)
    contract(reply, replied.url)

    send(log)

    assert json.loads(replied.wait()[0].body) == {"price": 125.5}
    (detail,) = reply.details("processed")
    assert reply.execution(detail)["reply_from"] == log.event.identifier
    assert reply.row("processed")["received_request"]["body"] == {"price": 125.5}


def test_E_69_replies_in_a_circle_come_to_an_end(log: EventLog, mailbox: Mailbox) -> None:
    contract(log, mailbox.url, reply_to=log.event.identifier)

    send(log)

    (detail,) = log.details("processed", which=8)
    assert len(mailbox.received) == 9
    assert "at most 8" in log.execution(detail)["reply_error"]
    assert log.page()["totalItems"] == 9
