"""``POST /v1/event`` of the Exchange document, case by case, against a running gateway on real Kafka."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from schemas.event import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from schemas.codec import DecodedEvent
    from tests.exchange_account import ExchangeAccount, ExchangeEndpoint

EMAIL = {"name": "email", "value": "someone@example.org"}
COOKIE = {"name": "cookieId", "value": "abc-123"}
WHEN = "2015-02-28T20:16:12Z"
LATER = "2015-02-28T20:16:13.250Z"


@dataclass(frozen=True)
class Publishing:
    """The publisher with one event type whose topic is empty: it tells whether anything got through."""

    publisher: ExchangeEndpoint
    http: httpx.Client
    code: str

    def post(self, body: Any) -> httpx.Response:
        return self.http.post("/v1/event", json=body)

    def accepted(self, body: Any, events: int) -> list[DecodedEvent]:
        """What is in Kafka after a request that must have been accepted."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"accepted": events}
        found = self.publisher.account.events(self.code)
        assert len(found) == events
        assert {event.source for event in found} == {self.publisher.id}
        return found

    def refused(self, body: Any, *named: str) -> list[dict[str, str]]:
        """The errors of a request that must have been refused, nothing of it written; one of them names each word."""
        return self.check_refused(self.post(body), *named)

    def check_refused(self, answer: httpx.Response, *named: str) -> list[dict[str, str]]:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()
        assert list(error) == ["message", "code", "errors"]
        assert error["code"] == 400
        assert error["message"]
        assert all(list(one) == ["path", "message"] for one in error["errors"])
        assert error["errors"]
        told = [f"{one['path']} {one['message']}" for one in error["errors"]]
        assert all(any(word in each for each in told) for word in named), told
        assert self.publisher.account.stored(self.code) == 0
        errors: list[dict[str, str]] = error["errors"]
        return errors

    def event(self, **members: Any) -> dict[str, Any]:
        """An event with a timestamp; None leaves a member out."""
        event = {
            "code": self.code,
            "timestamp": WHEN,
            "attributes": [
                {"name": "productID", "value": "P-1", "type": "string"},
                {"name": "orderTotal", "value": "125.50", "type": "number"},
            ],
        }
        return {name: value for name, value in (event | members).items() if value is not None}

    def individual(self, *events: dict[str, Any], **members: Any) -> dict[str, Any]:
        """The individual form, its root members changed; None leaves one out."""
        body = {"channel": "mobile", "identifiers": [EMAIL, COOKIE], "events": events or (self.event(),)}
        return {name: value for name, value in (body | members).items() if value is not None}

    def simple(self, *events: dict[str, Any]) -> dict[str, Any]:
        """A simple batch of events that bring their own channel and identifiers."""
        own = {"channel": "Web", "identifiers": [EMAIL]}
        return {"events": [{name: value for name, value in (own | one).items() if value is not None} for one in events]}

    def compound(self, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
        """A compound batch."""
        return {"provider": "Acoustic", "eventbatch": entries} | members

    def undated(self, **members: Any) -> dict[str, Any]:
        """An event of the document's compound batches: they have no timestamp."""
        return self.event(timestamp=None, **members)


@pytest.fixture(scope="module")
def publisher(exchange: ExchangeAccount) -> ExchangeEndpoint:
    return exchange.endpoint(source=True, identifiers=("email", "cookieId"))


@pytest.fixture(scope="module")
def unused() -> list[str]:
    """Codes whose topics are still empty: a refusal leaves nothing, so that the next test can take its code."""
    return []


@pytest.fixture
def publishing(publisher: ExchangeEndpoint, unused: list[str]) -> Iterator[Publishing]:
    code = unused.pop() if unused else f"ibmproductView-{uuid4()}"
    assert publisher.register(code).status_code == 200
    with publisher.client() as http:
        yield Publishing(publisher, http, code)
    if publisher.account.stored(code) == 0:
        unused.append(code)


def pairs(event: DecodedEvent) -> list[tuple[str, str]]:
    return [(one.name, one.value) for one in event.identifiers]


def test_A_01_the_individual_form(publishing: Publishing) -> None:
    (event,) = publishing.accepted(publishing.individual(), 1)

    assert event.channel == "mobile"
    assert event.identifiers == (Identifier(**EMAIL), Identifier(**COOKIE))
    assert event.data == {"productID": "P-1", "orderTotal": 125.5}
    assert event.data_json() == b'{"productID":"P-1","orderTotal":125.50}'


def test_A_02_the_individual_form_with_several_events(publishing: Publishing) -> None:
    events = publishing.accepted(publishing.individual(publishing.event(), publishing.event(timestamp=LATER)), 2)

    assert {event.time_text for event in events} == {WHEN, LATER}
    assert all(pairs(event) == [("email", EMAIL["value"]), ("cookieId", COOKIE["value"])] for event in events)


def test_A_03_a_simple_batch(publishing: Publishing) -> None:
    mobile = publishing.event(channel="mobile", identifiers=[COOKIE], timestamp=LATER)
    events = publishing.accepted(publishing.simple(publishing.event(), mobile), 2)

    found = {(event.channel, *pairs(event), event.time_text) for event in events}
    assert found == {
        ("Web", ("email", EMAIL["value"]), WHEN),
        ("mobile", ("cookieId", COOKIE["value"]), LATER),
    }


def test_A_04_a_compound_batch_with_a_channel_on_each_event(publishing: Publishing) -> None:
    entries = [
        {"identifiers": [EMAIL], "events": [publishing.undated(channel="Web")]},
        {"identifiers": [COOKIE], "events": [publishing.undated(channel="SMS"), publishing.undated(channel="Email")]},
    ]
    events = publishing.accepted(publishing.compound(*entries), 3)

    found = {(event.channel, *pairs(event)) for event in events}
    assert found == {
        ("Web", ("email", EMAIL["value"])),
        ("SMS", ("cookieId", COOKIE["value"])),
        ("Email", ("cookieId", COOKIE["value"])),
    }


def test_A_05_a_compound_batch_with_one_channel_for_all(publishing: Publishing) -> None:
    entry = {"identifiers": [EMAIL], "events": [publishing.undated(), publishing.undated()]}
    events = publishing.accepted(publishing.compound(entry, channel="Web"), 2)

    assert {event.channel for event in events} == {"Web"}


def test_A_06_what_is_inside_an_identifier_is_no_level(publishing: Publishing) -> None:
    odd = EMAIL | {"channel": "Email", "provider": "Acoustic"}
    entry = {"identifiers": [odd], "events": [publishing.undated()]}
    (event,) = publishing.accepted(publishing.compound(entry, channel="Web"), 1)

    assert event.channel == "Web"
    assert pairs(event) == [("email", EMAIL["value"])]


def test_A_07_identifiers_at_the_root_and_on_an_event(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(publishing.event(identifiers=[EMAIL])), "$.events[0].identifiers")


@pytest.mark.parametrize("place", ["entry", "event"])
def test_A_08_identifiers_at_two_levels_of_a_compound_batch(publishing: Publishing, place: str) -> None:
    event = publishing.undated(**({"identifiers": [EMAIL]} if place == "event" else {}))
    root = {"identifiers": [EMAIL]} if place == "entry" else {}
    body = publishing.compound({"identifiers": [EMAIL], "events": [event]}, channel="Web", **root)

    publishing.refused(body, "$.eventbatch[0].events[0].identifiers")


def test_A_09_no_channel_anywhere(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(channel=None), "$.events[0].channel is required")


def test_A_10_one_event_of_a_batch_without_channel(publishing: Publishing) -> None:
    body = publishing.simple(publishing.event(), publishing.event())
    del body["events"][1]["channel"]

    errors = publishing.refused(body, "$.events[1].channel")
    assert [one["path"] for one in errors] == ["$.events[1].channel"]


def test_A_11_channel_at_the_root_and_on_an_event(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(publishing.event(channel="Web")), "$.events[0].channel")


def test_A_12_the_same_channel_at_both_levels(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(publishing.event(channel="mobile")), "$.events[0].channel")


def test_A_13_channel_at_the_root_and_on_an_event_of_a_compound_batch(publishing: Publishing) -> None:
    entry = {"identifiers": [EMAIL], "events": [publishing.undated(channel="Web")]}

    publishing.refused(publishing.compound(entry, channel="Web"), "$.eventbatch[0].events[0].channel")


def test_A_14_channel_on_an_entry_and_its_event(publishing: Publishing) -> None:
    entry = {"channel": "Web", "identifiers": [EMAIL], "events": [publishing.undated(channel="Web")]}

    publishing.refused(publishing.compound(entry), "$.eventbatch[0].events[0].channel")


@pytest.mark.parametrize("channel", ["", 7, True, ["Web"], {}])
def test_A_15_a_channel_is_a_text(publishing: Publishing, channel: object) -> None:
    publishing.refused(publishing.individual(channel=channel), "$.channel")
    publishing.refused(publishing.simple(publishing.event(channel=channel)), "$.events[0].channel")


def test_A_16_no_identifiers_at_any_level(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(identifiers=None), "$.events[0].identifiers is required")
    publishing.refused(publishing.compound({"events": [publishing.undated(channel="Web")]}), "identifiers is required")


def test_A_17_an_empty_list_of_identifiers(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(identifiers=[]), "$.identifiers must not be empty")


def test_A_18_an_identifier_that_is_not_registered(publishing: Publishing) -> None:
    body = publishing.individual(identifiers=[EMAIL, {"name": "phone", "value": "1"}])

    (error,) = publishing.refused(body, "phone")
    assert error["path"] == "$.identifiers[1].name"


@pytest.mark.parametrize("member", ["name", "value"])
def test_A_19_an_identifier_has_name_and_value(publishing: Publishing, member: str) -> None:
    incomplete = {name: value for name, value in EMAIL.items() if name != member}

    publishing.refused(publishing.individual(identifiers=[incomplete]), f"$.identifiers[0].{member} is required")


@pytest.mark.parametrize("value", [7, True, None, "", ["x"]])
def test_A_20_an_identifiers_value_is_a_text(publishing: Publishing, value: object) -> None:
    publishing.refused(publishing.individual(identifiers=[{"name": "email", "value": value}]), "$.identifiers[0].value")


def test_A_21_two_identifiers_with_one_name_stay_two(publishing: Publishing) -> None:
    other = {"name": "email", "value": "other@example.org"}
    (event,) = publishing.accepted(publishing.individual(identifiers=[EMAIL, other]), 1)

    assert pairs(event) == [("email", "someone@example.org"), ("email", "other@example.org")]


def test_A_22_a_code_that_is_not_registered(publishing: Publishing) -> None:
    (error,) = publishing.refused(publishing.individual(publishing.event(code="nope")), "nope")

    assert error["path"] == "$.events[0].code"


def test_A_23_an_attribute_that_is_not_registered(publishing: Publishing) -> None:
    attributes = [{"name": "productID", "value": "P-1"}, {"name": "colour", "value": "red"}]

    (error,) = publishing.refused(publishing.individual(publishing.event(attributes=attributes)), "colour")
    assert error["path"] == "$.events[0].attributes[1]"


def test_A_24_a_code_that_another_endpoint_registered(publishing: Publishing, exchange: ExchangeAccount) -> None:
    other = exchange.endpoint(source=True, identifiers=("email", "cookieId"))
    with other.client() as http:
        answer = http.post("/v1/event", json=publishing.individual())

    publishing.check_refused(answer, publishing.code)


@pytest.mark.parametrize("code", [None, "", 7])
def test_A_25_an_event_has_a_code(publishing: Publishing, code: object) -> None:
    publishing.refused(publishing.individual(publishing.event(code=code)), "$.events[0].code")


def test_A_26_a_code_that_is_only_subscribed_to(publishing: Publishing) -> None:
    code = f"received-{uuid4()}"
    assert publishing.publisher.register(code, registrationType="SUBSCRIBE").status_code == 200

    publishing.refused(publishing.individual(publishing.event(code=code)), code)
    assert publishing.publisher.account.stored(code) == 0


@pytest.mark.parametrize("member", ["name", "value"])
def test_A_27_an_attribute_has_name_and_value(publishing: Publishing, member: str) -> None:
    incomplete = {name: value for name, value in {"name": "productID", "value": "P-1"}.items() if name != member}
    body = publishing.individual(publishing.event(attributes=[incomplete]))

    publishing.refused(body, f"$.events[0].attributes[0].{member} is required")


@pytest.mark.parametrize("value", [125.53, 7, True, None, ["x"], {"a": "b"}])
def test_A_28_an_attributes_value_is_a_text(publishing: Publishing, value: object) -> None:
    attributes = [{"name": "orderTotal", "value": value, "type": "number"}]

    publishing.refused(
        publishing.individual(publishing.event(attributes=attributes)), "$.events[0].attributes[0].value"
    )


def test_A_29_an_attributes_type_may_be_left_out(publishing: Publishing) -> None:
    attributes = [{"name": "orderTotal", "value": "7"}]
    (event,) = publishing.accepted(publishing.individual(publishing.event(attributes=attributes)), 1)

    assert event.data == {"productID": None, "orderTotal": 7.0}


@pytest.mark.parametrize("type_", ["Number", "NUMBER", "number", "String", "Boolean", "Time", "tImE"])
def test_A_30_the_types_in_any_case(publishing: Publishing, type_: str) -> None:
    attributes = [{"name": "orderTotal", "value": "7", "type": type_}]

    publishing.accepted(publishing.individual(publishing.event(attributes=attributes)), 1)


@pytest.mark.parametrize("type_", ["integer", "decimal(4,2)", "json", "", 7])
def test_A_31_no_other_types(publishing: Publishing, type_: object) -> None:
    attributes = [{"name": "orderTotal", "value": "7", "type": type_}]

    publishing.refused(publishing.individual(publishing.event(attributes=attributes)), "$.events[0].attributes[0].type")


@pytest.mark.parametrize("type_", ["Date", "Datetime"])
def test_A_32_no_synonyms_of_time(publishing: Publishing, type_: str) -> None:
    attributes = [{"name": "orderTotal", "value": "7", "type": type_}]

    publishing.refused(publishing.individual(publishing.event(attributes=attributes)), "$.events[0].attributes[0].type")


@pytest.mark.parametrize("value", ["abc", "", "1,5", "NaN", "0x10"])
def test_A_33_a_number_must_be_one(publishing: Publishing, value: str) -> None:
    attributes = [{"name": "productID", "value": "P"}, {"name": "orderTotal", "value": value}]

    (error,) = publishing.refused(publishing.individual(publishing.event(attributes=attributes)), "orderTotal")
    assert error["path"] == "$.events[0].attributes[1]"


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [("Boolean", ("true", "FALSE"), ("yes", "1", "")), ("Time", (WHEN, "2015-02-28T21:16+01:00"), ("today", ""))],
)
def test_A_33_values_of_the_other_types(
    publisher: ExchangeEndpoint, type_: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    code = f"typed-{uuid4()}"
    assert publisher.register(code, attributes=[{"name": "it", "type": type_}]).status_code == 200
    with publisher.client() as http:
        typed = Publishing(publisher, http, code)
        for value in bad:
            typed.refused(typed.individual(typed.event(attributes=[{"name": "it", "value": value}])), "it")
        events = [typed.event(attributes=[{"name": "it", "value": value}]) for value in good]
        found = typed.accepted(typed.individual(*events), len(good))
    sent = {(event.lexical or {}).get("data.it") or json.loads(event.data_json())["it"] for event in found}
    assert {str(value).lower() for value in sent} == {value.lower() for value in good}


@pytest.mark.parametrize("timestamp", [WHEN, "2015-02-28T20:16:12.1234567+01:00", "2015-02-28T20:16:12.500Z"])
def test_A_34_the_timestamp_is_kept_as_sent(publishing: Publishing, timestamp: str) -> None:
    (event,) = publishing.accepted(publishing.individual(publishing.event(timestamp=timestamp)), 1)

    assert event.time_text == timestamp


@pytest.mark.parametrize("timestamp", ["yesterday", "", "2015-02-28", "2015-02-28T20:16:12", "2015-02-30T00:00:00Z", 7])
def test_A_35_the_timestamp_must_be_a_time(publishing: Publishing, timestamp: object) -> None:
    publishing.refused(publishing.individual(publishing.event(timestamp=timestamp)), "$.events[0].timestamp")


def test_A_36_the_individual_form_needs_a_timestamp(publishing: Publishing) -> None:
    publishing.refused(publishing.individual(publishing.undated()), "$.events[0].timestamp is required")


def test_A_37_a_compound_batch_may_have_none(publishing: Publishing) -> None:
    entry = {"identifiers": [EMAIL], "events": [publishing.undated(), publishing.event()]}
    events = publishing.accepted(publishing.compound(entry, channel="Web"), 2)

    assert sum(event.time == event.received_at for event in events) == 1
    assert sum(event.time_text == WHEN for event in events) == 1


def test_A_38_a_simple_batch_needs_timestamps(publishing: Publishing) -> None:
    body = publishing.simple(publishing.event(), publishing.undated())

    publishing.refused(body, "$.events[1].timestamp is required")


def test_A_39_events_and_eventbatch_together(publishing: Publishing) -> None:
    entry = {"identifiers": [EMAIL], "events": [publishing.undated(channel="Web")]}

    publishing.refused(publishing.individual() | {"eventbatch": [entry]}, "eventbatch")


@pytest.mark.parametrize("body", [{}, {"events": []}, {"eventbatch": []}, {"eventbatch": [{"events": []}]}, [], "x"])
def test_A_40_a_request_has_events(publishing: Publishing, body: object) -> None:
    publishing.refused(body)


@pytest.mark.parametrize("body", [{"events": {}}, {"events": [7]}, {"eventbatch": {}}, {"eventbatch": ["x"]}])
def test_A_41_events_are_objects_in_lists(publishing: Publishing, body: object) -> None:
    publishing.refused(body)


@pytest.mark.parametrize("authorization", [None, "Bearer 1234-abcd-5678-efgh", "Basic eDp5", "Bearer"])
def test_A_42_a_key_is_needed(publishing: Publishing, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with publishing.publisher.account.gateway.client(None, headers=headers) as http:
        answer = http.post("/v1/event", json=publishing.individual())

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json().keys() == {"message", "code", "errors"}
    assert publishing.publisher.account.stored(publishing.code) == 0


def test_A_44_keys_of_other_levels_and_roles_do_not_publish(publishing: Publishing, exchange: ExchangeAccount) -> None:
    consumer = exchange.endpoint(identifiers=("email", "cookieId"))
    consumer.register(publishing.code).raise_for_status()
    for key in (exchange.account_key, exchange.application_key, consumer.key):
        with exchange.gateway.client(key) as http:
            answer = http.post("/v1/event", json=publishing.individual())
        assert answer.status_code == 403
        assert answer.json()["code"] == 403
    assert exchange.stored(publishing.code) == 0


def test_A_44_keys_of_other_families_are_unknown(publishing: Publishing, exchange: ExchangeAccount) -> None:
    _, crmls = exchange.gateway.create_client(exchange.workspace, "producer", realm="crmls")
    _, own = exchange.gateway.create_client(exchange.workspace, "producer", "operator")
    for key in (crmls, own):
        with exchange.gateway.client(key) as http:
            assert http.post("/v1/event", json=publishing.individual()).status_code == 401
    with exchange.gateway.client(publishing.publisher.key) as http:
        assert http.get("/headrace/v1/clients").status_code == 401


@pytest.mark.parametrize("content", ["{", "", "{“channel”:“Web”}", "\xff", '{"events":[{"code":"x",}]}'])
def test_A_45_broken_json_is_refused(publishing: Publishing, content: str) -> None:
    headers = {"content-type": "application/json"}
    raw = content.encode("latin-1" if content == "\xff" else "utf-8")

    publishing.check_refused(publishing.http.post("/v1/event", content=raw, headers=headers))


def test_A_45_another_content_type_is_refused(publishing: Publishing) -> None:
    content = json.dumps(publishing.individual())
    answer = publishing.http.post("/v1/event", content=content, headers={"content-type": "text/plain"})

    assert answer.status_code == 415
    assert publishing.publisher.account.stored(publishing.code) == 0


def test_A_46_members_that_are_not_known_are_ignored(publishing: Publishing) -> None:
    body = publishing.individual(identifiers=[EMAIL | {"isOriginal": True}], x1Id="x", provider="Acoustic")
    (event,) = publishing.accepted(body, 1)

    assert pairs(event) == [("email", EMAIL["value"])]


def test_a_batch_is_refused_as_a_whole_with_every_problem(publishing: Publishing) -> None:
    wrong = publishing.event(attributes=[{"name": "orderTotal", "value": "x"}])
    body = publishing.individual(publishing.event(), wrong, publishing.event(attributes=[{"name": "b", "value": "1"}]))

    errors = publishing.refused(body)
    assert [one["path"] for one in errors] == ["$.events[1].attributes[0]", "$.events[2].attributes[0]"]
    structure = publishing.refused(publishing.individual(publishing.event(code=""), 7, publishing.undated()))
    assert [one["path"] for one in structure] == ["$.events[0].code", "$.events[1]", "$.events[2].timestamp"]


def test_an_attribute_that_is_listed_twice_is_refused(publishing: Publishing) -> None:
    twice = [{"name": "productID", "value": "a"}, {"name": "productID", "value": "b"}]

    publishing.refused(publishing.individual(publishing.event(attributes=twice)), "$.events[0].attributes[1].name")


def test_a_repeat_with_an_idempotency_key_writes_nothing(publishing: Publishing) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    for _ in range(2):
        answer = publishing.http.post("/v1/event", json=publishing.individual(), headers=headers)
        assert answer.json() == {"accepted": 1}
    other = publishing.http.post("/v1/event", json=publishing.individual(channel="Web"), headers=headers)

    assert other.status_code == 422
    assert publishing.publisher.account.stored(publishing.code) == 1


def test_a_code_in_another_namespace(publishing: Publishing) -> None:
    code = f"custom-{uuid4()}"
    account = publishing.publisher.account
    assert publishing.publisher.register(code, namespace="one").status_code == 200
    assert publishing.post(publishing.individual(publishing.event(code=code))).status_code == 200
    assert account.stored(code, "one") == 1
    assert publishing.publisher.register(code, namespace="two").status_code == 200
    publishing.refused(publishing.individual(publishing.event(code=code)), "one, two")
    named = publishing.individual(publishing.event(code=code, namespace="two"))
    assert publishing.post(named).status_code == 200
    assert (account.stored(code, "one"), account.stored(code, "two")) == (1, 1)


def test_an_applications_identifiers_hold_for_its_endpoints(exchange: ExchangeAccount) -> None:
    provider = f"provider-{uuid4()}"
    databases = {"marketingDatabases": [{"name": "people", "identifiers": [{"name": "loyaltyId"}]}]}
    with exchange.gateway.client(exchange.application_key) as http:
        body = {"providerName": provider, "marketingDatabasesDefinition": databases}
        assert "authenticationKey" not in http.post("/v1/application", json=body).raise_for_status().json()
    endpoint = exchange.endpoint(source=True, provider=provider)
    code = f"of-application-{uuid4()}"
    assert endpoint.register(code).status_code == 200
    with endpoint.client() as http:
        body = Publishing(endpoint, http, code).individual(identifiers=[{"name": "loyaltyId", "value": "L-1"}])
        assert http.post("/v1/event", json=body).status_code == 200
        body["identifiers"] = [EMAIL]
        assert http.post("/v1/event", json=body).status_code == 400
