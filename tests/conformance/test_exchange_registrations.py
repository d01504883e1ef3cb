"""Who consumes what, replaced attributes, and removed event types: cases A-68 to A-90 of the Exchange document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.exchange_account import ATTRIBUTES
from tests.support.exchange_publishing import EMAIL, WHEN

if TYPE_CHECKING:
    import httpx

    from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint

SUBSCRIBED = "/v1/eventtype/subscribed"
PULL = {"enabled": True, "destinationType": "pull"}
MEMBERS = ["code", "version", "namespace", "name", "description", "attributes", "registrationType"]


class Market:
    """PUB with two codes, of which SUB has subscribed to the first."""

    def __init__(self, account: ExchangeAccount) -> None:
        self.account = account
        self.pub = account.endpoint(source=True, identifiers=("email",), provider="Acme")
        self.sub = account.endpoint(destination=PULL)
        self.code, self.other = f"ibmproductView-{uuid4()}", f"unwanted-{uuid4()}"
        for code in (self.code, self.other):
            self.pub.register(code, description="Looked at").raise_for_status()
        self.subscription = account.subscribe(self.sub, self.pub, self.code)

    def enable(self, *, enabled: bool) -> None:
        with self.account.gateway.client(params={"workspace": self.account.workspace}) as admin:
            path = f"/headrace/v1/subscriptions/{self.subscription}"
            admin.patch(path, json={"enabled": enabled}).raise_for_status()


@pytest.fixture
def market(exchange: ExchangeAccount) -> Market:
    return Market(exchange)


@pytest.fixture(scope="module")
def settled(exchange: ExchangeAccount) -> Market:
    """A market that no test changes."""
    return Market(exchange)


def get(endpoint: ExchangeEndpoint, path: str, **params: str) -> Any:
    with endpoint.client() as http:
        answer = http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def registered(endpoint: ExchangeEndpoint) -> dict[str, dict[str, Any]]:
    return {f"{each['registrationType']} {each['code']}": each for each in get(endpoint, "/v1/eventtype")}


def refused(answer: httpx.Response, status: int, *paths: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert list(error) == ["message", "code", "errors"]
    assert error["code"] == status
    assert [one["path"] for one in error["errors"]] == list(paths)


def post_event(endpoint: ExchangeEndpoint, code: str, *names: str) -> httpx.Response:
    attributes = [{"name": name, "value": "1"} for name in names]
    event = {"code": code, "timestamp": WHEN, "attributes": attributes}
    with endpoint.client() as http:
        return http.post("/v1/event", json={"channel": "Web", "identifiers": [EMAIL], "events": [event]})


def test_A_67_nobody_has_subscribed(exchange: ExchangeAccount) -> None:
    pub = exchange.endpoint(source=True)
    pub.register(f"code-{uuid4()}").raise_for_status()
    assert get(pub, SUBSCRIBED) == []
    assert get(pub, f"{SUBSCRIBED}/producer") == []
    assert get(exchange.endpoint(destination=PULL), f"{SUBSCRIBED}/consumer") == []


def test_A_68_the_codes_that_have_subscribers(settled: Market) -> None:
    assert get(settled.pub, SUBSCRIBED) == [settled.code]


@pytest.mark.parametrize("path", ["", "/producer"])
def test_A_69_the_path_as_the_example_calls_spell_it(settled: Market, path: str) -> None:
    assert get(settled.pub, f"/v1/eventype/subscribed{path}") == get(settled.pub, SUBSCRIBED + path)


def test_A_70_the_event_types_that_have_subscribers(settled: Market) -> None:
    (shown,) = get(settled.pub, f"{SUBSCRIBED}/producer")
    assert list(shown) == MEMBERS
    assert shown == registered(settled.pub)[f"PUBLISH {settled.code}"]


def test_A_71_what_a_consumer_receives(settled: Market) -> None:
    (shown,) = get(settled.sub, f"{SUBSCRIBED}/consumer")
    assert list(shown) == MEMBERS
    expected = registered(settled.pub)[f"PUBLISH {settled.code}"] | {"registrationType": "SUBSCRIBE"}
    assert shown == expected


def test_A_72_with_publisher_and_provider(settled: Market) -> None:
    (shown,) = get(settled.sub, f"{SUBSCRIBED}/consumer", extrafields="provider,publisher")
    assert list(shown) == [*MEMBERS, "publisher", "provider"]
    assert (shown["publisher"], shown["provider"]) == (settled.pub.name, "Acme")


@pytest.mark.parametrize("name", ["provider", "publisher"])
def test_A_73_with_one_of_them(settled: Market, name: str) -> None:
    (shown,) = get(settled.sub, f"{SUBSCRIBED}/consumer", extrafields=name)
    assert list(shown) == [*MEMBERS, name]


def test_A_73_an_unknown_field(settled: Market) -> None:
    with settled.sub.client() as http:
        refused(http.get(f"{SUBSCRIBED}/consumer", params={"extrafields": "publisher,colour"}), 400, "extrafields")


def test_A_74_two_publishers_of_one_code_are_two_entries(market: Market) -> None:
    second = market.account.endpoint(source=True, provider="Other")
    second.register(market.code).raise_for_status()
    market.account.subscribe(market.sub, second, market.code)
    shown = get(market.sub, f"{SUBSCRIBED}/consumer", extrafields="publisher,provider")
    named = [(each["code"], each["publisher"], each["provider"]) for each in shown]
    assert named == [(market.code, market.pub.name, "Acme"), (market.code, second.name, "Other")]
    assert get(second, SUBSCRIBED) == [market.code]


def test_A_75_a_disabled_subscription_does_not_count(market: Market) -> None:
    market.enable(enabled=False)
    assert get(market.pub, SUBSCRIBED) == []
    assert get(market.pub, f"{SUBSCRIBED}/producer") == []
    assert get(market.sub, f"{SUBSCRIBED}/consumer") == []
    market.enable(enabled=True)
    assert get(market.pub, SUBSCRIBED) == [market.code]


def test_subscribed_a_destination_that_receives_no_more_does_not_count(market: Market) -> None:
    with market.sub.client() as http:
        http.put("/v1/endpoint", json={"endpointTypes": {"event": {}}}).raise_for_status()
    assert get(market.pub, SUBSCRIBED) == []


def test_subscribed_by_a_filter_on_a_namespace_and_any_source(market: Market) -> None:
    code = f"code-{uuid4()}"
    market.pub.register(code, namespace="partner").raise_for_status()
    sub = market.account.endpoint(destination=PULL)
    with market.account.gateway.client(params={"workspace": market.account.workspace}) as admin:
        body = {"name": "all of it", "types": [{"namespace": "partner", "code": "*"}]}
        made = admin.post("/headrace/v1/filters", json=body).raise_for_status().json()
        admin.post("/headrace/v1/subscriptions", json={"filter": made["id"], "endpoint": sub.id}).raise_for_status()
    assert set(get(market.pub, SUBSCRIBED)) == {market.code, code}
    assert code in [each["code"] for each in get(sub, f"{SUBSCRIBED}/consumer")]


def test_subscribed_shows_types_of_our_own_in_the_documents_words(market: Market) -> None:
    code = f"code-{uuid4()}"
    client, _ = market.account.gateway.create_client(market.account.workspace, "producer")
    with market.account.gateway.client(params={"workspace": market.account.workspace}) as admin:
        attributes = [{"name": name, "type": name} for name in ("integer", "decimal(9,2)", "json", "Time")]
        body = {"code": code, "attributes": attributes, "client": client}
        admin.post("/headrace/v1/registrations", json=body).raise_for_status()
        body = {"name": "own", "types": [{"namespace": "events", "code": code}]}
        made = admin.post("/headrace/v1/filters", json=body).raise_for_status().json()
        link = {"filter": made["id"], "endpoint": market.sub.id}
        admin.post("/headrace/v1/subscriptions", json=link).raise_for_status()
    shown = get(market.sub, f"{SUBSCRIBED}/consumer")
    assert [each["type"] for each in shown[-1]["attributes"]] == ["Number", "Number", "String", "Time"]


def test_subscribed_with_a_key_of_another_kind(settled: Market) -> None:
    for path in (SUBSCRIBED, f"{SUBSCRIBED}/producer", f"{SUBSCRIBED}/consumer"):
        other = settled.pub if path.endswith("consumer") else settled.sub
        with other.client() as http:
            refused(http.get(path), 403)
        with settled.account.gateway.client(settled.account.account_key) as http:
            refused(http.get(path), 403)
        with settled.account.gateway.client(None) as http:
            refused(http.get(path), 401)


def replaced(market: Market, method: str) -> None:
    with market.pub.client() as http:
        path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
        answer = http.request(method, path, json=[{"name": "a", "type": "string"}])
    assert answer.status_code == 200, answer.text
    shown = registered(market.pub)
    assert [each["attributes"] for each in shown.values()] == [[{"name": "a", "type": "String"}]] * 2
    assert answer.json() == list(shown.values())


def test_A_76_the_attributes_of_a_publisher_are_replaced(market: Market) -> None:
    replaced(market, "PUT")


def test_A_78_with_post_as_in_the_example_call(market: Market) -> None:
    replaced(market, "POST")


def test_A_77_only_the_new_attributes_can_be_published(market: Market) -> None:
    with market.pub.client() as http:
        path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
        http.put(path, json=[{"name": "a", "type": "Number"}]).raise_for_status()
    refused(post_event(market.pub, market.code, "productID"), 400, "$.events[0].attributes[0]")
    assert post_event(market.pub, market.code, "a").json() == {"accepted": 1}
    assert market.account.stored(market.code) == 1


@pytest.mark.parametrize("narrowing", ["parameter", "member"])
def test_A_79_one_code_only(market: Market, narrowing: str) -> None:
    attributes = [{"name": "a", "type": "String"}]
    with market.pub.client() as http:
        path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
        if narrowing == "parameter":
            answer = http.put(path, json=attributes, params={"code": market.code, "namespace": "exchange"})
        else:
            answer = http.put(path, json={"code": market.code, "attributes": attributes})
        assert [each["code"] for each in answer.json()] == [market.code]
        refused(http.put(path, json=attributes, params={"code": "unknown"}), 404)
    shown = registered(market.pub)
    assert shown[f"PUBLISH {market.code}"]["attributes"] == attributes
    assert shown[f"PUBLISH {market.other}"]["attributes"] == list(ATTRIBUTES)


def test_A_80_the_attributes_of_a_subscriber(market: Market) -> None:
    market.sub.register(market.code, registrationType="SUBSCRIBE").raise_for_status()
    with market.sub.client() as http:
        path = f"/v1/eventtype/attributes/subscriber/{market.sub.id}"
        answer = http.put(path, json=[{"name": "orderTotal", "type": "Number"}])
    assert answer.status_code == 200
    assert registered(market.sub)[f"SUBSCRIBE {market.code}"]["attributes"] == [
        {"name": "orderTotal", "type": "Number"}
    ]
    # What the publisher sends is its own.
    assert registered(market.pub)[f"PUBLISH {market.code}"]["attributes"] == list(ATTRIBUTES)
    assert post_event(market.pub, market.code, "productID").status_code == 200


def test_A_80_an_endpoint_that_has_registered_nothing(exchange: ExchangeAccount) -> None:
    sub = exchange.endpoint(destination=PULL)
    with sub.client() as http:
        answer = http.put(f"/v1/eventtype/attributes/subscriber/{sub.id}", json=[{"name": "a", "type": "String"}])
    assert (answer.status_code, answer.json()) == (200, [])


def test_A_81_another_endpoints_id(settled: Market) -> None:
    second = settled.account.endpoint(source=True)
    with second.client() as http:
        for kind, endpoint in (("publisher", settled.pub), ("subscriber", settled.sub)):
            refused(http.put(f"/v1/eventtype/attributes/{kind}/{endpoint.id}", json=[]), 403)
        refused(http.put(f"/v1/eventtype/attributes/publisher/{uuid4()}", json=[]), 404)
    assert registered(settled.pub)[f"PUBLISH {settled.code}"]["attributes"] == list(ATTRIBUTES)


def test_A_82_the_wrong_kind(settled: Market) -> None:
    with settled.pub.client() as http:
        refused(http.put(f"/v1/eventtype/attributes/subscriber/{settled.pub.id}", json=[]), 400, "id")
    with settled.sub.client() as http:
        refused(http.put(f"/v1/eventtype/attributes/publisher/{settled.sub.id}", json=[]), 400, "id")


def test_A_83_no_attributes(market: Market) -> None:
    with market.pub.client() as http:
        path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
        assert http.put(path, json=[]).status_code == 200
    assert [each["attributes"] for each in registered(market.pub).values()] == [[], []]
    refused(post_event(market.pub, market.code, "productID"), 400, "$.events[0].attributes[0]")
    assert post_event(market.pub, market.code).status_code == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([{"name": "a", "type": "String"}, {"name": "b"}], "$[1].type"),
        ([{"type": "String"}], "$[0].name"),
        ([{"name": "", "type": "String"}], "$[0].name"),
        ([{"name": "a", "type": "integer"}], "$[0].type"),
        ([{"name": "a", "type": 1}], "$[0].type"),
        ([{"name": "a", "type": "String"}] * 2, "$.attributes[1].name"),
        (["a"], "$[0]"),
        ({"code": "x"}, "$.attributes"),
        ({"attributes": [{"name": "b"}]}, "$.attributes[0].type"),
        ("a", "$"),
    ],
)
def test_A_84_attributes_that_are_none(settled: Market, body: Any, path: str) -> None:
    with settled.pub.client() as http:
        refused(http.put(f"/v1/eventtype/attributes/publisher/{settled.pub.id}", json=body), 400, path)
    assert registered(settled.pub)[f"PUBLISH {settled.code}"]["attributes"] == list(ATTRIBUTES)


def test_attributes_of_a_type_that_another_endpoint_has_otherwise_stay(market: Market) -> None:
    second = market.account.endpoint(source=True)
    second.register(market.code, attributes=[{"name": "x", "type": "Number"}]).raise_for_status()
    with market.pub.client() as http:
        path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
        refused(http.put(path, json=[{"name": "x", "type": "String"}]), 409)
    # Neither of the two codes has changed.
    assert [each["attributes"] for each in registered(market.pub).values()] == [list(ATTRIBUTES)] * 2


def test_attributes_with_a_key_of_the_account(market: Market) -> None:
    path = f"/v1/eventtype/attributes/publisher/{market.pub.id}"
    with market.account.gateway.client(market.account.account_key) as http:
        assert http.put(path, json=[]).status_code == 200
    with market.account.gateway.client(market.account.application_key) as http:
        refused(http.put(path, json=[]), 403)
    with market.account.gateway.client(None) as http:
        refused(http.put(path, json=[]), 401)


def test_A_85_an_event_type_is_removed(market: Market) -> None:
    with market.pub.client() as http:
        answer = http.delete(f"/v1/eventtype/{market.code}")
        assert (answer.status_code, answer.text) == (200, "true")
        assert [each["code"] for each in http.get("/v1/eventtype").json()] == [market.other]
    assert get(market.pub, SUBSCRIBED) == []


def test_A_86_once_only(market: Market) -> None:
    with market.pub.client() as http:
        http.delete(f"/v1/eventtype/{market.code}").raise_for_status()
        answer = http.delete(f"/v1/eventtype/{market.code}")
    assert (answer.status_code, answer.text) == (200, "false")


def test_A_89_a_removed_event_type_can_be_published_no_more(market: Market) -> None:
    with market.pub.client() as http:
        http.delete(f"/v1/eventtype/{market.code}").raise_for_status()
    refused(post_event(market.pub, market.code, "productID"), 400, "$.events[0].code")
    assert market.account.stored(market.code) == 0


@pytest.mark.parametrize("key", ["unknown:US", None, "account", "application"])
def test_A_87_a_key_that_may_not(settled: Market, key: str | None) -> None:
    account = settled.account
    levels = {"account": account.account_key, "application": account.application_key}
    with account.gateway.client(levels.get(key, key) if key else None) as http:
        refused(http.delete(f"/v1/eventtype/{settled.code}"), 403)
    assert f"PUBLISH {settled.code}" in registered(settled.pub)


def test_A_88_another_endpoints_registration_stays(market: Market) -> None:
    second = market.account.endpoint(source=True)
    with second.client() as http:
        assert http.delete(f"/v1/eventtype/{market.code}").text == "false"
    second.register(market.code).raise_for_status()
    with second.client() as http:
        assert http.delete(f"/v1/eventtype/{market.code}").text == "true"
    assert post_event(market.pub, market.code, "productID").status_code == 200


@pytest.mark.parametrize("name", ["a b", "ä/ö", "50%", "x?y#z", "subscribed", "attributes/publisher/x"])
def test_A_90_a_code_with_characters_that_are_encoded(exchange: ExchangeAccount, name: str) -> None:
    pub = exchange.endpoint(source=True)
    pub.register(name).raise_for_status()
    with pub.client() as http:
        assert http.delete(f"/v1/eventtype/{quote(name, safe='')}").text == "true"
        assert http.get("/v1/eventtype").json() == []


def test_delete_both_kinds_of_a_code(exchange: ExchangeAccount) -> None:
    both = exchange.endpoint(source=True, destination=PULL)
    code = f"code-{uuid4()}"
    both.register(code).raise_for_status()
    both.register(code, registrationType="SUBSCRIBE").raise_for_status()
    with both.client() as http:
        assert http.delete(f"/v1/eventtype/{code}").text == "true"
    assert registered(both) == {}


def test_delete_a_code_of_several_namespaces(exchange: ExchangeAccount) -> None:
    pub = exchange.endpoint(source=True)
    code = f"code-{uuid4()}"
    for namespace in ("one", "two"):
        pub.register(code, namespace=namespace).raise_for_status()
    with pub.client() as http:
        refused(http.delete(f"/v1/eventtype/{code}"), 400, "namespace")
        assert http.delete(f"/v1/eventtype/{code}", params={"namespace": "one"}).text == "true"
        assert http.delete(f"/v1/eventtype/{code}").text == "true"
    assert registered(pub) == {}
