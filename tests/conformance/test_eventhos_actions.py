"""eventhos' actions, case by case, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.eventhos_calls import CHANGED, TARGET, Eventhos, EventhosEvent, content, named, refused, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture
def http(eventhos: Eventhos) -> Iterator[httpx.Client]:
    """Calls with all permissions."""
    with eventhos.manager() as client:
        yield client


@pytest.fixture(scope="module")
def event(eventhos: Eventhos) -> EventhosEvent:
    """With an active contract."""
    return eventhos.linked_event()


def test_E_55_an_action_is_created_and_shown_without_its_secrets(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    number = eventhos.action(
        event.system,
        "https://example.com/${.body.id}",
        method="put",
        headers=[{"key": "x-name", "value": "${.body.name}"}, {"key": "Authorization", "value": "Bearer shh-header"}],
        queryUrlParams=[{"key": "q", "value": "${.query.q}"}],
        body=[{"key": "name", "value": "${.body.name}"}],
        securityType=1,
        securityUrl="https://example.com/token",
        clientId="me",
        clientSecret="shh-secret",
        reply_to=event.identifier,
    )
    answer = http.get(f"/action/{number}")
    found = content(answer)

    assert "shh" not in answer.text
    assert found["reply_to"] == event.identifier
    assert found["httpConfiguration"] == {
        "url": "https://example.com/${.body.id}",
        "method": "put",
        "headers": {"x-name": "${.body.name}", "Authorization": "***"},
        "params": {"q": "${.query.q}"},
        "data": {"name": "${.body.name}"},
    }
    assert found["security"] == {
        "type": "oauth2_client",
        "httpConfiguration": {
            "url": "https://example.com/token",
            "method": "post",
            "data": {"client_id": "me", "grant_type": "client_credentials"},
        },
    }
    row = named(http, "/action", number)
    assert (row["system_id"], row["system_name"]) == (event.system, "A system")
    assert "shh" not in http.get("/action", params={"itemsPerPage": 1000}).text


def test_E_55_an_actions_secrets_stay_when_it_is_changed_as_shown(eventhos: Eventhos, http: httpx.Client) -> None:
    oauth = {"securityType": 1, "securityUrl": "https://example.com/token", "clientId": "me"}
    headers = [{"key": "Authorization", "value": "Bearer shh"}]
    number = eventhos.action(eventhos.system(), TARGET, **oauth, clientSecret="shh", headers=headers)
    shown = [{"key": "Authorization", "value": "***"}]
    body = {"url": f"{TARGET}/2", "method": "POST", "headers": shown, "rawBody": {"a": ["${.body.a}"]}, "name": "New"}

    assert http.put(f"/action/{number}", json=body | oauth).json() == CHANGED
    found = content(http.get(f"/action/{number}"))
    assert (found["name"], found["httpConfiguration"]["data"]) == ("New", {"a": ["${.body.a}"]})
    assert found["httpConfiguration"]["headers"] == {"Authorization": "***"}
    assert found["security"]["type"] == "oauth2_client"

    event = eventhos.event()
    replying = {"headers": [], "rawBody": "${.body.name} was here", "reply_to": event.identifier}
    assert http.put(f"/action/{number}", json=body | replying).json() == CHANGED
    found = content(http.get(f"/action/{number}"))
    assert (found["httpConfiguration"]["headers"], found["reply_to"]) == ({}, event.identifier)
    assert found["httpConfiguration"]["data"] == "${.body.name} was here"
    assert found["security"] == {"type": "custom", "httpConfiguration": {}}
    assert "clientSecret" in refused(http.put(f"/action/{number}", json=body | oauth), 400000)


def test_E_55_an_actions_secrets_go_to_no_other_server_when_it_is_changed(
    eventhos: Eventhos, http: httpx.Client
) -> None:
    oauth = {"securityType": 1, "securityUrl": "https://example.com/token", "clientId": "me"}
    headers = [{"key": "Authorization", "value": "Bearer shh"}]
    number = eventhos.action(eventhos.system(), TARGET, **oauth, clientSecret="shh", headers=headers)
    body = oauth | {"url": TARGET, "method": "POST", "headers": [{"key": "Authorization", "value": "***"}]}

    elsewhere = http.put(f"/action/{number}", json=body | {"url": "https://evil.example/"})
    message = refused(elsewhere, 400000)
    assert "$.headers[0].value" in message
    assert "$.clientSecret" in message
    asked_elsewhere = body | {"securityUrl": "https://evil.example/"}
    assert "$.clientSecret" in refused(http.put(f"/action/{number}", json=asked_elsewhere), 400000)
    assert content(http.get(f"/action/{number}"))["httpConfiguration"]["url"] == TARGET
    given = {"url": "https://elsewhere.example/", "headers": headers, "clientSecret": "shh"}
    assert http.put(f"/action/{number}", json=body | given).json() == CHANGED


def test_E_55_numbers_in_a_body_stay_numbers(eventhos: Eventhos, http: httpx.Client) -> None:
    members = [{"key": "count", "value": 3}, {"key": "name", "value": "${.body.name}"}]
    number = eventhos.action(eventhos.system(), TARGET, body=members)

    assert content(http.get(f"/action/{number}"))["httpConfiguration"]["data"] == {"count": 3, "name": "${.body.name}"}


@pytest.mark.parametrize(
    ("members", "code", "named_member"),
    [
        ({"url": "nowhere"}, 400000, "url"),
        ({"url": "http://there/\r\nX-B: c"}, 400000, "url"),
        ({"headers": [{"key": "X-A\r\nX-B", "value": "x"}]}, 400000, "headers"),
        ({"headers": [{"key": "X A:", "value": "x"}]}, 400000, "headers"),
        ({"headers": [{"key": "X-A", "value": "x\r\nX-B: c"}]}, 400000, "headers"),
        ({"method": "FETCH"}, 400000, "method"),
        ({"headers": [{"value": "x"}]}, 400000, "key"),
        ({"headers": [{"key": "Authorization", "value": "***"}]}, 400000, "headers[0]"),
        ({"securityType": 1}, 400000, "securityUrl"),
        ({"securityType": 1, "securityUrl": "https://example.com", "clientId": "x"}, 400000, "clientSecret"),
        ({"securityType": 2}, 400000, "securityType"),
        ({"rawFunctionBody": "return event"}, 400005, "rawFunctionBody"),
        ({"reply_to": "nope"}, 400006, "nope"),
        ({"system_id": 987_654}, 404301, "987654"),
    ],
)
def test_E_56_an_action_that_cannot_be(
    event: EventhosEvent, http: httpx.Client, members: dict[str, Any], code: int, named_member: str
) -> None:
    body = {"system_id": event.system, "identifier": unique(), "name": "n", "url": TARGET, "method": "post"}

    assert named_member in refused(http.post("/action", json=body | members), code)


def test_E_55_a_raw_body_is_shown_as_it_was_given(eventhos: Eventhos, http: httpx.Client) -> None:
    raw = '{"price":12.50,"deep":' + "[" * 300 + "]" * 300 + "}"
    made = eventhos.action(eventhos.system(), TARGET, rawBody=raw)

    assert f'"data":{raw}' in http.get(f"/action/{made}").raise_for_status().text


def test_E_56_an_actions_identifier_is_its_own(eventhos: Eventhos, http: httpx.Client) -> None:
    identifier, system = unique(), eventhos.system()
    number = eventhos.action(system, TARGET, identifier=identifier)
    body = {"system_id": system, "identifier": identifier, "name": "n", "url": TARGET, "method": "post"}

    refused(http.post("/action", json=body), 400001)
    assert http.delete(f"/action/{number}").json() == CHANGED
    for response in (
        http.get(f"/action/{number}"),
        http.put(f"/action/{number}", json=body),
        http.delete(f"/action/{number}"),
    ):
        refused(response, 400002)
    assert http.post("/action", json=body).status_code == 201


def test_E_56_an_action_with_a_contract_is_not_deleted(eventhos: Eventhos, http: httpx.Client) -> None:
    event = eventhos.event()
    action = eventhos.action(event.system, TARGET)
    contract = eventhos.contract(event, action)

    refused(http.delete(f"/action/{action}"), 400003)
    assert http.delete(f"/contract/{contract}").json() == CHANGED
    assert http.delete(f"/action/{action}").json() == CHANGED
