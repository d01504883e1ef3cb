"""Event types of the Exchange document, case by case, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint, refused

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
