"""What several workers learn of one endpoint, when they do not know of each other's records yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.kafka.settings import KafkaSettings
from connectors.webhook.endpoint_states import EndpointStates
from schemas.model import timestamps, topics
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import CorruptRecord
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.kafka.records import Record

ENDPOINT = Endpoint(
    id="e", workspace="w", name="e", type=EndpointType.WEB_HOOK, url="https://example.org", created_at=1, updated_at=1
)


def read(key: bytes | None, value: bytes | None) -> Any:
    return ConsumedMessage(topics.ENDPOINT_STATE, value, key=key)


def worker(records: Iterable[Record] = ()) -> EndpointStates:
    """A worker that has read these records, which are all that compaction left."""
    states = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    for record in {record.key: record for record in records}.values():
        states.apply(read(record.key, record.value))
    return states


def in_a_minute(now: int) -> int:
    return now // 1_000 + 60_000


def test_a_pause_does_not_undo_a_disabling_that_its_worker_has_not_read() -> None:
    now = timestamps.now()
    disabling = worker().disable("e", "gone", now)
    pausing = worker().pause(ENDPOINT, in_a_minute(now), now + 1)
    assert pausing is not None
    for written in ([disabling, pausing], [pausing, disabling]):
        later = worker(written)
        assert later.disabled_reason(ENDPOINT) == "gone"
        assert later.pause_left(ENDPOINT) == pytest.approx(60, abs=5)


def test_a_shorter_pause_changes_nothing() -> None:
    now = timestamps.now()
    states = worker()
    longer = states.pause(ENDPOINT, in_a_minute(now), now)
    assert longer is not None
    assert states.pause(ENDPOINT, in_a_minute(now) - 30_000, now + 1) is None
    states.apply(read(longer.key, longer.value))
    assert states.pause_left(ENDPOINT) == pytest.approx(60, abs=5)


def test_an_edit_lifts_a_disabling_whatever_pause_came_after_it() -> None:
    now = timestamps.now()
    states = worker()
    states.disable("e", "gone", now - 10)
    states.pause(ENDPOINT, in_a_minute(now), now + 10)
    edited = Endpoint(id="e", workspace="w", name="e", type=EndpointType.WEB_HOOK, created_at=1, updated_at=now)
    assert states.disabled_reason(ENDPOINT) == "gone"
    assert states.disabled_reason(edited) is None


def test_an_edit_ends_a_pause_and_the_next_one_may_be_shorter() -> None:
    now = timestamps.now()
    edited = msgspec.structs.replace(ENDPOINT, updated_at=now)
    one = worker()
    longer = one.pause(ENDPOINT, in_a_minute(now), now - 10)
    assert one.pause_left(edited) == 0
    shorter = one.pause(edited, in_a_minute(now) - 30_000, now + 10)
    assert longer is not None
    assert shorter is not None
    for written in ([longer, shorter], [shorter]):
        later = worker(written)
        assert later.pause_left(edited) == pytest.approx(30, abs=5)
        # What is read late is not taken for news.
        later.apply(read(longer.key, longer.value))
        assert later.pause_left(edited) == pytest.approx(30, abs=5)


def test_tombstones_lift_what_their_key_said() -> None:
    now = timestamps.now()
    states = worker()
    disabling, pausing = states.disable("e", "gone", now), states.pause(ENDPOINT, in_a_minute(now), now)
    assert pausing is not None
    states.apply(read(pausing.key, None))
    assert (states.pause_left(ENDPOINT), states.disabled_reason(ENDPOINT)) == (0, "gone")
    states.apply(read(disabling.key, None))
    assert states.disabled_reason(ENDPOINT) is None


def test_what_is_no_state_is_corrupt() -> None:
    with pytest.raises(CorruptRecord):
        worker().apply(read(b"e", b"{}"))


def test_a_refresh_token_is_known_to_the_next_worker_beside_all_else() -> None:
    now = timestamps.now()
    one = worker()
    written = [
        one.keep_refresh_token("e", "sealed 1", succeeds="hash", now=now),
        one.disable("e", "gone", now),
        one.keep_refresh_token("e", "sealed 2", succeeds="hash", now=now + 1),
    ]
    later = worker(written)
    assert later.refresh_token("e") == one.refresh_token("e") == ("sealed 2", "hash")
    assert later.disabled_reason(ENDPOINT) == "gone"
    assert later.refresh_token("another") is None


def test_a_refresh_token_that_is_forgotten() -> None:
    states = worker([worker().keep_refresh_token("e", "sealed", succeeds="hash", now=1)])
    states.apply(read(b"e/refresh", None))
    assert states.refresh_token("e") is None
