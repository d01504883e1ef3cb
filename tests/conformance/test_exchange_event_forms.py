"""``POST /v1/event`` of the Exchange document: three forms, and the levels at which channel and identifiers stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.model.event import Identifier
from tests.support.exchange_publishing import COOKIE, EMAIL, LATER, WHEN, pairs

if TYPE_CHECKING:
    from tests.support.exchange_publishing import Publishing


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
