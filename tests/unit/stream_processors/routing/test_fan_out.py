"""One event for many endpoints, in several transactions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import stream_processors.routing.fan_out as fan_out_module
import stream_processors.routing.open_transaction as transaction_module
import stream_processors.routing.router as router_module
from schemas.model import topics
from schemas.model.delivery import GroupedDelivery, RoutingReceipt, read_delivery
from schemas.model.errors import CorruptRecord, TransactionAborted
from stream_processors.routing.matching import Match
from tests.support.consumed_messages import FakeMessage
from tests.unit.stream_processors.routing.test_router import ENDPOINT, PARTITION, Bench, FakeProducer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Partition
    from stream_processors.routing.router import Router

OTHER = ("events.other.n.c", 0)
ENDPOINTS = [msgspec.structs.replace(ENDPOINT, id=f"e{number:02}") for number in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]
WIDE = b"x" * 100
"""An event of this value is divided into parts of three deliveries."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "_BACKOFF", 0)
    # One transaction is a turn.
    monkeypatch.setattr(router_module, "TURN", 0.02)
    monkeypatch.setattr(FakeProducer, "seconds", 0.03)
    monkeypatch.setattr(router_module, "_SHARED_BYTES", 250)
    monkeypatch.setattr(transaction_module, "_WIDE_BYTES", 250)


def to_all(message: FakeMessage, _decode: Any) -> Sequence[Match]:
    if message.topic() == OTHER[0]:
        return [Match(msgspec.structs.replace(ENDPOINT, id="other", workspace="other"), ("s",))]
    return [Match(endpoint, ("s",)) for endpoint in ENDPOINTS]


def shared(match: Any = to_all) -> Bench:
    return Bench(match, workspaces=("w", "other"))


def finish(router: Router) -> None:
    while router.go_on():
        pass


def delivered(*benches: Bench) -> list[str]:
    """Endpoints of the committed deliveries, in their order."""
    records = [record for bench in benches for record in bench.committed]
    return [(record.key or b"").decode() for record in records if record.topic == topics.WEBHOOK_DELIVERIES]


def receipts(*benches: Bench, partition: Partition = PARTITION) -> list[RoutingReceipt]:
    key = f"{partition[0]}/{partition[1]}".encode()
    records = [record for bench in benches for record in bench.committed if record.key == key]
    return [msgspec.json.decode(each.value or b"", type=RoutingReceipt) for each in records]


