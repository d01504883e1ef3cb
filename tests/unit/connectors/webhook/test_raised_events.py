"""Operational events between the change that raised them and their publication, across workers that end in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.operational_events import disabled, exhausted, failing, paused, recovered
from connectors.webhook.operational_publisher import draft_of
from connectors.webhook.raised_events import TAKEN_OVER
from schemas.avro.validation import EventWriter
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.endpoint_health import EndpointHealth
from schemas.model.event_type import EventType
from schemas.model.operational_event import ATTRIBUTES, NAMESPACE, OperationalCode

if TYPE_CHECKING:
    from backbone.kafka.records import Message

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")
NOW = 1_700_000_000_000_000
HOOK = Endpoint(
    id="e", workspace="acme", name="hook", type=EndpointType.WEB_HOOK, client="c1", created_at=1, updated_at=1
)
HEALTH = EndpointHealth(failures=5, failing_since=NOW - 7, warnings=1, error="answered 500", status=500)
FAILING = failing(HOOK, HEALTH, NOW)
DISABLED = disabled(HOOK, "gone", NOW - 5, NOW)


class Read(msgspec.Struct):
    """A record as a consumer gives it."""

    record: Record

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value


def read(states: EndpointStates, *records: Record) -> None:
    for record in records:
        states.apply(cast("Message", Read(record)))


def fails(states: EndpointStates, now: int = NOW) -> Record:
    return states.keep_health("e", HEALTH, edited_at=1, now=now, raised=[FAILING])


def told(states: EndpointStates, now: int = NOW) -> list[str]:
    return [event.code.value for state in states.to_publish(now).values() for event in state.raised]


def test_an_event_is_published_once_kafka_has_the_change_and_then_no_more() -> None:
    states = EndpointStates(KAFKA)
    record = fails(states)
    assert told(states) == []
    read(states, record)
    assert told(states) == ["endpoint.failing"]
    ((key, state),) = states.to_publish(NOW).items()
    settled = states.published(key, state)
    assert settled is not None
    assert told(states) == []
    read(states, settled)
    assert told(states, NOW + 10 * TAKEN_OVER) == []
    assert states.health(HOOK) == HEALTH


def test_what_a_worker_leaves_behind_is_published_by_another_one_after_a_while() -> None:
    record = fails(EndpointStates(KAFKA))
    other = EndpointStates(KAFKA)
    read(other, record)
    assert told(other, NOW + TAKEN_OVER) == []
    assert told(other, NOW + TAKEN_OVER + 1) == ["endpoint.failing"]


def test_a_later_change_of_the_same_kind_takes_unpublished_events_along() -> None:
    states = EndpointStates(KAFKA)
    first = fails(states)
    second = states.keep_health("e", HEALTH, edited_at=1, now=NOW + 1)
    read(states, first)
    ((key, state),) = states.to_publish(NOW).items()
    assert states.published(key, state) is None, "the older record must not come after the newer one"
    read(states, second)
    assert told(states) == ["endpoint.failing"]
    fresh = EndpointStates(KAFKA)
    read(fresh, second)
    assert told(fresh, NOW + 2 * TAKEN_OVER) == ["endpoint.failing"]


def test_changes_of_different_kinds_do_not_touch_each_others_events() -> None:
    states = EndpointStates(KAFKA)
    read(states, fails(states), states.disable("e", "gone", NOW, [DISABLED]))
    assert told(states) == ["endpoint.failing", "endpoint.disabled"]
    settled = states.published("e", states.to_publish(NOW)["e"])
    assert settled is not None
    read(states, settled)
    assert told(states) == ["endpoint.failing"]
    assert states.disabled_reason(HOOK) == "gone"


def test_an_older_process_reads_the_records() -> None:
    """It knows nothing of the new members, and finds no pause and no disabling in a health."""
    value = fails(EndpointStates(KAFKA)).value or b""

    class Older(msgspec.Struct, kw_only=True):
        endpoint: str
        paused_until: int | None = None
        disabled_reason: str | None = None
        changed_at: int

    assert msgspec.json.decode(value, type=Older) == Older(endpoint="e", changed_at=NOW)


def test_the_same_change_makes_the_same_id_and_another_one_another() -> None:
    assert failing(HOOK, HEALTH, NOW + 99).id == FAILING.id
    assert failing(HOOK, msgspec.structs.replace(HEALTH, warnings=2), NOW).id != FAILING.id
    assert failing(HOOK, msgspec.structs.replace(HEALTH, failing_since=NOW), NOW).id != FAILING.id
    assert disabled(HOOK, "gone", NOW - 5, NOW + 1).id == DISABLED.id
    assert recovered(HOOK, HEALTH, NOW).id == recovered(HOOK, HEALTH, NOW + 1).id


def test_every_event_is_valid_for_its_documented_type() -> None:
    delivery = Delivery(
        id="d",
        event="ev",
        endpoint="e",
        workspace="acme",
        source=SourceOffset("events.acme.shop.order", 0, 1),
        subscriptions=(),
        attempts=3,
        routed_at=NOW,
    )
    events = [
        FAILING,
        failing(HOOK, EndpointHealth(failures=5, warnings=1, disables_at=NOW), NOW),
        recovered(HOOK, HEALTH, NOW),
        paused(HOOK, NOW // 1_000, "asked", NOW),
        DISABLED,
        exhausted(HOOK, delivery, status=500, reason="r" * 9_000, now=NOW),
        exhausted(HOOK, delivery, status=None, reason="", now=NOW),
    ]
    assert {event.code for event in events} == set(OperationalCode)
    for event in events:
        kind = EventType(
            workspace="acme",
            namespace=NAMESPACE,
            code=event.code.value,
            attributes=ATTRIBUTES[event.code],
            declared=ATTRIBUTES[event.code],
            partition_key="data.endpoint",
            effective_partitions=1,
            schema_id=1,
            created_at=0,
            updated_at=0,
        )
        draft = draft_of(event)
        _, key = EventWriter(kind, None).write(draft, event_id=event.id, received_at=NOW)
        assert key == b"e"
        assert (draft.subject, draft.extensions) == ("e", {"endpointowner": "c1"})
