"""The key for browsers: cases A-43 and A-130 to A-139 of the Exchange document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.exchange_publishing import EMAIL

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.exchange_account import ExchangeEndpoint
    from tests.support.exchange_publishing import Publishing

CUSTOM_EVENT = "/v1/customEvent"
ORIGIN = "https://shop.example"


def info(endpoint: ExchangeEndpoint) -> dict[str, str]:
    with endpoint.client() as http:
        found: dict[str, str] = http.get(f"/v1/endpoint/{endpoint.id}/eventinfo").raise_for_status().json()
    return found


@pytest.fixture
def browser(publisher: ExchangeEndpoint) -> Iterator[httpx.Client]:
    """A page of a shop, with the publisher's eventAuthKey."""
    with publisher.account.gateway.client(info(publisher)["eventAuthKey"], headers={"Origin": ORIGIN}) as http:
        yield http


def assert_error(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["message", "code", "errors"]
    assert answer.json()["code"] == status


def test_A_43_the_key_for_browsers_does_not_publish_as_the_endpoint(
    publishing: Publishing, browser: httpx.Client
) -> None:
    assert_error(browser.post("/v1/event", json=publishing.individual()), 403)
    assert publishing.publisher.account.stored(publishing.code) == 0


def test_A_130_a_key_for_browsers(publisher: ExchangeEndpoint) -> None:
    found = info(publisher)
    assert list(found) == ["endpointId", "eventAuthKey"]
    assert found["endpointId"] == publisher.id
    assert found["eventAuthKey"] not in {"", publisher.key}


def test_A_131_the_same_key_every_time(publisher: ExchangeEndpoint) -> None:
    assert info(publisher) == info(publisher)


def test_A_131_another_one_after_a_revocation(publisher: ExchangeEndpoint) -> None:
    account = publisher.account
    endpoint = account.endpoint(source=True)
    before = info(endpoint)["eventAuthKey"]
    with account.gateway.client(params={"workspace": account.workspace}) as admin:
        path = f"/headrace/v1/clients/{endpoint.id}/keys"
        (key,) = [each for each in admin.get(path).json()["items"] if each["use"] == "browser"]
        assert before not in admin.get(path).text
        assert admin.delete(f"{path}/{key['id']}").status_code == 204
    with account.gateway.client(before) as http:
        assert_error(http.post(CUSTOM_EVENT, json={}), 401)
    assert info(endpoint)["eventAuthKey"] != before


def test_A_132_another_endpoints_id(publisher: ExchangeEndpoint) -> None:
    account = publisher.account
    other = account.endpoint(source=True)
    with other.client() as http:
        assert_error(http.get(f"/v1/endpoint/{publisher.id}/eventinfo"), 403)
        assert_error(http.get("/v1/endpoint/unknown/eventinfo"), 404)
    with account.gateway.client(account.account_key) as http:
        assert_error(http.get(f"/v1/endpoint/{publisher.id}/eventinfo"), 403)


def test_A_133_no_key(publisher: ExchangeEndpoint) -> None:
    for key in (None, "unknown:US"):
        with publisher.account.gateway.client(key) as http:
            assert_error(http.get(f"/v1/endpoint/{publisher.id}/eventinfo"), 401)
            assert_error(http.post(CUSTOM_EVENT, json={}), 401)


def test_A_134_a_browser_publishes(publishing: Publishing, browser: httpx.Client) -> None:
    answer = browser.post(CUSTOM_EVENT, json=publishing.individual())
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1})
    (event,) = publishing.publisher.account.events(publishing.code)
    assert event.source == publishing.publisher.id


def test_A_134_in_a_batch_too(publishing: Publishing, browser: httpx.Client) -> None:
    events = [publishing.event(channel="Web", identifiers=[EMAIL])] * 2
    assert browser.post(CUSTOM_EVENT, json={"events": events}).json() == {"accepted": 2}
    undated = publishing.event(timestamp=None, channel="Web")
    batch = {"provider": "Acoustic", "eventbatch": [{"identifiers": [EMAIL], "events": [undated]}]}
    assert browser.post(CUSTOM_EVENT, json=batch).json() == {"accepted": 1}


def test_A_135_the_endpoints_own_key_is_not_for_browsers(publishing: Publishing) -> None:
    assert_error(publishing.http.post(CUSTOM_EVENT, json=publishing.individual()), 403)
    account = publishing.publisher.account
    with account.gateway.client(account.account_key) as http:
        assert_error(http.post(CUSTOM_EVENT, json=publishing.individual()), 403)
    assert account.stored(publishing.code) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/eventtype"),
        ("POST", "/v1/eventtype"),
        ("DELETE", "/v1/eventtype/code"),
        ("GET", "/v1/eventtype/subscribed"),
        ("GET", "/v1/eventtype/subscribed/consumer"),
        ("PUT", "/v1/eventtype/attributes/publisher/{id}"),
        ("GET", "/v1/eventfiles"),
        ("GET", "/v1/eventfiles/name"),
        ("GET", "/v1/endpoint"),
        ("GET", "/v1/endpoint/{id}"),
        ("PUT", "/v1/endpoint"),
        ("GET", "/v1/endpoint/{id}/eventinfo"),
        ("POST", "/v1/application"),
        ("PUT", "/v1/subscription/notification"),
        ("DELETE", "/v1/subscription/notification"),
    ],
)
def test_A_136_the_key_is_good_for_nothing_else(
    publisher: ExchangeEndpoint, browser: httpx.Client, method: str, path: str
) -> None:
    json = {} if method in {"PUT", "POST"} else None
    assert_error(browser.request(method, path.format(id=publisher.id), json=json), 403)


def test_A_136_nor_in_another_family(browser: httpx.Client) -> None:
    assert browser.get("/headrace/v1/endpoints").status_code == 401


def test_A_137_the_rules_of_the_document_hold(publishing: Publishing, browser: httpx.Client) -> None:
    bodies = [
        publishing.individual(publishing.event(identifiers=[EMAIL])),
        publishing.individual(channel=None),
        publishing.individual(publishing.event(channel="Web")),
        publishing.individual(publishing.event(code="unknown")),
        {},
    ]
    for body in bodies:
        publishing.check_refused(browser.post(CUSTOM_EVENT, json=body))


def test_A_138_a_browser_may_ask_first_whatever_its_page(publisher: ExchangeEndpoint) -> None:
    asking = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with publisher.account.gateway.client(None, headers=asking) as http:
        answer = http.options(CUSTOM_EVENT)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] in {"*", ORIGIN}
        assert "POST" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed
        assert "content-type" in allowed
        # Elsewhere only the origins count that the installation names.
        assert "access-control-allow-origin" not in http.options("/v1/event").headers


def test_A_139_a_page_may_read_the_answer(publishing: Publishing, browser: httpx.Client) -> None:
    taken = browser.post(CUSTOM_EVENT, json=publishing.individual())
    refused = browser.post(CUSTOM_EVENT, json={})
    for answer, status in ((taken, 200), (refused, 400)):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] in {"*", ORIGIN}


def test_browsers_of_an_endpoint_that_is_no_source(publisher: ExchangeEndpoint) -> None:
    consumer = publisher.account.endpoint(destination={"enabled": True, "destinationType": "pull"})
    with publisher.account.gateway.client(info(consumer)["eventAuthKey"]) as http:
        assert_error(http.post(CUSTOM_EVENT, json={}), 403)
