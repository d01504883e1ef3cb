"""Changes of our own API that do only a part of what their caller may expect: the answer says which part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

V1 = "/headrace/v1"
TOTAL = {"name": "total", "type": "Number"}
NOTE = {"name": "note", "type": "String"}


class Team:
    """An operator, a producer and a subscriber of one workspace."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.workspace = gateway.create_workspace()
        self.producer_id, key = gateway.create_client(self.workspace, "producer")
        self.producer = gateway.client(key)
        self.operator = gateway.client(gateway.create_client(self.workspace, "operator", "subscriber")[1])

    def close(self) -> None:
        self.producer.close()
        self.operator.close()

    def event_type(self, *attributes: dict[str, str], **members: Any) -> str:
        code = f"Order-{uuid4()}"
        body = {"code": code, "attributes": attributes} | members
        self.producer.post(f"{V1}/event-types", json=body).raise_for_status()
        return code

    def publish(self, code: str, data: Any) -> httpx.Response:
        event = {"specversion": "1.0", "type": code, "data": data}
        return self.producer.post(f"{V1}/events", json=event, headers={"content-type": "application/cloudevents+json"})

    def change(self, code: str, *attributes: dict[str, str]) -> httpx.Response:
        return self.operator.patch(f"{V1}/event-types/events/{code}", json={"attributes": attributes})

    def filter(self, condition: Any = None, **members: Any) -> httpx.Response:
        return self.operator.post(f"{V1}/filters", json={"name": "f", "condition": condition} | members)


@pytest.fixture(scope="module")
def team(gateway: RunningGateway) -> Iterator[Team]:
    made = Team(gateway)
    yield made
    made.close()


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(each["name"] for each in answer.json()["attributes"])


def test_one_call_evolves_a_type_and_the_registration_of_its_author(team: Team) -> None:
    code = team.event_type(TOTAL)
    changed = team.change(code, TOTAL, NOTE)
    assert (names(changed), changed.json()["warnings"]) == (["note", "total"], [])
    assert team.publish(code, {"total": 1, "note": "n"}).status_code == 201

    removed = team.change(code, TOTAL)
    assert names(removed) == ["total"]
    assert names(team.operator.get(f"{V1}/event-types/events/{code}")) == ["total"]
    assert team.publish(code, {"total": 1, "note": "n"}).status_code == 400
    assert team.publish(code, {"total": 1}).status_code == 201


def test_a_registration_that_does_not_follow_is_named(team: Team) -> None:
    code = team.event_type(TOTAL)
    other_id, other_key = team.gateway.create_client(team.workspace, "producer")
    with team.gateway.client(other_key) as other:
        other.post(f"{V1}/registrations", json={"code": code, "attributes": [NOTE]}).raise_for_status()

    changed = team.change(code, TOTAL, NOTE)
    warnings = changed.json()["warnings"]
    assert any(team.producer_id in each and "note" in each for each in warnings), warnings
    assert any(other_id in each and "total" in each for each in warnings), warnings

    refused = team.change(code, TOTAL)
    assert refused.status_code == 409
    assert other_id in refused.json()["detail"]
    assert "note" in refused.json()["detail"]
    assert names(team.operator.get(f"{V1}/event-types/events/{code}")) == ["note", "total"]


def test_a_filter_on_what_is_not_there_is_warned_of(team: Team) -> None:
    code = team.event_type(TOTAL)
    types = [{"code": code}]
    missing = team.filter(types=[{"code": f"nobody-{uuid4()}"}])
    assert missing.status_code == 201
    (warning,) = missing.json()["warnings"]
    assert "There is no event type events/nobody-" in warning
    for condition, path in (
        ({"data": {"note": ["x"]}}, "$.condition.data.note"),
        (
            {"$or": [{"data": {"total": [1]}}, {"$not": {"data": {"a b": ["x"]}}}]},
            "$.condition.$or[1].$not.data['a b']",
        ),
        ({"$or": [{"data": {"total": [1]}}, {"extensions": {"myExt": ["x"]}}]}, "$.condition.$or[1].extensions.myExt"),
        ({"extensions": {"clientid": ["x"]}}, "$.condition.extensions.clientid"),
    ):
        refused = team.filter(condition, types=types)
        assert refused.status_code == 400
        assert [each["path"] for each in refused.json()["errors"]] == [path]

    good = team.filter({"data": {"total": [1]}, "extensions": {"region": ["eu"]}}, types=types)
    assert (good.status_code, good.json()["warnings"]) == (201, [])
    address = f"{V1}/filters/{good.json()['id']}"
    assert team.operator.patch(address, json={"condition": {"data": {"note": [1]}}}).status_code == 400
    assert team.operator.patch(address, json={"types": [{"code": "later"}]}).json()["warnings"]
    for wide in ([{"code": "*", "namespace": "*"}], [{"code": team.event_type(open=True)}]):
        answer = team.filter({"data": {"anything": [1]}}, types=wide)
        assert (answer.status_code, answer.json()["warnings"]) == (201, [])
    mixed = team.filter({"data": {"note": [1]}}, types=[*types, {"code": team.event_type(NOTE)}])
    assert mixed.status_code == 201
    assert mixed.json()["warnings"] == [f"$.condition.data.note is not an attribute of events/{code}."]
    absent = team.filter({"data": {"note": [{"exists": False}]}}, types=types)
    assert (absent.status_code, len(absent.json()["warnings"])) == (201, 1)


def test_what_is_disabled_says_that_events_are_dropped(team: Team) -> None:
    made = team.operator.post(f"{V1}/endpoints", json={"name": "e", "url": "https://example.com/"}).json()
    address = f"{V1}/endpoints/{made['id']}"
    assert team.operator.get(address).json()["warnings"] == []
    for answer in (
        team.operator.patch(address, json={"enabled": False}),
        team.operator.patch(address, json={"description": "d"}),
        team.operator.get(address),
    ):
        (warning,) = answer.json()["warnings"]
        assert "dropped for it" in warning
    (warning,) = team.operator.patch(address, json={"enabled": True}).json()["warnings"]
    assert "were dropped" in warning
    assert team.operator.patch(address, json={"enabled": True}).json()["warnings"] == []

    event_filter = team.filter(types=[{"code": "*", "namespace": "*"}]).json()["id"]
    link = team.operator.post(f"{V1}/subscriptions", json={"filter": event_filter, "endpoint": made["id"]}).json()
    changed = team.operator.patch(f"{V1}/subscriptions/{link['id']}", json={"enabled": False})
    assert "does not bring them back" in changed.json()["warnings"][0]


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"type": "FILE", "authorization": {"type": "api_key", "secret": "s"}}, ["$.authorization"]),
        ({"type": "WEB_SOCKET", "url": "https://example.com/", "headers": {"a": "b"}}, ["$.url", "$.headers"]),
        (
            {"url": "https://example.com/", "authorization": {"type": "api_key", "secret": "s", "user": "u"}},
            ["$.authorization.user"],
        ),
        (
            {
                "url": "https://example.com/",
                "authorization": {"type": "basic", "user": "u", "secret": "s", "token_url": "https://example.com/"},
            },
            ["$.authorization.token_url"],
        ),
    ],
)
def test_credentials_that_would_be_sent_nowhere_are_refused(
    team: Team, members: dict[str, Any], places: list[str]
) -> None:
    answer = team.operator.post(f"{V1}/endpoints", json={"name": "e"} | members)
    assert answer.status_code == 400, answer.text
    assert [each["path"] for each in answer.json()["errors"]] == places