def matched(found: Sequence[RoutingReceipt]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in found:
        counts.update({endpoint: sum(hours.values()) for endpoint, hours in each.matched.items()})
    return counts


def ranges(found: Sequence[RoutingReceipt]) -> list[tuple[int, int, int]]:
    return [(each.first_offset, each.next_offset, each.events) for each in found]


def test_the_events_of_others_are_committed_between_the_parts() -> None:
    bench = shared()

    bench.batch(FakeMessage(0), FakeMessage(1, value=WIDE))
    assert delivered(bench) == [*(each.id for each in ENDPOINTS), "e00"]
    bench.router.go_on()
    bench.batch(FakeMessage(0, topic=OTHER[0]), sequence=1)
    finish(bench.router)

    order = delivered(bench)
    assert order.index("other") < len(order) - 3
    assert Counter(order) == Counter({**{each.id: 2 for each in ENDPOINTS}, "other": 1})
    assert [offsets.get(PARTITION) for offsets in bench.offsets if PARTITION in offsets] == [1, 1, 1, 2]
    assert matched(receipts(bench)) == {each.id: 2 for each in ENDPOINTS}
    assert ranges(receipts(bench)) == [(0, 1, 1), (1, 1, 0), (1, 1, 0), (1, 1, 0), (1, 2, 1)]


def test_another_router_goes_on_behind_the_part_that_was_committed_last() -> None:
    first, second = shared(), shared()

    first.batch(FakeMessage(0, value=WIDE))
    first.router.go_on()
    second.batch(FakeMessage(0, value=WIDE), mark=first.marks[-1][PARTITION])
    finish(second.router)

    assert delivered(first) == [f"e{number:02}" for number in range(6)]
    assert delivered(second) == [f"e{number:02}" for number in range(6, 10)]
    assert ranges(receipts(first, second)) == [(0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 1, 1)]
    assert matched(receipts(first, second)) == {each.id: 1 for each in ENDPOINTS}
    assert (second.offsets[-1], second.marks[-1]) == ({PARTITION: 1}, {})


def test_an_aborted_part_is_written_again_and_those_before_it_are_not() -> None:
    bench = shared()

    bench.batch(FakeMessage(0, value=WIDE))
    bench.producers[0].trouble = [TransactionAborted("away")]
    bench.router.go_on()
    assert bench.reader.rewinds == 1
    bench.batch(FakeMessage(0, value=WIDE), FakeMessage(1, value=WIDE), mark=bench.marks[-1][PARTITION])
    finish(bench.router)

    assert delivered(bench) == [f"e{number:02}" for number in range(10)] * 2


def test_a_mark_counts_for_the_event_at_the_committed_offset_only() -> None:
    bench = shared()
    mark = '["e07",""]'

    bench.batch(FakeMessage(3, value=WIDE), resumed=0, mark=mark)
    finish(bench.router)

    assert len(delivered(bench)) == len(ENDPOINTS)


def test_a_text_that_is_no_mark_of_ours_is_passed_over() -> None:
    bench = shared()

    bench.batch(FakeMessage(0, value=WIDE), mark="set by hand")
    finish(bench.router)

    assert len(delivered(bench)) == len(ENDPOINTS)


def test_an_event_is_finished_where_nothing_is_left_behind_the_mark() -> None:
    bench = shared()

    bench.batch(FakeMessage(0, value=WIDE), mark='["e99",""]')

    assert (delivered(bench), bench.offsets, bench.marks) == ([], [{PARTITION: 1}], [{}])


def test_where_there_is_one_workspace_the_parts_are_large() -> None:
    bench = Bench(to_all)

    bench.batch(FakeMessage(0, value=WIDE))

    assert bench.offsets == [{PARTITION: 1}]


def test_contracts_come_together_with_the_last_part() -> None:
    contracts = [Match(ENDPOINTS[0], (f"contract-{number}",), number) for number in range(5)]
    bench = shared(lambda message, decode: [*contracts, *to_all(message, decode)])

    bench.batch(FakeMessage(0, value=WIDE))
    finish(bench.router)

    records = [each for each in bench.committed if each.topic == topics.WEBHOOK_DELIVERIES]
    grouped = read_delivery(records.pop().headers or [])
    assert isinstance(grouped, GroupedDelivery)
    assert len(grouped.contracts) == len(contracts)
    assert len(records) == len(ENDPOINTS)
    assert matched(receipts(bench))[ENDPOINTS[0].id] == len(contracts) + 1


def test_deliveries_over_their_budget_are_divided_and_counted_once() -> None:
    bench = shared(lambda message, decode: [each._replace(failure="too much") for each in to_all(message, decode)])

    bench.batch(FakeMessage(0, value=WIDE))
    bench.producers[0].trouble = [TransactionAborted("away")]
    bench.router.go_on()
    bench.batch(FakeMessage(0, value=WIDE), mark=bench.marks[-1][PARTITION])
    finish(bench.router)

    letters = [each for each in bench.committed if each.topic == topics.DEAD_LETTERS]
    assert Counter(each.key for each in letters) == Counter([each.id.encode() for each in ENDPOINTS])
    assert {each.value for each in letters} == {WIDE}
    assert matched(receipts(bench)) == {each.id: 1 for each in ENDPOINTS}


def test_those_for_which_there_is_no_room_stay_the_same_behind_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out_module, "FAN_OUT_BYTES", 800)
    first, second = shared(), shared()

    first.batch(FakeMessage(0, value=WIDE))
    second.batch(FakeMessage(0, value=WIDE), mark=first.marks[-1][PARTITION])
    finish(second.router)

    assert delivered(first, second) == [f"e{number:02}" for number in range(8)]
    assert [key for key, *_ in letters_of(second)] == [b"e08", b"e09"]


def test_a_record_that_fails_is_isolated_although_others_are_committed_in_between() -> None:
    def match(message: FakeMessage, decode: Any) -> Sequence[Match]:
        if message.topic() == PARTITION[0]:
            raise ZeroDivisionError
        return to_all(message, decode)

    bench = shared(match)
    for number in range(3):
        bench.batch(FakeMessage(number, topic=OTHER[0]))
        bench.batch(FakeMessage(0), sequence=1)
        finish(bench.router)

    assert [reason for _, reason in bench.dead()] == [b"routing failed 3 times: ZeroDivisionError()"]


def test_an_event_that_turns_out_to_be_corrupt_is_set_aside_at_the_part_that_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise CorruptRecord("cut off")

    bench = shared()
    bench.batch(FakeMessage(0, value=WIDE))
    monkeypatch.setattr(fan_out_module, "delivery_record", broken)
    finish(bench.router)

    assert (len(delivered(bench)), bench.dead(), bench.offsets[-1]) == (3, [(b"0", b"cut off")], {PARTITION: 1})


def letters_of(bench: Bench) -> list[tuple[bytes | None, bytes | None]]:
    return [(each.key, each.value) for each in bench.committed if each.topic == topics.DEAD_LETTERS]
