"""``headrace fixtures`` on a running gateway: everybody it prints can do what the conformance cases have them do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.running_gateway import ADMIN_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running_gateway import RunningGateway


def fixtures(gateway: RunningGateway, directory: Path) -> dict[str, dict[str, Any]]:
    environment = {
        **os.environ,
        "HEADRACE_HTTP_PORT": gateway.url.rsplit(":", 1)[1],
        "HEADRACE_ADMIN_KEY": ADMIN_KEY,
        "HEADRACE_DATA_DIR": str(directory),
    }
    command = [sys.executable, "-m", "operations", "fixtures", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=240, check=True)
    made: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return made


@pytest.fixture(scope="module")
def runs(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    """What two runs printed, one after the other; in between, cases were tried that change what the first one made."""
    directory = tmp_path_factory.mktemp("fixtures")
    first = fixtures(gateway, directory)
    try_cases(gateway, first)
    return [first, fixtures(gateway, directory)]


def try_cases(gateway: RunningGateway, made: dict[str, dict[str, Any]]) -> None:
    with gateway.client(made["PUB"]["key"]) as http:
        attributes = f"/v1/eventtype/attributes/publisher/{made['PUB']['id']}"
        http.put(attributes, json=[{"name": "a", "type": "String"}]).raise_for_status()
        http.put("/v1/endpoint", json={"name": "another name"}).raise_for_status()
    with gateway.client(made["C1"]["key"]) as http:
        http.put(f"/contract/{made['EV']['contract']}", json={"active": False}).raise_for_status()
        http.put(f"/auth/client/{made['C2']['id']}/revoke", json={"revoke": True}).raise_for_status()
        http.put(f"/system/{made['S1']['id']}", json={"clientId": None}).raise_for_status()
    with gateway.client(made["U"]["key"]) as http:
        http.get("/events/deprovision").raise_for_status()
    with gateway.client(params={"workspace": made["U"]["workspace"]}) as admin:
        admin.patch(f"/headrace/v1/clients/{made['U']['id']}", json={"scopes": []}).raise_for_status()
    with gateway.client(made["W1"]["key"]) as http:
        change = "mutation ($id: ID!) { updateEventFilters(eventFiltersId: $id, eventFiltersInput: {in: {}}) { id } }"
        query = {"query": change, "variables": {"id": made["F1"]["id"]}}
        assert "errors" not in http.post("/event-service/graphql", json=query).json()


@pytest.fixture(scope="module")
def made(runs: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The fixtures with the keys that are good."""
    return runs[-1]


def test_a_second_run_makes_them_again_what_they_were_with_new_keys(
    gateway: RunningGateway, runs: list[dict[str, dict[str, Any]]]
) -> None:
    first, second = runs

    eventhos = {"C1", "C2", "S1", "S2", "EV", "EV2"}
    assert first.keys() == {"KEY", *eventhos, "O", "U", "O2", "U2", "ACCOUNT", "PUB", "SUB", "PULL", "W1", "W2", "F1"}
    fresh = {"key", "client_secret", "operator_key"}
    for name, properties in first.items():
        kept = {member: value for member, value in properties.items() if member not in fresh}
        assert kept == {member: value for member, value in second[name].items() if member not in fresh}
    with gateway.client(first["PUB"]["key"]) as http:
        assert http.get("/v1/eventtype").status_code == 401


def test_the_exchange_endpoints_have_their_roles(gateway: RunningGateway, made: dict[str, dict[str, Any]]) -> None:
    with gateway.client(made["PUB"]["key"]) as http:
        event = {
            "code": made["PUB"]["event_type"],
            "timestamp": "2015-02-28T20:16:12Z",
            "attributes": [{"name": "productID", "value": "P-1"}, {"name": "orderTotal", "value": "125.50"}],
        }
        identifiers = [{"name": name, "value": "x"} for name in made["PUB"]["identifiers"]]
        body = {"channel": "Web", "identifiers": identifiers, "events": [event]}
        assert http.post("/v1/event", json=body).json() == {"accepted": 1}
        assert [one["name"] for one in http.get("/v1/endpoint").json()] == [made["PUB"]["name"]]
    for name, destination in (("SUB", "push"), ("PULL", "pull")):
        with gateway.client(made[name]["key"]) as http:
            (shown,) = http.get("/v1/endpoint").json()
            assert shown["endpointId"] == made[name]["id"]
            assert shown["endpointTypes"]["event"]["destination"]["enabled"] is True
            assert shown["endpointTypes"]["event"]["destination"]["destinationType"] == destination
            assert [one["registrationType"] for one in http.get("/v1/eventtype").json()] == ["SUBSCRIBE"]
    with gateway.client(made["ACCOUNT"]["key"]) as http:
        ids = {one["endpointId"] for one in http.get("/v1/endpoint").json()}
        assert ids >= {made[name]["id"] for name in ("PUB", "SUB", "PULL")}


def test_the_envoy_users_may_see_their_organisations_shipments(
    gateway: RunningGateway, made: dict[str, dict[str, Any]]
) -> None:
    for organisation, user in (("O", "U"), ("O2", "U2")):
        channel = f"shipments:{made[organisation]['id']}#{made[user]['id']}"
        with gateway.client(made[user]["key"]) as http:
            answer = http.request("GET", "/events/subscription_token", json={"channel": channel})
            assert answer.json().keys() == {"token"}
        with gateway.client(made[organisation]["key"]) as http:
            event = {"specversion": "1.0", "id": "1", "source": "test", "type": made[organisation]["event_type"]}
            event |= {"data": {"id": "shp_1", "status": "delivered"}}
            structured = {"Content-Type": "application/cloudevents+json"}
            assert http.post("/headrace/v1/events", json=event, headers=structured).status_code in {200, 201}


def test_the_eventhos_clients_send_their_own_events(gateway: RunningGateway, made: dict[str, dict[str, Any]]) -> None:
    codes = {}
    for client in ("C1", "C2"):
        for event in ("EV", "EV2"):
            query = {"event-identifier": made[event]["identifier"]}
            headers = {"access-key": made[client]["key"]}
            with gateway.client(None) as http:
                codes[client, event] = http.post("/event/send", params=query, headers=headers, json={}).json()["code"]
    assert codes == {("C1", "EV"): 200000, ("C1", "EV2"): 200310, ("C2", "EV"): 401202, ("C2", "EV2"): 401202}
    with gateway.client(made["C1"]["key"]) as http:
        assert http.get(f"/system/{made['S1']['id']}").json()["content"]["client_id"] == made["C1"]["id"]
    with gateway.client(made["C2"]["key"]) as http:
        assert http.get("/event").status_code == 401


def test_the_event_service_keys_see_their_workspace_and_the_filter(
    gateway: RunningGateway, made: dict[str, dict[str, Any]]
) -> None:
    query = {"query": "{ eventsFilters { collectionItems { id name meta workspaceId } } }"}
    found = {}
    for name in ("W1", "W2"):
        with gateway.client(made[name]["key"]) as http:
            found[name] = http.post("/event-service/graphql", json=query).json()["data"]["eventsFilters"]
        headers = {"ce-specversion": "1.0", "ce-type": made[name]["event_types"][0]}
        with gateway.client(made[name]["operator_key"]) as http:
            assert http.post("/headrace/v1/events", json={"cameraId": "c1"}, headers=headers).status_code == 201
    shown = {"id": made["F1"]["id"], "name": "F1", "workspaceId": made["W1"]["id"]}
    shown["meta"] = {"in": {"eventTypes": made["F1"]["event_types"]}}
    assert found == {"W1": {"collectionItems": [shown]}, "W2": {"collectionItems": []}}
