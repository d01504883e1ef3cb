"""The requests that eventhos' contracts make: templates, tokens, and where the answer goes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.eventhos_calls import CHANGED, SEED_BODY
from tests.support.eventhos_log import EventLog

if TYPE_CHECKING:
    from tests.component.connectors.receiver import Mailbox, Receiver

pytestmark = pytest.mark.usefixtures("processors", "webhooks")


def test_E_67_templates_fill_in_the_request(log: EventLog, receiver: Receiver) -> None:
    name = f"template-{uuid4()}"
    box = receiver.mailbox(f"{name}/Morpheush")
    log.contract(
        f"{receiver.url(name)}/${{.body.name}}",
        method="PUT",
        headers=[{"key": "X-Job", "value": "job: ${.body.job}"}, {"key": "X-Color", "value": "${.query.color}"}],
        queryUrlParams=[{"key": "who", "value": "${.body.name} & ${.headers.x-caller}"}],
        body=[{"key": "id", "value": "${.body.id}"}, {"key": "tags", "value": "${.body.tags}"}],
    )

    log.send({**SEED_BODY, "tags": ["a", 1.50]}, params={"color": "red"}, headers={"X-Caller": "me"})

    (request,) = box.wait()
    path, _, query = request.target.partition("?")
    assert (request.method, path, parse_qs(query)) == ("PUT", f"/{name}/Morpheush", {"who": ["Morpheush & me"]})
    assert (request.headers["x-job"], request.headers["x-color"]) == ("job: Leader", "red")
    assert json.loads(request.body) == {"id": "199", "tags": ["a", 1.5]}


def test_E_67_a_raw_body_is_filled_in(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(mailbox.url, rawBody={"user": {"name": "${.body.name}"}, "text": "Dear ${.body.job}", "n": 1})

    log.send()

    assert json.loads(mailbox.wait()[0].body) == {"user": {"name": "Morpheush"}, "text": "Dear Leader", "n": 1}


@pytest.mark.parametrize("empty", [{}, "{}"])
def test_E_67_an_empty_raw_body_is_none(log: EventLog, mailbox: Mailbox, empty: object) -> None:
    log.contract(mailbox.url, rawBody=empty)

    log.send()

    assert json.loads(mailbox.wait()[0].body) == SEED_BODY


def test_E_67_a_credential_that_stays_when_an_action_is_changed_is_sent(log: EventLog, mailbox: Mailbox) -> None:
    header = {"key": "X-Vault-Token", "value": f"s3cret-{uuid4()}"}
    action = log.eventhos.action(log.event.system, mailbox.url, headers=[header])
    log.eventhos.contract(log.event, action)
    body = {"url": f"{mailbox.url}?changed=1", "method": "POST", "headers": [header | {"value": "***"}]}
    with log.eventhos.manager() as http:
        assert http.put(f"/action/{action}", json=body).json() == CHANGED

    log.send()

    (request,) = mailbox.wait()
    assert (request.target.partition("?")[2], request.headers["x-vault-token"]) == ("changed=1", header["value"])
    (detail,) = log.details("processed")
    assert header["value"] not in json.dumps(log.execution(detail))


def test_E_68_a_token_is_fetched_by_form_and_used(log: EventLog, receiver: Receiver) -> None:
    tokens, target = (receiver.mailbox(f"{name}-{uuid4()}") for name in ("tokens", "target"))

    async def issue(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0)
        return web.json_response({"access_token": "the-token", "token_type": "bearer", "kind": "short"})

    tokens.answering = issue
    log.contract(
        target.url,
        securityType=1,
        securityUrl=tokens.url,
        clientId="me",
        clientSecret="my secret",
        headers=[{"key": "X-Kind", "value": "${.oauthResponse.body.kind}"}],
        body=[{"key": "token", "value": "${.oauthResponse.body.access_token}"}],
    )

    log.send()

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
    log.contract(url, **oauth, body=members, queryUrlParams=members, headers=static)
    log.contract("http://${.oauthResponse.body.refresh_token}/", **oauth, order=2)

    log.send()

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
    log.contract(mailbox.url, **oauth)

    log.send()

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
    log.contract(mailbox.url, reply_to=reply.event.identifier)
    reply.contract(replied.url)

    log.send()

    assert json.loads(replied.wait()[0].body) == {"price": 125.5}
    (detail,) = reply.details("processed")
    assert reply.execution(detail)["reply_from"] == log.event.identifier
    assert reply.row("processed")["received_request"]["body"] == {"price": 125.5}


def test_E_69_replies_in_a_circle_come_to_an_end(log: EventLog, mailbox: Mailbox) -> None:
    log.contract(mailbox.url, reply_to=log.event.identifier)

    log.send()

    (detail,) = log.details("processed", which=8)
    assert len(mailbox.received) == 9
    assert "at most 8" in log.execution(detail)["reply_error"]
    assert log.page()["totalItems"] == 9
