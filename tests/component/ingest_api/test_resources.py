"""The own API's resources over HTTP: what is created can be read back, changed, listed in pages and deleted."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"


class Workplace(NamedTuple):
    gateway: RunningGateway
    name: str
    admin: httpx.Client
    subscriber: httpx.Client
    producer: httpx.Client


@pytest.fixture(scope="module")
def workplace(gateway: RunningGateway) -> Iterator[Workplace]:
    name = gateway.create_workspace()
    _, subscriber = gateway.create_client(name, "subscriber")
    _, producer = gateway.create_client(name, "producer")
    with (
        gateway.client(ADMIN_KEY, params={"workspace": name}) as admin,
        gateway.client(subscriber) as first,
        gateway.client(producer) as second,
    ):
        yield Workplace(gateway, name, admin, first, second)


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def paths(response: httpx.Response, status: int = 400) -> list[str]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [problem["path"] for problem in response.json().get("errors", [])]


def endpoint(http: httpx.Client, **members: Any) -> dict[str, Any]:
    return created(http.post(f"{V1}/endpoints", json={"name": "e", "url": "https://example.com/hook", **members}))


def event_filter(http: httpx.Client, **members: Any) -> dict[str, Any]:
    return created(http.post(f"{V1}/filters", json={"name": "f", "types": [{"code": "Offer"}], **members}))


def test_a_workspace_is_created_once_and_deleted_when_empty(workplace: Workplace) -> None:
    name = f"ws-{uuid4()}"
    with workplace.gateway.client() as admin:
        first = created(admin.post(f"{V1}/workspaces", json={"name": name}))

        assert created(admin.post(f"{V1}/workspaces", json={"name": name})) == first
        assert admin.get(f"{V1}/workspaces/{name}").json() == first
        assert workplace.producer.get(f"{V1}/workspaces/{name}").status_code == 403
        assert workplace.producer.post(f"{V1}/workspaces", json={"name": "x"}).status_code == 403
        assert admin.delete(f"{V1}/workspaces/{workplace.name}").status_code == 409
        assert admin.delete(f"{V1}/workspaces/{name}").status_code == 204
        assert admin.get(f"{V1}/workspaces/{name}").status_code == 404


def test_a_workspace_with_a_slash_in_its_name_is_read_and_deleted(workplace: Workplace) -> None:
    name = f"a/{uuid4()}"
    address = f"{V1}/workspaces/{name.replace('/', '%2F')}"
    with workplace.gateway.client() as admin:
        made = created(admin.post(f"{V1}/workspaces", json={"name": name}))

        assert admin.get(address).json() == made
        assert admin.delete(address).status_code == 204
        assert admin.get(address).status_code == 404


def test_a_client_is_changed_and_deleted(workplace: Workplace) -> None:
    client_id, key = workplace.gateway.create_client(workplace.name, "producer")
    address = f"{V1}/clients/{client_id}"
    with workplace.gateway.client(key) as http:
        assert http.get(address).json()["roles"] == ["producer"]
        assert http.patch(address, json={"roles": ["operator"]}).status_code == 403
        assert workplace.admin.patch(address, json={"disabled": True}).json()["disabled"] is True
        assert http.get(address).status_code == 401
        assert workplace.admin.patch(address, json={"disabled": False}).json()["roles"] == ["producer"]
        assert http.get(address).status_code == 200
        assert workplace.admin.delete(address).status_code == 204
        assert http.get(address).status_code == 401


def test_an_operator_makes_no_administrator(workplace: Workplace) -> None:
    _, key = workplace.gateway.create_client(workplace.name, "operator")
    with workplace.gateway.client(key) as operator:
        assert operator.post(f"{V1}/clients", json={"name": "a", "roles": ["admin"]}).status_code == 403
        assert created(operator.post(f"{V1}/clients", json={"name": f"p-{uuid4()}", "roles": ["producer"]}))
        assert operator.get(f"{V1}/clients", params={"workspace": "default"}).status_code == 403


def test_only_the_answer_that_issues_a_key_shows_it(workplace: Workplace) -> None:
    client_id, key = workplace.gateway.create_client(workplace.name, "producer")
    listed = workplace.admin.get(f"{V1}/clients/{client_id}/keys")

    (only,) = listed.json()["items"]
    assert only["hint"] == key[-4:]
    assert key not in listed.text
    assert "digest" not in listed.text
    assert workplace.admin.delete(f"{V1}/clients/{client_id}/keys/{uuid4()}").status_code == 404


def test_an_event_type_and_its_registrations(workplace: Workplace) -> None:
    code = f"Order/{uuid4()}"
    attributes = [{"name": "total", "type": "number", "required": True}]
    body = {"code": code, "attributes": attributes, "partition_key": "data.total", "partitions": 2}
    registration = created(workplace.producer.post(f"{V1}/registrations", json=body))

    assert registration["attributes"] == [{"name": "total", "type": "Number", "required": True}]
    assert created(workplace.producer.post(f"{V1}/registrations", json=body)) == registration
    address = f"{V1}/event-types/events/{code}"
    event_type = workplace.producer.get(address).json()
    assert (event_type["effective_partitions"], event_type["partition_key"]) == (2, "data.total")
    assert event_type["topic"].startswith(f"events.{workplace.name}.events.Order_2f")
    differing = {**body, "attributes": [{"name": "total", "type": "String"}]}
    assert workplace.producer.post(f"{V1}/registrations", json=differing).status_code == 409
    assert paths(workplace.producer.post(f"{V1}/registrations", json={**body, "attributes": [{"name": "x"}]})) == [
        "$.attributes[0].type"
    ]
    for_nobody = {**body, "client": str(uuid4())}
    assert workplace.admin.post(f"{V1}/registrations", json=for_nobody).status_code == 404
    own = f"{V1}/registrations/{registration['client']}/PUBLISH/events/{code}"
    more = [*attributes, {"name": "note", "type": "String"}]
    assert len(workplace.producer.patch(own, json={"attributes": more}).json()["attributes"]) == 2
    assert workplace.producer.get(address).json()["schema_id"] > event_type["schema_id"]
    assert workplace.subscriber.delete(own).status_code == 403
    assert workplace.admin.patch(address, json={"description": "d"}).json()["description"] == "d"
    assert workplace.producer.delete(address).status_code == 403
    assert workplace.admin.delete(address).status_code == 204
    assert workplace.producer.get(address).status_code == 404


def test_a_type_that_a_filter_is_changed_to_may_leave_its_namespace_out(workplace: Workplace) -> None:
    made = event_filter(workplace.admin, sources=["s"])

    changed = workplace.admin.patch(f"{V1}/filters/{made['id']}", json={"types": [{"code": "Order"}]})

    assert changed.status_code == 200, changed.text
    assert changed.json()["types"] == [{"namespace": "events", "code": "Order"}]
    assert changed.json()["sources"] == ["s"]


def test_changes_of_different_members_at_the_same_time_all_count(workplace: Workplace) -> None:
    address = f"{V1}/endpoints/{endpoint(workplace.admin)['id']}"
    filter_address = f"{V1}/filters/{event_filter(workplace.admin)['id']}"
    members = {"name": "n", "description": "d", "timeout": 7.0, "max_in_flight": 3, "method": "PUT"}
    filter_members = {"name": "n", "sources": ["s"], "channels": ["c"], "condition": {"data": {"x": [1]}}}
    changes = [(address, {name: value}) for name, value in members.items()]
    changes += [(filter_address, {name: value}) for name, value in filter_members.items()]
    with ThreadPoolExecutor(len(changes)) as threads:
        answers = list(threads.map(lambda change: workplace.admin.patch(change[0], json=change[1]), changes))

    assert [answer.status_code for answer in answers] == [200] * len(changes)
    assert workplace.admin.get(address).json().items() >= members.items()
    found = workplace.admin.get(filter_address).json()
    assert {name: found[name] for name in filter_members} == filter_members


def test_an_endpoint_shows_its_secret_once(workplace: Workplace) -> None:
    made = endpoint(workplace.subscriber, headers={"X-Api-Key": "hidden-value", "X-Team": "a"})
    address = f"{V1}/endpoints/{made['id']}"
    shown = workplace.subscriber.get(address)

    assert made["signing_secret"].startswith("whsec_")
    assert "whsec_" not in shown.text
    assert shown.json()["headers"] == {"X-Api-Key": "[hidden]", "X-Team": "a"}
    assert made["signing_secrets"] == shown.json()["signing_secrets"] == [{"expires_at": None}]
    rotated = workplace.subscriber.post(f"{address}/rotate-secret").json()["signing_secret"]
    assert rotated.startswith("whsec_")
    assert rotated != made["signing_secret"]


def test_a_secret_is_rotated_with_an_overlap_and_one_of_ones_own_brought_along(workplace: Workplace) -> None:
    own = "whsec_" + base64.b64encode(b"k" * 32).decode()
    made = endpoint(workplace.subscriber, signing_secret=own)
    address, rotate = f"{V1}/endpoints/{made['id']}", f"{V1}/endpoints/{made['id']}/rotate-secret"
    assert made["signing_secret"] == own

    for bad in ({"signing_secret": own}, {"signing_secret": "whsec_c2hvcnQ="}, {"signing_secret": "hrk_secret"}):
        assert paths(workplace.subscriber.post(rotate, json=bad)) == ["$.signing_secret"]
    for bad in ({"overlap": -1}, {"overlap": 7 * 86_400 + 1}, {"overlap": 1.5}):
        assert paths(workplace.subscriber.post(rotate, json=bad)) == ["$.overlap"]
    assert paths(workplace.subscriber.patch(address, json={"signing_secret": own})) == ["$.signing_secret"]

    before = datetime.now(UTC)
    rotated = workplace.subscriber.post(rotate, json={"overlap": 3_600}).raise_for_status().json()
    newest, older = rotated["signing_secrets"]
    assert newest == {"expires_at": None}
    left = datetime.fromisoformat(older["expires_at"]) - before
    assert timedelta(hours=1) <= left < timedelta(hours=1, minutes=10)
    shown = workplace.subscriber.get(address)
    assert shown.json()["signing_secrets"] == rotated["signing_secrets"]
    assert "whsec_" not in shown.text
    assert len(workplace.subscriber.post(rotate, json={"overlap": 0}).json()["signing_secrets"]) == 1


def test_an_endpoint_changes_only_what_is_sent(workplace: Workplace) -> None:
    made = endpoint(workplace.subscriber, max_in_flight=3)
    address = f"{V1}/endpoints/{made['id']}"
    changed = workplace.subscriber.patch(address, json={"enabled": False, "timeout": 2.5}).json()
    assert paths(workplace.subscriber.patch(address, json={"options": {"retries": "5"}})) == ["$.options.retries"]

    assert (changed["enabled"], changed["timeout"], changed["max_in_flight"]) == (False, 2.5, 3)
    assert workplace.subscriber.delete(address).status_code == 204
    assert workplace.subscriber.get(address).status_code == 404
    assert workplace.subscriber.delete(address).status_code == 404


def test_an_endpoint_has_a_rate_limit(workplace: Workplace) -> None:
    made = endpoint(workplace.subscriber, rate_limit={"per_second": 2.5})
    address = f"{V1}/endpoints/{made['id']}"
    assert made["rate_limit"] == {"per_second": 2.5, "burst": 3}

    changed = workplace.subscriber.patch(address, json={"rate_limit": {"per_second": 7, "burst": 1}}).json()
    assert changed["rate_limit"] == {"per_second": 7.0, "burst": 1}
    assert workplace.subscriber.patch(address, json={"description": "d"}).json()["rate_limit"] == changed["rate_limit"]
    assert workplace.subscriber.patch(address, json={"rate_limit": None}).json()["rate_limit"] is None
    assert workplace.subscriber.get(address).json()["rate_limit"] is None


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"url": "example.com"}, "$.url"),
        ({"url": "ftp://example.com/"}, "$.url"),
        ({"url": None}, "$.url"),
        ({"url": "https://user:password@example.com/"}, "$.url"),
        ({"name": ""}, "$.name"),
        ({"type": "PIGEON"}, "$.type"),
        ({"max_in_flight": 0}, "$.max_in_flight"),
        ({"rate_limit": {"per_second": 0}}, "$.rate_limit.per_second"),
        ({"rate_limit": {"per_second": 1, "burst": 0}}, "$.rate_limit.burst"),
        ({"rate_limit": {"burst": 5}}, "$.rate_limit.per_second"),
        ({"rate_limit": {"per_second": 1}, "type": "FILE", "url": None}, "$.rate_limit"),
        ({"unheard_of": 1}, "$.unheard_of"),
        ({"options": {"unlinked_at": "soon"}}, "$.options.unlinked_at"),
        ({"options": {"chanel": "x"}, "type": "WEB_SOCKET", "url": None}, "$.options.chanel"),
        ({"options": {"channel": "x"}}, "$.options.channel"),
        ({"options": {"channel": "x"}, "type": "FILE", "url": None}, "$.options.channel"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(workplace: Workplace, members: dict[str, Any], path: str) -> None:
    body = {"name": "e", "url": "https://example.com/hook", **members}

    assert paths(workplace.subscriber.post(f"{V1}/endpoints", json=body)) == [path]


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("endpoints", r'{"name": "e", "url": "https://example.com/", "headers": {"x": "\ud800"}}'),
        ("endpoints", r'{"name": "e", "url": "https://example.com/", "description": "\udfff"}'),
        ("filters", r'{"name": "f", "types": [{"code": "Offer"}], "identifiers": {"\uD83D": ["x"]}}'),
        ("subscriptions", r'{"filter": "\udc00", "endpoint": "x"}'),
    ],
)
def test_half_a_character_is_refused(workplace: Workplace, resource: str, body: str) -> None:
    headers = {"content-type": "application/json"}

    assert paths(workplace.subscriber.post(f"{V1}/{resource}", content=body, headers=headers)) == ["$"]


def test_a_delay_without_end_is_refused(workplace: Workplace) -> None:
    body = '{"name": "e", "url": "https://example.com/", "retry_schedule": [5, 1e400]}'
    headers = {"content-type": "application/json"}

    refused = workplace.subscriber.post(f"{V1}/endpoints", content=body, headers=headers)
    assert paths(refused) == ["$.retry_schedule[1]"]


def test_a_character_that_is_spelt_in_two_halves_is_kept(workplace: Workplace) -> None:
    body = r'{"name": "e", "url": "https://example.com/", "description": "\uD83D\uDE00"}'
    headers = {"content-type": "application/json"}
    made = workplace.subscriber.post(f"{V1}/endpoints", content=body, headers=headers)

    assert created(made)["description"] == "\U0001f600"


@pytest.mark.parametrize(
    ("resource", "body", "change"),
    [
        ("endpoints", {"name": "e", "url": "https://example.com/"}, {"max_in_flight": 2}),
        ("filters", {"name": "f", "types": [{"code": "Offer"}]}, {"sources": ["a"]}),
    ],
)
def test_a_repeat_with_the_same_key_creates_nothing(
    workplace: Workplace, resource: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    http, headers = workplace.subscriber, {"idempotency-key": str(uuid4())}
    first = created(http.post(f"{V1}/{resource}", json=body, headers=headers))
    again = created(http.post(f"{V1}/{resource}", json=body, headers=headers))

    assert again == first | ({"signing_secret": None} if "signing_secret" in first else {})
    assert paths(http.post(f"{V1}/{resource}", json=body | change, headers=headers), 422) == []
    assert created(http.post(f"{V1}/{resource}", json=body))["id"] != first["id"]
    http.patch(f"{V1}/{resource}/{first['id']}", json=change).raise_for_status()
    assert created(http.post(f"{V1}/{resource}", json=body, headers=headers))["id"] == first["id"]


def test_a_body_over_the_limit_is_refused(workplace: Workplace) -> None:
    body = b'{"name": "' + b"x" * 9_000_000 + b'"}'
    headers = {"content-type": "application/json"}

    assert paths(workplace.subscriber.post(f"{V1}/endpoints", content=body, headers=headers), 413) == []
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    assert paths(workplace.subscriber.post(f"{V1}/endpoints", content=pieces, headers=headers), 413) == []


def test_a_filter_keeps_its_condition(workplace: Workplace) -> None:
    condition = {"data": {"total": [{"numeric": [">=", 100]}]}}
    made = event_filter(workplace.subscriber, condition=condition, identifiers={"email": ["a@example.com"]})
    address = f"{V1}/filters/{made['id']}"

    assert workplace.subscriber.get(address).json()["condition"] == condition
    changed = workplace.subscriber.patch(address, json={"condition": None}).json()
    assert changed["condition"] is None
    assert changed["identifiers"] == {"email": ["a@example.com"]}
    assert workplace.subscriber.delete(address).status_code == 204


def test_a_condition_that_cannot_be_compiled_is_refused_with_its_position(workplace: Workplace) -> None:
    body = {"name": "f", "types": [{"code": "Offer"}], "condition": {"data": {"total": [{"numeric": [">>", 1]}]}}}
    (path,) = paths(workplace.subscriber.post(f"{V1}/filters", json=body))

    assert path.startswith("$.condition.data.total[0]")
    endless = b'{"name": "f", "types": [{"code": "Offer"}], "condition": {"data": {"total": [NaN]}}}'
    as_json = {"content-type": "application/json"}
    assert paths(workplace.subscriber.post(f"{V1}/filters", content=endless, headers=as_json)) == ["$.condition"]


def test_linking_is_idempotent_and_ends_with_either_end(workplace: Workplace) -> None:
    http = workplace.subscriber
    ends = {"filter": event_filter(http)["id"], "endpoint": endpoint(http)["id"]}
    link = created(http.post(f"{V1}/subscriptions", json=ends))

    assert created(http.post(f"{V1}/subscriptions", json=ends)) == link
    assert link["linked_at"]
    assert link.pop("backfill") is None
    assert http.get(f"{V1}/subscriptions", params={"endpoint": ends["endpoint"]}).json()["items"] == [link]
    address = f"{V1}/subscriptions/{link['id']}"
    assert http.patch(address, json={"enabled": False}).json()["enabled"] is False
    again = http.patch(address, json={"enabled": True}).json()
    assert datetime.fromisoformat(again["linked_at"]) > datetime.fromisoformat(link["linked_at"])
    assert http.delete(f"{V1}/endpoints/{ends['endpoint']}").status_code == 204
    assert http.get(address).status_code == 404
    assert paths(http.post(f"{V1}/subscriptions", json=ends), 404) == []


def test_others_resources_are_not_to_be_seen(workplace: Workplace) -> None:
    mine = endpoint(workplace.subscriber)
    _, key = workplace.gateway.create_client(workplace.name, "subscriber")
    with workplace.gateway.client(key) as other:
        assert other.get(f"{V1}/endpoints").json()["items"] == []
        assert other.get(f"{V1}/endpoints/{mine['id']}").status_code == 404
        theirs = {"filter": event_filter(other)["id"], "endpoint": mine["id"]}
        assert other.post(f"{V1}/subscriptions", json=theirs).status_code == 404
    assert workplace.producer.get(f"{V1}/endpoints").status_code == 403
    assert workplace.admin.get(f"{V1}/endpoints/{mine['id']}").status_code == 200


def test_lists_come_in_pages(workplace: Workplace) -> None:
    _, key = workplace.gateway.create_client(workplace.name, "subscriber")
    with workplace.gateway.client(key) as http:
        made = [endpoint(http)["id"] for _ in range(5)]
        found, cursor = [], None
        for _ in range(3):
            page = http.get(f"{V1}/endpoints", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
            found += [each["id"] for each in page["items"]]
            cursor = page["next_cursor"]
        assert found == made
        assert cursor is None
        assert paths(http.get(f"{V1}/endpoints", params={"cursor": "?"})) == ["cursor"]
        assert paths(http.get(f"{V1}/endpoints", params={"limit": 0})) == ["limit"]


def test_the_ledger_answers_for_events_that_it_does_not_have(workplace: Workplace) -> None:
    assert paths(workplace.producer.get(f"{V1}/events/{uuid4()}"), 404) == []
    assert workplace.producer.get(f"{V1}/events").json() == {"items": [], "next_cursor": None}
    for no_time in ("yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert paths(workplace.producer.get(f"{V1}/events", params={"since": no_time})) == ["since"]


def test_the_openapi_document_has_every_route(workplace: Workplace) -> None:
    document = workplace.admin.get("/openapi.json").json()

    assert {"post", "get"} <= document["paths"][f"{V1}/events"].keys()
    assert "post" in document["paths"]["/api/app/events"]
    assert {"apiKey", "crmlsToken"} <= document["components"]["securitySchemes"].keys()
    references = {each for each in str(document).split("'") if each.startswith("#/components/schemas/")}
    assert references
    assert all(each.rsplit("/", 1)[1] in document["components"]["schemas"] for each in references)


def test_metrics_and_health(workplace: Workplace) -> None:
    assert workplace.admin.get("/healthz").json() == {"status": "ok"}
    assert workplace.admin.get("/readyz").json() == {"status": "ready"}
    metrics = workplace.admin.get("/metrics").text
    assert "headrace_ingest_requests_total" in metrics
    assert workplace.name not in metrics


def test_credentials_of_an_endpoint_are_kept_and_not_shown(workplace: Workplace) -> None:
    http = workplace.subscriber
    oauth = {"type": "client_credentials", "user": "me", "secret": "s3cret", "token_url": "https://login.example/token"}
    key = {"Idempotency-Key": str(uuid4())}
    body = {"name": "e", "url": "https://example.com/hook", "authorization": oauth}
    answer = http.post(f"{V1}/endpoints", json=body, headers=key)

    made = created(answer)
    none = {"scope": None, "audience": None, "parameters": {}}
    shown = {"type": "client_credentials", "user": "me", "token_url": "https://login.example/token", **none}
    assert made["authorization"] == shown
    # The same again, though its secrets are sealed into another text.
    assert created(http.post(f"{V1}/endpoints", json=body, headers=key))["id"] == made["id"]
    other = body | {"authorization": oauth | {"secret": "another"}}
    assert http.post(f"{V1}/endpoints", json=other, headers=key).status_code == 422

    address = f"{V1}/endpoints/{made['id']}"
    changed = http.patch(address, json={"authorization": {"type": "basic", "user": "u", "secret": "s3cret"}})
    assert changed.json()["authorization"] == {"type": "basic", "user": "u", "token_url": None, **none}
    assert http.patch(address, json={"description": "d"}).json()["authorization"]["type"] == "basic"
    assert http.patch(address, json={"authorization": None}).json()["authorization"] is None
    assert "s3cret" not in answer.text + changed.text + http.get(f"{V1}/endpoints").text


@pytest.mark.parametrize(
    ("authorization", "path"),
    [
        ({"type": "api_key"}, "secret"),
        ({"type": "api_key", "secret": "a\nb"}, "secret"),
        ({"type": "basic", "secret": "x"}, "user"),
        ({"type": "basic", "user": "a:b", "secret": "x"}, "user"),
        ({"type": "client_credentials", "user": "u", "secret": "x"}, "token_url"),
        ({"type": "client_credentials", "user": "u", "secret": "x", "token_url": "https://a:b/"}, "token_url"),
        ({"type": "refresh_token", "token_url": "https://login.example/token"}, "refresh_token"),
        ({"type": "digest", "secret": "x"}, "type"),
        ({"type": "api_key", "secret": "x", "password": "y"}, "password"),
    ],
)
def test_credentials_that_cannot_be_used(workplace: Workplace, authorization: dict[str, Any], path: str) -> None:
    body = {"name": "e", "url": "https://example.com/hook", "authorization": authorization}
    assert paths(workplace.subscriber.post(f"{V1}/endpoints", json=body)) == [f"$.authorization.{path}"]
    made = endpoint(workplace.subscriber)
    address = f"{V1}/endpoints/{made['id']}"
    assert paths(workplace.subscriber.patch(address, json={"authorization": authorization})) == [
        f"$.authorization.{path}"
    ]
