"""Endpoints and applications of the Exchange document, against a running gateway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint, refused


@pytest.fixture
def endpoint(exchange: ExchangeAccount) -> ExchangeEndpoint:
    """An endpoint that has registered nothing."""
    return exchange.endpoint(source=True, identifiers=("email",))


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


def test_credentials_of_a_push_destination_go_to_no_other_server(exchange: ExchangeAccount) -> None:
    endpoint = exchange.endpoint(destination={"enabled": True, "url": "https://a.example/x"})
    given = {"authorization": {"type": "api_key", "secret": "s3cret"}, "headers": {"X-Api-Key": "s3cret"}}
    address = f"/headrace/v1/endpoints/{endpoint.id}"
    with (
        exchange.gateway.client(params={"workspace": exchange.workspace}) as admin,
        endpoint.client() as http,
    ):
        admin.patch(address, json=given).raise_for_status()
        for server, kept in (("a", True), ("b", False)):
            destination = {"enabled": True, "url": f"https://{server}.example/y"}
            assert http.put("/v1/endpoint", json=definition(None, destination)).status_code == 200
            found = admin.get(address).json()
            assert found["url"] == f"https://{server}.example/y/v1/events"
            assert (found["authorization"] is not None, bool(found["headers"])) == (kept, kept)


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
