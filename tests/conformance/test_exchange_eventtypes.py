"""Event types, endpoints and applications of the Exchange document, case by case, against a running gateway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.exchange_account import ExchangeAccount, ExchangeEndpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

MEMBERS = ["code", "version", "namespace", "name", "description", "attributes", "registrationType"]


@pytest.fixture
def endpoint(exchange: ExchangeAccount) -> ExchangeEndpoint:
    """An endpoint that has registered nothing."""
    return exchange.endpoint(source=True, identifiers=("email",))


@pytest.fixture
def http(endpoint: ExchangeEndpoint) -> Iterator[httpx.Client]:
    with endpoint.client() as client:
        yield client


def whole(**changes: Any) -> dict[str, Any]:
    """An event type with all members; None leaves one out."""
    body = {
        "code": f"code-{uuid4()}",
        "name": "Product view",
        "description": "Somebody looked at a product.",
        "namespace": "partner",
        "version": 1,
        "registrationType": "PUBLISH",
        "attributes": [{"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "number"}],
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def listed(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/eventtype").raise_for_status().json()
    return found


def refused(answer: httpx.Response, status: int, *paths: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert list(error) == ["message", "code", "errors"]
    assert error["code"] == status
    assert {one["path"] for one in error["errors"]} >= set(paths)


def test_A_50_an_event_type_with_all_members(http: httpx.Client) -> None:
    body = whole()

    assert http.post("/v1/eventtype", json=body).status_code == 200
    (shown,) = listed(http)
    attributes = [{"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "Number"}]
    assert shown == body | {"attributes": attributes}


def test_A_51_only_code_and_name(http: httpx.Client) -> None:
    body = {"code": f"code-{uuid4()}", "name": "Product view"}

    assert http.post("/v1/eventtype", json=body).status_code == 200
    (shown,) = listed(http)
    assert (shown["version"], shown["registrationType"], shown["attributes"]) == (1, "PUBLISH", [])
    assert shown["code"] == body["code"]


@pytest.mark.parametrize("member", ["code", "name"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_A_52_code_and_name_are_required(http: httpx.Client, member: str, value: object) -> None:
    refused(http.post("/v1/eventtype", json=whole(**{member: value})), 400, f"$.{member}")
    assert listed(http) == []


@pytest.mark.parametrize("version", ["1", "one", True])
def test_A_53_the_version_is_a_number(http: httpx.Client, version: object) -> None:
    refused(http.post("/v1/eventtype", json=whole(version=version)), 400, "$.version")


@pytest.mark.parametrize("version", [2, 0, 1.5, -1])
def test_A_54_there_is_only_version_1(http: httpx.Client, version: float) -> None:
    refused(http.post("/v1/eventtype", json=whole(version=version)), 400, "$.version")


@pytest.mark.parametrize("kind", ["BOTH", "publish", "", 7])
def test_A_55_other_registration_types(http: httpx.Client, kind: object) -> None:
    refused(http.post("/v1/eventtype", json=whole(registrationType=kind)), 400, "$.registrationType")


def test_A_56_an_event_type_that_is_received(http: httpx.Client) -> None:
    assert http.post("/v1/eventtype", json=whole(registrationType="SUBSCRIBE")).status_code == 200

    assert [one["registrationType"] for one in listed(http)] == ["SUBSCRIBE"]


@pytest.mark.parametrize("member", ["name", "type"])
def test_A_57_an_attribute_has_name_and_type(http: httpx.Client, member: str) -> None:
    attribute = {name: value for name, value in {"name": "a", "type": "String"}.items() if name != member}

    refused(http.post("/v1/eventtype", json=whole(attributes=[attribute])), 400, f"$.attributes[0].{member}")
    assert listed(http) == []


@pytest.mark.parametrize("type_", ["integer", "json", "decimal(4,2)", "Date", "", 7])
def test_A_58_other_attribute_types(http: httpx.Client, type_: object) -> None:
    attributes = [{"name": "a", "type": "String"}, {"name": "b", "type": type_}]

    refused(http.post("/v1/eventtype", json=whole(attributes=attributes)), 400, "$.attributes[1].type")


def test_A_58_an_attribute_that_is_listed_twice(http: httpx.Client) -> None:
    attributes = [{"name": "a", "type": "String"}, {"name": "a", "type": "Number"}]

    refused(http.post("/v1/eventtype", json=whole(attributes=attributes)), 400, "$.attributes[1].name")


def test_A_59_the_same_twice_is_listed_once(http: httpx.Client) -> None:
    body = whole()
    answers = [http.post("/v1/eventtype", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(listed(http)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": [{"name": "productID", "type": "String"}]},
        {"attributes": [{"name": "productID", "type": "Number"}, {"name": "orderTotal", "type": "Number"}]},
        {"attributes": None},
        {"name": "Another name"},
    ],
)
def test_A_60_the_same_code_with_something_different(http: httpx.Client, change: dict[str, Any]) -> None:
    body = whole()
    http.post("/v1/eventtype", json=body).raise_for_status()

    refused(http.post("/v1/eventtype", json={name: value for name, value in (body | change).items() if value}), 409)
    (shown,) = listed(http)
    assert [one["name"] for one in shown["attributes"]] == ["productID", "orderTotal"]


def test_A_61_a_code_may_be_registered_in_another_namespace_and_for_the_other_direction(http: httpx.Client) -> None:
    body = whole()
    other = body | {"namespace": "another", "attributes": [{"name": "productID", "type": "Number"}]}
    received = body | {"registrationType": "SUBSCRIBE"}

    assert [http.post("/v1/eventtype", json=one).status_code for one in (body, other, received)] == [200, 200, 200]
    assert [(one["namespace"], one["registrationType"]) for one in listed(http)] == [
        ("partner", "PUBLISH"),
        ("another", "PUBLISH"),
        ("partner", "SUBSCRIBE"),
    ]


def test_A_62_a_recognised_code(http: httpx.Client) -> None:
    body = whole(code="ibmproductView", namespace=None)

    assert http.post("/v1/eventtype", json=body).status_code == 200
    assert [one["code"] for one in listed(http)] == ["ibmproductView"]


def test_A_63_the_members_of_an_event_type(http: httpx.Client) -> None:
    http.post("/v1/eventtype", json=whole()).raise_for_status()

    (shown,) = listed(http)
    assert list(shown) == MEMBERS
    assert type(shown["version"]) is int
    assert all(list(one) == ["name", "type"] for one in shown["attributes"])


def test_A_64_each_endpoint_has_its_own(exchange: ExchangeAccount, http: httpx.Client) -> None:
    body = whole()
    http.post("/v1/eventtype", json=body).raise_for_status()
    other = exchange.endpoint(source=True)
    with other.client() as others:
        assert listed(others) == []
        fewer = body | {"attributes": body["attributes"][:1], "name": "Mine"}
        assert others.post("/v1/eventtype", json=fewer).status_code == 200
        assert [len(one["attributes"]) for one in listed(others)] == [1]
        assert others.post("/v1/eventtype", json=body).status_code == 409
    assert [len(one["attributes"]) for one in listed(http)] == [2]


def test_A_64_one_attribute_has_one_type_in_the_account(exchange: ExchangeAccount, http: httpx.Client) -> None:
    body = whole()
    http.post("/v1/eventtype", json=body).raise_for_status()
    with exchange.endpoint(source=True).client() as others:
        answer = others.post("/v1/eventtype", json=body | {"attributes": [{"name": "orderTotal", "type": "String"}]})

    refused(answer, 409)
    assert "orderTotal" in answer.json()["message"]


def test_A_65_a_consumers_event_types(exchange: ExchangeAccount) -> None:
    consumer = exchange.endpoint(destination={"enabled": True, "destinationType": "pull"})
    code = f"code-{uuid4()}"
    assert consumer.register(code, registrationType="SUBSCRIBE").status_code == 200
    with consumer.client() as http:
        assert [(one["code"], one["registrationType"]) for one in listed(http)] == [(code, "SUBSCRIBE")]


def test_A_66_none_registered(http: httpx.Client) -> None:
    answer = http.get("/v1/eventtype")

    assert answer.status_code == 200
    assert answer.json() == []


def test_an_endpoint_level_key_is_needed(exchange: ExchangeAccount) -> None:
    for key, status in ((None, 401), ("1234-abcd-5678-efgh", 401), (exchange.account_key, 403)):
        with exchange.gateway.client(key) as http:
            refused(http.get("/v1/eventtype"), status)
            refused(http.post("/v1/eventtype", json=whole()), status)


@pytest.mark.parametrize("content", ["{", "{“code”:“x”}", "[]", '"x"', ""])
def test_a_body_that_is_no_event_type(http: httpx.Client, content: str) -> None:
    answer = http.post("/v1/eventtype", content=content.encode(), headers={"content-type": "application/json"})

    refused(answer, 400)


def definition(name: str | None, destination: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    roles = {"event": {"source": {"enabled": True}, "destination": destination or {"enabled": False}}}
    body = {"name": name, "endpointTypes": roles} | members
    return {member: value for member, value in body.items() if value is not None}


def test_an_account_level_key_registers_endpoints(exchange: ExchangeAccount) -> None:
    name = f"endpoint-{uuid4()}"
    people = {"marketingDatabases": [{"name": "p", "identifiers": [{"name": "email", "type": "EMAIL"}]}]}
    with exchange.gateway.client(exchange.account_key) as http:
        body = definition(name, description="d", marketingDatabasesDefinition=people)
        made = http.put("/v1/endpoint", json=body).raise_for_status().json()
        key = made.pop("authenticationKey")
        assert http.get(f"/v1/endpoint/{made['endpointId']}").json() == made
        assert made in http.get("/v1/endpoint").json()
        again = http.put("/v1/endpoint", json=body | {"description": "e"}).raise_for_status().json()
    assert again == made | {"description": "e"}
    assert made["endpointTypes"]["event"]["source"] == {"enabled": True}
    assert made["marketingDatabasesDefinition"]["marketingDatabases"][0]["identifiers"] == [
        {"name": "email", "type": "EMAIL"}
    ]
    with exchange.gateway.client(key) as http:
        assert [one["endpointId"] for one in http.get("/v1/endpoint").json()] == [made["endpointId"]]


def test_registrations_of_one_name_at_once_make_one_endpoint(exchange: ExchangeAccount) -> None:
    body = definition(f"endpoint-{uuid4()}")
    with exchange.gateway.client(exchange.account_key) as http, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: http.put("/v1/endpoint", json=body), range(8)))
    made = [answer.raise_for_status().json() for answer in answers]

    assert len({one["endpointId"] for one in made}) == 1
    assert sum("authenticationKey" in one for one in made) == 1


def test_an_endpoint_changes_itself_and_no_other(exchange: ExchangeAccount, endpoint: ExchangeEndpoint) -> None:
    other = exchange.endpoint()
    with endpoint.client() as http:
        push = {"enabled": True, "url": "https://shop.example/x"}
        changed = http.put("/v1/endpoint", json=definition(None, push)).raise_for_status().json()
        assert (changed["endpointId"], changed["name"]) == (endpoint.id, endpoint.name)
        assert changed["endpointTypes"]["event"]["destination"] == push | {"destinationType": "push"}
        refused(http.put("/v1/endpoint", json=definition(other.name)), 409)
        refused(http.get(f"/v1/endpoint/{other.id}"), 403)
        refused(http.get(f"/v1/endpoint/{uuid4()}"), 404)


def test_a_role_that_is_not_enabled_again_is_lost(endpoint: ExchangeEndpoint) -> None:
    with endpoint.client() as http:
        http.put("/v1/endpoint", json={"description": "roles are not spoken of"}).raise_for_status()
        event = http.get(f"/v1/endpoint/{endpoint.id}").json()["endpointTypes"]["event"]
        assert event["source"] == {"enabled": True}
        pull = {"event": {"destination": {"enabled": True, "destinationType": "pull"}}}
        http.put("/v1/endpoint", json={"endpointTypes": pull}).raise_for_status()
        event = http.get(f"/v1/endpoint/{endpoint.id}").json()["endpointTypes"]["event"]
        assert event["source"] == {"enabled": False}
        assert event["destination"] == {"enabled": True, "destinationType": "pull", "url": None}
        http.put("/v1/endpoint", json={"endpointTypes": {}}).raise_for_status()
        event = http.get(f"/v1/endpoint/{endpoint.id}").json()["endpointTypes"]["event"]
        assert event["destination"]["enabled"] is False


def test_a_deleted_endpoint_receives_no_more(exchange: ExchangeAccount, endpoint: ExchangeEndpoint) -> None:
    consumer = exchange.endpoint(destination={"enabled": True, "destinationType": "pull"})
    subscription = exchange.subscribe(consumer, endpoint, f"code-{uuid4()}")
    with exchange.gateway.client(params={"workspace": exchange.workspace}) as admin:
        assert admin.get(f"/headrace/v1/endpoints/{consumer.id}").json()["type"] == "FILE"
        assert admin.delete(f"/headrace/v1/clients/{consumer.id}").status_code == 204
        assert admin.get(f"/headrace/v1/endpoints/{consumer.id}").status_code == 404
        assert admin.get(f"/headrace/v1/subscriptions/{subscription}").status_code == 404
    with consumer.client() as http:
        refused(http.get("/v1/eventtype"), 401)


@pytest.mark.parametrize("url", [None, "shop.example/x", "ftp://shop.example/x", "http://"])
def test_a_push_destination_needs_an_absolute_url(endpoint: ExchangeEndpoint, url: str | None) -> None:
    destination = {"enabled": True} | ({} if url is None else {"url": url})
    with endpoint.client() as http:
        answer = http.put("/v1/endpoint", json=definition(None, destination))

    refused(answer, 400, "$.endpointTypes.event.destination.url")


def test_an_application_has_endpoints_of_its_own(exchange: ExchangeAccount) -> None:
    provider = f"provider-{uuid4()}"
    with exchange.gateway.client(exchange.account_key) as http:
        made = http.post("/v1/application", json={"providerName": provider}).raise_for_status().json()
        foreign = exchange.endpoint()
        assert "authenticationKey" not in http.post("/v1/application", json={"providerName": provider}).json()
    with exchange.gateway.client(made["authenticationKey"]) as http:
        own = http.put("/v1/endpoint", json=definition(f"endpoint-{uuid4()}")).raise_for_status().json()
        assert own["providerName"] == provider
        assert [one["endpointId"] for one in http.get("/v1/endpoint").json()] == [own["endpointId"]]
        refused(http.get(f"/v1/endpoint/{foreign.id}"), 403)
        refused(http.put("/v1/endpoint", json=definition(foreign.name)), 409)
        refused(http.post("/v1/application", json={}), 400, "$.providerName")
    with exchange.gateway.client(own["authenticationKey"]) as http:
        refused(http.post("/v1/application", json={"providerName": provider}), 403)
    with exchange.gateway.client(None) as http:
        refused(http.put("/v1/endpoint", json=definition("x")), 401)


class TestDeployments:
    """``PUT /v1/endpoint/{applicationid}/{deploymentid}``."""

    @pytest.fixture
    def application(self, exchange: ExchangeAccount) -> dict[str, Any]:
        body = {
            "providerName": f"provider-{uuid4()}",
            "hashAlgorithm": "SHA256",
            "endpointTypes": {"event": {"source": {"enabled": True}}},
            "marketingDatabasesDefinition": {"marketingDatabases": [{"name": "p", "identifiers": [{"name": "email"}]}]},
        }
        with exchange.gateway.client(exchange.account_key) as http:
            made: dict[str, Any] = http.post("/v1/application", json=body).raise_for_status().json()
        return made

    def test_an_endpoint_takes_over_what_its_application_has(
        self, exchange: ExchangeAccount, application: dict[str, Any]
    ) -> None:
        path = f"/v1/endpoint/{application['applicationId']}/shop%207"
        with exchange.gateway.client(application["authenticationKey"]) as http:
            answer = http.put(path, json={"description": "first"})
            assert answer.status_code == 200, answer.text
            made = answer.json()
            again = http.put(path, json={"description": "second"}).json()
            assert http.get(f"/v1/endpoint/{made['endpointId']}").json() == again
        assert made["name"] == f"{application['providerName']} shop 7"
        assert made["providerName"] == application["providerName"]
        assert made["endpointTypes"]["event"]["source"] == {"enabled": True}
        assert again == {name: value for name, value in made.items() if name != "authenticationKey"} | {
            "description": "second"
        }
        publisher = ExchangeEndpoint(account=exchange, id=made["endpointId"], key=made["authenticationKey"], name="")
        code = f"code-{uuid4()}"
        publisher.register(code).raise_for_status()
        event = {"code": code, "timestamp": "2015-02-28T20:16:12Z"}
        body = {"channel": "Web", "identifiers": [{"name": "email", "value": "x"}], "events": [event]}
        with publisher.client() as http:
            assert http.post("/v1/event", json=body).json() == {"accepted": 1}

    def test_each_deployment_is_an_endpoint(self, exchange: ExchangeAccount, application: dict[str, Any]) -> None:
        name = f"endpoint-{uuid4()}"
        pull = {"event": {"destination": {"enabled": True, "destinationType": "pull"}}}
        with exchange.gateway.client(exchange.account_key) as http:
            base = f"/v1/endpoint/{application['applicationId']}"
            first = http.put(f"{base}/1", json={"name": name, "endpointTypes": pull}).json()
            refused(http.put(f"{base}/2", json={"name": name}), 409)
            second = http.put(f"{base}/2", json={}).json()
        assert first["name"] == name
        assert first["endpointTypes"]["event"]["source"] == {"enabled": False}
        assert first["endpointTypes"]["event"]["destination"]["destinationType"] == "pull"
        assert second["endpointId"] != first["endpointId"]

    def test_other_keys_and_applications(self, exchange: ExchangeAccount, application: dict[str, Any]) -> None:
        path = f"/v1/endpoint/{application['applicationId']}/1"
        with exchange.endpoint(source=True).client() as http:
            refused(http.put(path, json={}), 403)
        with exchange.gateway.client(exchange.application_key) as http:
            refused(http.put(path, json={}), 403)
        with exchange.gateway.client(exchange.account_key) as http:
            refused(http.put("/v1/endpoint/unknown/1", json={}), 404)
            refused(http.put(path, json={"endpointTypes": {"event": {"source": {"enabled": "yes"}}}}), 400)
        with exchange.gateway.client(None) as http:
            refused(http.put(path, json={}), 401)


def test_what_is_defined_of_identifiers_is_shown_as_it_was_given(exchange: ExchangeAccount) -> None:
    databases = [
        {
            "id": "7",
            "name": "people",
            "identifiers": [{"name": "email", "type": "EMAIL", "isRequired": True}, {"name": "cookieId"}],
            "attributes": [{"name": "city", "type": "STRING", "isRequired": False}],
        },
        {"name": "phones", "identifiers": [{"name": "phone", "type": "PHONE"}]},
    ]
    definition = {"marketingDatabases": databases}
    body = {"name": f"endpoint-{uuid4()}", "hashAlgorithm": "NONE", "marketingDatabasesDefinition": definition}
    with exchange.gateway.client(exchange.account_key) as http:
        made = http.put("/v1/endpoint", json=body).raise_for_status().json()
        assert made["hashAlgorithm"] == "NONE"
        assert made["marketingDatabasesDefinition"] == definition
        # What is left out stays.
        same = http.put("/v1/endpoint", json={"name": body["name"], "description": "d"}).json()
        assert (same["hashAlgorithm"], same["marketingDatabasesDefinition"]) == ("NONE", definition)
