"""Quotas on a running gateway: each family refuses in its own shape, and nothing of what is refused is written."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from tests.support.crmls_account import EVENTS, crmls_account, seed_body
from tests.support.eventhos_calls import SEED_BODY, eventhos_on
from tests.support.exchange_account import exchange_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"


class Publishing(NamedTuple):
    """A client of one family that may publish.

    Attributes:
        post: one request with one event.
        refusal: what a refusal's body says besides the sentence, given its status.
    """

    workspace: str
    client: str
    namespace: str
    code: str
    post: Callable[[], httpx.Response]
    refusal: Callable[[int], dict[str, Any]]


def problem(status: int) -> dict[str, Any]:
    return {"type": "about:blank", "status": status}


def own_api(gateway: RunningGateway, opened: ExitStack, *, batch: bool) -> Publishing:
    workspace, code = gateway.create_workspace(), f"code-{uuid4()}"
    client, key = gateway.create_client(workspace, "producer")
    event = {"specversion": "1.0", "type": code, "source": "s", "data": {}}
    http = opened.enter_context(gateway.client(key))
    http.post(f"{V1}/registrations", json={"kind": "PUBLISH", "code": code, "open": True}).raise_for_status()

    def post() -> httpx.Response:
        media_type = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
        body = [event] if batch else event
        return http.post(f"{V1}/events", json=body, headers={"Content-Type": media_type})

    return Publishing(workspace, client, "events", code, post, problem)


def crmls(gateway: RunningGateway, opened: ExitStack) -> Publishing:
    workspace = gateway.create_workspace()
    account = crmls_account(gateway, workspace)
    http = opened.enter_context(gateway.client(account.token))
    return Publishing(workspace, account.id, "crmls", "Offer", lambda: http.post(EVENTS, json=seed_body()), problem)


def exchange(gateway: RunningGateway, opened: ExitStack) -> Publishing:
    account = exchange_account(gateway)
    publisher, code = account.endpoint(source=True, identifiers=("email",)), f"code-{uuid4()}"
    publisher.register(code).raise_for_status()
    event = {"code": code, "timestamp": "2015-02-28T20:16:12Z", "attributes": []}
    event["identifiers"] = [{"name": "email", "value": "someone@example.org"}]
    http = opened.enter_context(publisher.client())
    return Publishing(
        account.workspace,
        publisher.id,
        "exchange",
        code,
        lambda: http.post("/v1/event", json={"channel": "Email", "events": [event]}),
        lambda status: {"code": status},
    )


def eventhos(gateway: RunningGateway, opened: ExitStack) -> Publishing:
    event = eventhos_on(gateway).event()
    http = opened.enter_context(gateway.client(None))
    query = {"event-identifier": event.identifier, "access-key": event.token}
    return Publishing(
        "default",
        event.client.client_id,
        "eventhos",
        event.identifier,
        lambda: http.post("/event/send", params=query, json=SEED_BODY),
        lambda status: {"code": status * 1_000},
    )


FAMILIES = {
    "own": partial(own_api, batch=False),
    "batch": partial(own_api, batch=True),
    "crmls": crmls,
    "exchange": exchange,
    "eventhos": eventhos,
}


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def refusal_of(answer: httpx.Response, publishing: Publishing, status: int) -> None:
    expected = publishing.refusal(status)
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert {name: body.get(name) for name in expected} == expected
    assert "quota of this client" in answer.text


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_refuses_in_its_own_shape_and_writes_nothing(
    gateway: RunningGateway, opened: ExitStack, family: str
) -> None:
    publishing = FAMILIES[family](gateway, opened)
    path = f"{V1}/quotas/clients/{publishing.client}"

    def stored() -> int:
        return gateway.records(publishing.workspace, publishing.namespace, publishing.code)

    with gateway.client(params={"workspace": publishing.workspace}) as admin:
        admin.put(path, json={"bytes": 1}).raise_for_status()
        refusal_of(publishing.post(), publishing, 413)
        assert stored() == 0
        if family == "crmls":
            # Nor is a type made of the message that was refused.
            assert admin.get(f"{V1}/event-types").json()["items"] == []
        admin.put(path, json={"requests": 1}).raise_for_status()
        accepted = 0
        while (answer := publishing.post()).is_success:
            accepted += 1
            assert accepted < 100, "nothing is refused"
        refusal_of(answer, publishing, 429)
        assert int(answer.headers["retry-after"]) >= 1
        assert stored() == accepted > 0
        items = admin.get(f"{V1}/quotas", params={"limit": 1_000}).raise_for_status().json()["items"]
        (shown,) = [each for each in items if each["client"] == publishing.client]
        assert shown["requests"]["refused"] >= 1
        assert shown["requests"]["per_second"] == 1
        assert shown["events"] is None
        admin.put(path, json={}).raise_for_status()
        assert publishing.post().is_success
        scraped = admin.get("/metrics").text
    assert 'headrace_ingest_over_quota_total{kind="requests",scope="client"}' in scraped


def test_a_client_sees_its_own_quota_and_no_others(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    client, key = gateway.create_client(workspace, "producer")
    gateway.create_client(workspace, "producer")
    with gateway.client() as admin:
        admin.put(f"{V1}/quotas/workspaces/{workspace}", json={"bytes": 5_000}).raise_for_status()
        seen = admin.get(f"{V1}/quotas", params={"workspace": workspace}).raise_for_status().json()["items"]
    assert sorted(each["scope"] for each in seen) == ["client", "client", "workspace"]
    assert [each["bytes"] for each in seen if each["scope"] == "workspace"] == [
        {
            "per_second": 5_000,
            "most_at_once": 2_000,
            "available": 2_000,
            "refused": 0,
            "refused_seconds_ago": None,
        }
    ]
    with gateway.client(key) as http:
        assert [each["client"] for each in http.get(f"{V1}/quotas").raise_for_status().json()["items"]] == [client]


@pytest.mark.parametrize(
    "body", [{"events": 0}, {"events": -1}, {"events": 1.5}, {"events": "10"}, {"events": True}, {"event": 1}, []]
)
def test_what_is_no_quota_is_refused(gateway: RunningGateway, body: Any) -> None:
    workspace = gateway.create_workspace()
    client, _ = gateway.create_client(workspace, "producer")
    with gateway.client(params={"workspace": workspace}) as admin:
        assert admin.put(f"{V1}/quotas/clients/{client}", json=body).status_code == 400
        assert admin.put(f"{V1}/quotas/workspaces/{workspace}", json=body).status_code == 400
        assert admin.put(f"{V1}/quotas/clients/nobody", json={}).status_code == 404
        assert admin.put(f"{V1}/quotas/workspaces/nowhere", json={}).status_code == 404
