"""The three forms of an Exchange publication, read without a gateway; most refusals are in the conformance cases."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.slices import Slices
from families.exchange.http import messages
from families.exchange.http.messages import PostedEvent, in_request
from schemas.model import timestamps
from schemas.model.errors import InvalidEvent, InvalidRequest, MalformedBody, PayloadTooLarge, Problem
from schemas.model.event import Identifier

EMAIL = {"name": "email", "value": "a@b.c"}
WHEN = "2015-02-28T20:16:12Z"
LEVELS = ("root", "entry", "event")


def read_events(raw: bytes, most: int) -> list[PostedEvent]:
    return asyncio.run(messages.read_events(raw, most, Slices()))


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def event(**members: Any) -> dict[str, Any]:
    return {"code": "c", "timestamp": WHEN, **members}


def compound(channel_at: set[str], identifiers_at: set[str]) -> bytes:
    """A compound batch of one event, with what is asked for at each level."""
    said = {
        level: ({"channel": "Web"} if level in channel_at else {})
        | ({"identifiers": [EMAIL]} if level in identifiers_at else {})
        for level in LEVELS
    }
    return body(**said["root"], eventbatch=[{**said["entry"], "events": [event(**said["event"])]}])


def problems(raw: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        read_events(raw, 100)
    return [(one.path, one.message) for one in refused.value.problems]


def test_an_event_with_what_its_levels_say() -> None:
    attributes = [{"name": "a", "value": "1", "type": "NUMBER"}, {"name": "b", "value": ""}]
    raw = body(channel="Web", identifiers=[EMAIL], events=[event(attributes=attributes), event(timestamp=f"{WHEN}")])

    first, second = read_events(raw, 100)

    assert (first.path, second.path) == ("$.events[0]", "$.events[1]")
    assert (first.code, first.namespace, first.channel) == ("c", None, "Web")
    assert first.identifiers == (Identifier("email", "a@b.c"),)
    assert first.identifiers_path == "$.identifiers"
    assert first.attributes == {"a": "1", "b": ""}
    assert (first.time, first.time_text) == (timestamps.parse(WHEN), None)
    assert second.attributes == {}


def test_a_time_that_does_not_print_back_keeps_its_text() -> None:
    sent = "2015-02-28T21:16:12+01:00"
    (read,) = read_events(body(channel="Web", identifiers=[EMAIL], events=[event(timestamp=sent)]), 100)

    assert (read.time, read.time_text) == (timestamps.parse(WHEN), sent)


@given(st.sets(st.sampled_from(LEVELS)), st.sets(st.sampled_from(LEVELS)))
def test_channel_and_identifiers_stand_at_exactly_one_level(channel_at: set[str], identifiers_at: set[str]) -> None:
    raw = compound(channel_at, identifiers_at)
    wrong = {
        f"$.eventbatch[0].events[0].{name}"
        for name, levels in (("channel", channel_at), ("identifiers", identifiers_at))
        if len(levels) != 1
    }
    if wrong:
        assert {path for path, _ in problems(raw)} == wrong
    else:
        (read,) = read_events(raw, 100)
        assert (read.channel, read.identifiers) == ("Web", (Identifier("email", "a@b.c"),))


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        (body(), "$", "must have events or eventbatch"),
        (body(events=7), "$.events", "must be an array, not a number"),
        (body(events=[]), "$.events", "must not be empty"),
        (b"[]", "$", "must be an object, not an array"),
        (body(channel="W", identifiers=[EMAIL], events=[{}]), "$.events[0].code", "is required"),
        (body(channel=7, events=[]), "$.channel", "must be a string, not a number"),
        (body(channel="", events=[]), "$.channel", "must not be empty"),
        (body(eventbatch=[{}]), "$.eventbatch[0].events", "is required"),
        (body(eventbatch=[{"events": []}]), "$.eventbatch[0].events", "must not be empty"),
    ],
)
def test_problems_say_where_and_what(raw: bytes, path: str, message: str) -> None:
    assert problems(raw) == [(path, message)]


def test_every_event_tells_its_own_problems() -> None:
    raw = body(channel="W", identifiers=[EMAIL], events=[event(), event(code=1), {"code": "c"}, 3])

    assert [path for path, _ in problems(raw)] == ["$.events[1].code", "$.events[2].timestamp", "$.events[3]"]


def test_a_problem_that_events_share_is_told_once() -> None:
    raw = body(channel="W", identifiers=[{"name": "", "value": "x"}], events=[event(), event()])

    assert problems(raw) == [("$.identifiers[0].name", "must not be empty")]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", "{“a”:1}".encode(), b'{"events":[{"code":}]}', b"[" * 100_000])
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        read_events(raw, 100)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["channel", "identifiers", "events", "eventbatch", "code", "timestamp", "attributes", "name"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_or_refused_in_words(value: Any) -> None:
    try:
        read_events(json.dumps(value).encode(), 100)
    except InvalidRequest as refused:
        assert all(one.path.startswith("$") and one.message for one in refused.problems)  # noqa: PT017


@pytest.mark.parametrize(
    "sent", [{"events": [{}] * 101}, {"eventbatch": [{}] * 101}, {"eventbatch": [{"events": [{}] * 51}] * 2}]
)
def test_of_too_many_events_no_more_are_looked_at(sent: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="at most 100 events"):
        read_events(body(**sent), 100)


@pytest.mark.parametrize(
    "above", [{"channel": "W" * 200_000, "identifiers": [EMAIL]}, {"channel": "W", "identifiers": [EMAIL] * 5_000}]
)
def test_what_a_level_above_says_is_not_repeated_without_end(above: dict[str, Any]) -> None:
    assert len(read_events(body(**above, events=[event()] * 50), 1_000)) == 50
    with pytest.raises(PayloadTooLarge):
        read_events(body(**above, events=[event()] * 1_000), 1_000)


def test_what_is_wrong_at_a_level_above_is_told_once() -> None:
    with pytest.raises(InvalidEvent) as refused:
        read_events(body(channel="W", identifiers=[{"name": "email", "value": ""}], events=[event(), event()]), 100)
    assert [problem.path for problem in refused.value.problems] == ["$.identifiers[0].value"]


def test_the_publishers_problems_are_told_in_the_requests_terms() -> None:
    attributes = [{"name": "a", "value": "1"}, {"name": "order total", "value": "x"}]
    events = read_events(body(channel="W", identifiers=[EMAIL], events=[event(), event(attributes=attributes)]), 100)
    found = [
        Problem(path="$[1].data['order total']", message="Number expected"),
        Problem(path="$[1].data.missing", message="is required"),
        Problem(path="$[0].type", message="there is no event type c"),
        Problem(path="$[0]", message="too large"),
    ]

    told = in_request(InvalidEvent("no", found), events)

    assert type(told) is InvalidEvent
    assert str(told) == "Nothing was published: $.events[1].attributes[1] order total: Number expected"
    assert [(one.path, one.message) for one in told.problems] == [
        ("$.events[1].attributes[1]", "order total: Number expected"),
        ("$.events[1].attributes", "missing: is required"),
        ("$.events[0].code", "there is no event type c"),
        ("$.events[0]", "too large"),
    ]
    single = in_request(PayloadTooLarge("big", [Problem(path="$", message="too large")]), events[:1])
    assert type(single) is PayloadTooLarge
    assert single.problems[0].path == "$.events[0]"
