"""How an endpoint stands by what the connectors wrote of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from backbone.endpoint_states import EndpointStateView, EndpointStatus, Standing
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.tail import TopicTail
from connectors.webhook.endpoint_states import EndpointStates
from schemas.model import timestamps, topics
from schemas.model.delivery import LEASE, EndpointState, SocketKey
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import CorruptRecord
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from backbone.kafka.records import Message

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:1")
EDITED = 1_000_000
ENDPOINT = Endpoint(id="e", workspace="w", name="e", type=EndpointType.WEB_HOOK, created_at=EDITED, updated_at=EDITED)
ENABLED = Standing(EndpointStatus.ENABLED)
GONE = "the endpoint answered 410 Gone"


def view(*records: Record | None) -> EndpointStateView:
    """What the API knows that has read these records."""
    made = EndpointStateView(KAFKA)
    for record in records:
        assert record is not None
        made.apply(cast("Message", ConsumedMessage(record.topic, record.value, key=record.key)))
    return made


def edited(at: int) -> Endpoint:
    return msgspec.structs.replace(ENDPOINT, updated_at=at)


async def test_nothing_is_read_before_somebody_asks_and_then_by_one_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def caught_up(_: TopicTail) -> None:
        done.append("caught up")

    monkeypatch.setattr(TopicTail, "start", lambda _: done.append("started"))
    monkeypatch.setattr(TopicTail, "caught_up", caught_up)
    made = view()
    made.stop()
    assert done == []
    await made.caught_up()
    await made.caught_up()
    assert done == ["started", "caught up", "caught up"]


def test_of_an_endpoint_that_no_connector_found_anything_about_only_its_own_word_counts() -> None:
    disabled = msgspec.structs.replace(ENDPOINT, enabled=False)
    assert view().standing(ENDPOINT) == ENABLED
    assert view().standing(disabled) == Standing(EndpointStatus.DISABLED, "`enabled` is false")


def test_one_that_is_gone_is_disabled_since_then_until_it_is_edited() -> None:
    found = view(EndpointStates(KAFKA).disable("e", GONE, EDITED + 5))
    assert found.standing(ENDPOINT) == Standing(EndpointStatus.DISABLED, GONE, EDITED + 5)
    assert found.standing(edited(EDITED + 5)) == found.standing(ENDPOINT)
    assert found.standing(edited(EDITED + 6)) == ENABLED


def test_a_pause_has_an_end_and_ends_with_an_edit_too() -> None:
    now = timestamps.now()
    until = now // 1_000 + 60_000
    found = view(EndpointStates(KAFKA).pause(ENDPOINT, until, now))
    reason = "the endpoint answered 429 or 503 with Retry-After"
    assert found.standing(ENDPOINT) == Standing(EndpointStatus.PAUSED, reason, now, until * 1_000)
    assert found.standing(edited(EDITED + 1)) == ENABLED
    over = view(EndpointStates(KAFKA).pause(ENDPOINT, now // 1_000 - 1, now))
    assert over.standing(ENDPOINT) == ENABLED


def test_a_disabling_counts_before_a_pause_and_the_endpoints_own_word_before_both() -> None:
    now = timestamps.now()
    states = EndpointStates(KAFKA)
    found = view(states.disable("e", GONE, now), states.pause(ENDPOINT, now // 1_000 + 60_000, now + 1))
    assert found.standing(ENDPOINT) == Standing(EndpointStatus.DISABLED, GONE, now)
    own = found.standing(msgspec.structs.replace(ENDPOINT, enabled=False))
    assert own == Standing(EndpointStatus.DISABLED, "`enabled` is false")


def test_what_else_is_on_the_topic_says_nothing_and_is_not_kept() -> None:
    lease = msgspec.json.encode(EndpointState(endpoint="e", socket_window=1, changed_at=EDITED + 1))
    token = EndpointStates(KAFKA).keep_refresh_token("e", "sealed", succeeds="hash", now=EDITED + 1)
    found = view(token, Record(topics.ENDPOINT_STATE, lease, str(SocketKey("e", LEASE, "node")).encode()))
    assert found.standing(ENDPOINT) == ENABLED
    assert found.standing(msgspec.structs.replace(ENDPOINT, id="another")) == ENABLED
    assert not found._pauses
    assert not found._disablings


def test_tombstones_lift_what_their_key_said() -> None:
    now = timestamps.now()
    states = EndpointStates(KAFKA)
    disabling, pausing = states.disable("e", GONE, now), states.pause(ENDPOINT, now // 1_000 + 60_000, now)
    assert pausing is not None
    tombstones = [Record(topics.ENDPOINT_STATE, None, record.key) for record in (disabling, pausing)]
    assert view(disabling, pausing, tombstones[0]).standing(ENDPOINT).status is EndpointStatus.PAUSED
    assert view(disabling, pausing, *tombstones).standing(ENDPOINT) == ENABLED


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"endpoint":"e","changed_at":"now"}'])
def test_what_is_no_state_is_corrupt(value: bytes) -> None:
    with pytest.raises(CorruptRecord):
        view(Record(topics.ENDPOINT_STATE, value, b"e"))
