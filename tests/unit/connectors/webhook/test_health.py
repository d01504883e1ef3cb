"""The health of an endpoint by a virtual clock: what fails, recovers, is disabled, and how often it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from backbone.endpoint_states import EndpointStateView
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.health import CALM, MOST_WRITES, HealthBook
from connectors.webhook.settings import WebhookSettings
from schemas.model import timestamps
from schemas.model.delivery import EndpointState
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.endpoint_health import EndpointHealth

if TYPE_CHECKING:
    from backbone.kafka.records import Message

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")
BEGAN = timestamps.now()
SECOND = 1_000_000
DAY = 86_400
ENDPOINT = Endpoint(id="e", workspace="w", name="e", type=EndpointType.WEB_HOOK, created_at=1, updated_at=1)


class Read(msgspec.Struct):
    """A record as a consumer gives it."""

    record: Record

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value


class Worker:
    """A health book with a clock; what it writes is on ``topic``, from which it begins."""

    def __init__(self, topic: list[Record] | None = None, **settings: float) -> None:
        self.topic = [] if topic is None else topic
        states = EndpointStates(KAFKA)
        for record in self.topic:
            states.apply(cast("Message", Read(record)))
        self.states = states
        self.book = HealthBook(states, WebhookSettings(**settings))  # type: ignore[arg-type]
        self.seconds = 0.0

    def raised(self) -> list[str]:
        """The operational events that were raised, in their order, each once."""
        found = {
            event.id: event.code.value
            for record in self.topic
            for event in msgspec.json.decode(record.value or b"", type=EndpointState).raised
        }
        return list(found.values())

    @property
    def now(self) -> int:
        return BEGAN + int(self.seconds * SECOND)

    def fails(
        self, times: int = 1, *, every: float = 0.0, endpoint: Endpoint = ENDPOINT, quiet: bool = False
    ) -> str | None:
        """Attempts that fail; return why the endpoint is to be disabled after the last."""
        disable = None
        for _ in range(times):
            self.seconds += every
            told, disable = self.book.failed(
                endpoint, "answered 500", 500, started_at=self.now, now=self.now, quiet=quiet
            )
            self.topic += told
        return disable

    def succeeds(self, endpoint: Endpoint = ENDPOINT, *, quiet: bool = False) -> None:
        self.topic += self.book.succeeded(endpoint, self.now, quiet=quiet)

    def flush(self) -> int:
        """What is due by now; return the number of records."""
        due = self.book.due(self.now)
        self.topic += due
        return len(due)

    def shown(self, endpoint: Endpoint = ENDPOINT) -> EndpointHealth:
        """What the API knows that has read the topic."""
        view = EndpointStateView(KAFKA)
        for record in self.topic:
            view.apply(cast("Message", Read(record)))
        return view.health(endpoint)


def edited(at: int) -> Endpoint:
    return msgspec.structs.replace(ENDPOINT, updated_at=at)


def test_one_that_was_never_tried_has_no_failures() -> None:
    assert Worker().shown() == EndpointHealth()


def test_an_endpoint_fails_after_so_many_failures_in_a_row_and_recovers_with_a_success() -> None:
    worker = Worker(failing_after=3)
    worker.fails(2)
    worker.succeeds()
    worker.fails(2)
    worker.flush()
    assert not worker.shown().is_failing
    since = worker.now
    worker.fails(1, every=5)
    found = worker.shown()
    assert (found.is_failing, found.failures, found.failing_since) == (True, 3, since)
    assert (found.error, found.status, found.failed_at) == ("answered 500", 500, worker.now)
    worker.seconds += 1
    worker.succeeds()
    found = worker.shown()
    assert (found.is_failing, found.failures, found.failing_since, found.disables_at) == (False, 0, None, None)
    assert (found.succeeded_at, found.error) == (worker.now, "answered 500")


def test_nothing_but_failures_for_the_span_disables() -> None:
    worker = Worker()
    assert worker.fails(10) is None
    assert worker.shown().disables_at == BEGAN + 5 * DAY * SECOND
    assert worker.fails(100, every=5 * DAY / 101) is None
    reason = worker.fails(every=5 * DAY / 100)
    assert reason == f"all 111 attempts since {timestamps.to_text(BEGAN)} failed"


def test_sporadic_failures_do_not_disable() -> None:
    worker = Worker()
    for _ in range(40):
        assert worker.fails(20, every=0.2 * DAY / 20) is None
        worker.succeeds()


def test_two_failures_far_apart_do_not_disable() -> None:
    worker = Worker(failing_after=3)
    assert worker.fails(2, every=20 * DAY) is None
    assert worker.fails() is not None


def test_a_span_of_zero_never_disables_and_an_endpoint_may_have_its_own() -> None:
    worker = Worker(disable_after=0)
    assert worker.fails(20, every=DAY) is None
    assert worker.shown().disables_at is None
    soon = msgspec.structs.replace(ENDPOINT, id="soon", disable_after=60.0)
    assert worker.fails(5, every=14, endpoint=soon) is None
    assert worker.fails(every=14, endpoint=soon) is not None
    never = msgspec.structs.replace(ENDPOINT, disable_after=0.0)
    assert Worker().fails(20, every=DAY, endpoint=never) is None


def test_warnings_are_raised_once_and_again_before_the_end_of_the_span() -> None:
    worker = Worker()
    warnings = []
    for _ in range(50):
        worker.fails(every=0.1 * DAY)
        worker.flush()
        warnings.append(worker.shown().warnings)
    assert warnings == sorted(warnings)
    assert [warnings.index(level) for level in (0, 1, 2, 3)] == [0, 4, 25, 45]


def test_the_next_owner_counts_on_where_the_last_one_ended() -> None:
    first = Worker()
    first.fails(8, every=DAY / 2)
    first.flush()
    second = Worker(first.topic)
    second.seconds = 4.5 * DAY
    assert second.fails() is None
    second.flush()
    assert second.shown().failures == 9
    second.seconds = 5.6 * DAY
    assert second.fails() is not None


def test_the_next_owner_does_not_count_failures_that_are_over() -> None:
    first = Worker()
    first.fails(5)
    first.seconds = DAY
    first.succeeds()
    second = Worker(first.topic)
    second.seconds = 7 * DAY
    assert second.fails(10) is None
    assert second.shown().failing_since == second.now


def test_an_edit_begins_anew() -> None:
    worker = Worker()
    worker.fails(9, every=DAY / 2)
    assert worker.shown(edited(BEGAN)).failures == 0
    worker.seconds = 6 * DAY
    assert worker.fails(5, endpoint=edited(BEGAN)) is None
    assert worker.shown(edited(BEGAN)).failures == 5
    assert worker.shown(edited(BEGAN)).failing_since == worker.now


def test_an_endpoint_that_goes_up_and_down_is_told_of_seldom() -> None:
    worker = Worker(failing_after=2)
    for _ in range(1_000):
        worker.fails(5)
        worker.succeeds()
        worker.seconds += 0.1
        worker.flush()
    assert len(worker.topic) <= 2 * (100 / 5.0) + 2 * (100 / CALM) + 4


def test_an_endpoint_that_succeeds_all_the_time_is_told_of_every_five_minutes() -> None:
    worker = Worker()
    for _ in range(3_600):
        worker.seconds += 1
        worker.succeeds()
        worker.flush()
    assert 12 <= len(worker.topic) <= 14


def test_very_many_endpoints_are_told_of_one_after_another() -> None:
    worker = Worker()
    for number in range(1_000):
        worker.succeeds(msgspec.structs.replace(ENDPOINT, id=str(number)))
    assert [worker.flush() for _ in range(1_000 // MOST_WRITES + 1)] == [MOST_WRITES] * (1_000 // MOST_WRITES) + [0]
    worker.book.forget_idle(worker.now)
    assert len(worker.book._watched) == 1_000
    worker.book.forget_idle(worker.now + 3_600 * SECOND)
    assert not worker.book._watched


def test_an_open_breaker_is_shown_until_a_success() -> None:
    worker = Worker()
    worker.fails(8)
    worker.book.closed(ENDPOINT, 10.0, worker.now)
    worker.flush()
    assert worker.shown().closed_until == worker.now // 1_000 + 10_000
    worker.succeeds()
    assert worker.shown().closed_until is None


@pytest.mark.parametrize("succeeded_after", [0.5, 2.0])
def test_a_success_that_overtook_a_failure_counts_as_before_it(succeeded_after: float) -> None:
    worker = Worker()
    worker.seconds = succeeded_after
    worker.succeeds()
    succeeded_at = worker.now
    worker.book.failed(ENDPOINT, "no answer", None, started_at=BEGAN + SECOND, now=BEGAN + 3 * SECOND)
    worker.seconds = 10
    worker.flush()
    assert worker.shown().failing_since == max(BEGAN + SECOND, succeeded_at)


def test_failing_is_told_at_each_warning_and_recovery_once() -> None:
    worker = Worker()
    worker.fails(60, every=0.08 * DAY)
    assert worker.raised() == ["endpoint.failing"] * 3
    worker.succeeds()
    worker.succeeds()
    assert worker.raised() == ["endpoint.failing"] * 3 + ["endpoint.recovered"]


def test_an_endpoint_that_goes_up_and_down_is_told_of_once_a_minute() -> None:
    worker = Worker(failing_after=2)
    for _ in range(300):
        worker.fails(5)
        worker.succeeds()
        worker.seconds += 1
    assert 4 <= worker.raised().count("endpoint.failing") <= 6
    assert worker.raised().count("endpoint.recovered") == worker.raised().count("endpoint.failing")


def test_deliveries_of_operational_events_raise_none() -> None:
    worker = Worker(failing_after=3)
    worker.fails(10, quiet=True)
    worker.succeeds(quiet=True)
    assert worker.raised() == []
    worker.fails(3)
    assert worker.raised() == ["endpoint.failing"]
    worker.succeeds(quiet=True)
    assert worker.raised() == ["endpoint.failing"]
    worker.succeeds()
    assert worker.raised() == ["endpoint.failing", "endpoint.recovered"]
    assert Worker(disable_after=60).fails(20, every=10, quiet=True) is not None


def test_pauses_are_told_of_once_a_minute() -> None:
    worker = Worker()
    told = 0
    for _ in range(180):
        worker.seconds += 1
        told += worker.book.may_tell_of_pause(ENDPOINT, worker.now)
    assert told == 3


def test_the_health_of_a_deleted_endpoint_is_removed() -> None:
    worker = Worker()
    worker.fails(5)
    other = msgspec.structs.replace(ENDPOINT, id="other")
    worker.succeeds(other)
    worker.flush()
    view = CatalogView()
    view.put(other, 1)
    assert worker.states.of_deleted(view, BEGAN) == [], "it may be new to this process"
    tombstones = worker.states.of_deleted(view, BEGAN + SECOND)
    assert [record.key for record in tombstones] == [b"e/health"]
    worker.topic += tombstones
    assert worker.shown() == EndpointHealth()
    assert worker.shown(other).succeeded_at is not None
