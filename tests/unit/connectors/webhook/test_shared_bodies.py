"""One body for many endpoints, and another one as soon as anything differs that it is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from connectors.shared.body import OutgoingEvent
from connectors.webhook import shared_bodies
from connectors.webhook.shared_bodies import SharedBodies
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from connectors.shared.body import Body
    from connectors.shared.event_reader import EventReader


class Events:
    """Decodes a value to itself, and counts; ``namespace`` is what the catalog says of the type."""

    def __init__(self) -> None:
        self.decoded = 0
        self.namespace = "events"

    async def decode(self, value: bytes | None) -> Any:
        self.decoded += 1
        if value is None:
            raise CorruptRecord("a delivery without a value")
        return value

    def outgoing(self, event: Any, headers: Any, topic: str, workspace: str) -> OutgoingEvent:
        return OutgoingEvent(event, dict(headers), f"{self.namespace}/{topic}", None, workspace)


class Format:
    """A body that shows all that it could be made from."""

    CONTENT_TYPE = "text/plain"

    def __init__(self, name: str) -> None:
        self.name = name

    def render(self, outgoing: OutgoingEvent) -> bytes:
        return repr((self.name, *outgoing)).encode()


PLAIN = cast("Body", Format("plain"))


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def bodies(events: Events) -> SharedBodies:
    return SharedBodies(cast("EventReader", events))


async def test_an_event_is_decoded_and_rendered_once_for_all_its_endpoints(
    bodies: SharedBodies, events: Events
) -> None:
    first = await bodies.body(b"v", {"ce_id": b"1"}, "t", "w", PLAIN)
    again = [await bodies.body(b"v", {"ce_id": b"1"}, "t", "w", PLAIN) for _ in range(3)]
    assert again == [first] * 3
    assert events.decoded == 1


async def test_whatever_differs_makes_another_body(bodies: SharedBodies, events: Events) -> None:
    wanted = [
        (b"v", {"ce_id": b"1"}, "t", "w", PLAIN),
        (b"v", {"ce_id": b"2"}, "t", "w", PLAIN),
        (b"v", {"ce_id": b"1", "ce_x": b""}, "t", "w", PLAIN),
        (b"v", {"ce_id": b"1"}, "u", "w", PLAIN),
        (b"v", {"ce_id": b"1"}, "t", "x", PLAIN),
        (b"w", {"ce_id": b"1"}, "t", "w", PLAIN),
        (b"v", {"ce_id": b"1"}, "t", "w", cast("Body", Format("other"))),
    ]
    for _ in range(2):
        made = [await bodies.body(*each) for each in wanted]
        assert made == [
            body_format.render(events.outgoing(value, headers, topic, workspace))
            for value, headers, topic, workspace, body_format in wanted
        ]
        assert len(set(made)) == len(wanted)


async def test_a_change_of_the_catalog_makes_another_body(bodies: SharedBodies, events: Events) -> None:
    before = await bodies.body(b"v", {}, "t", "w", PLAIN)
    events.namespace = "renamed"
    assert await bodies.body(b"v", {}, "t", "w", PLAIN) == before.replace(b"events", b"renamed")


async def test_large_events_and_those_of_long_ago_are_not_kept(
    bodies: SharedBodies, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_bodies, "_REMEMBERED", 2)
    monkeypatch.setattr(shared_bodies, "_LONGEST", 3)
    for value in (b"long", b"long", b"1", b"2", b"3", b"3", b"1"):
        await bodies.body(value, {}, "t", "w", PLAIN)
    assert events.decoded == 6


async def test_an_event_that_cannot_be_read_is_refused_each_time(bodies: SharedBodies) -> None:
    for _ in range(2):
        with pytest.raises(CorruptRecord):
            await bodies.body(None, {}, "t", "w", PLAIN)
