"""``POST /v1/event`` of the Exchange document: code, attributes and timestamp of an event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.exchange_publishing import EMAIL, WHEN, Publishing

if TYPE_CHECKING:
    from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint


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


def test_an_attribute_that_is_listed_twice_is_refused(publishing: Publishing) -> None:
    twice = [{"name": "productID", "value": "a"}, {"name": "productID", "value": "b"}]

    publishing.refused(publishing.individual(publishing.event(attributes=twice)), "$.events[0].attributes[1].name")


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
