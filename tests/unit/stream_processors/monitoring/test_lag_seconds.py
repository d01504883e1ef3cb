"""How old the first unread record of a group is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka.cluster import GroupState
from schemas.model.cluster_figures import GroupFigures, GroupPartition
from stream_processors.monitoring.append_times import find_append_times
from stream_processors.monitoring.group_lag import GroupAnswers, GroupLag, member_rates
from stream_processors.monitoring.timeline import Bracket, Timelines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
ONE, TWO = ("events.a.b.one", 0), ("events.a.b.two", 0)


class Log:
    """Partitions with the append time of each record, in microseconds; counts the questions."""

    def __init__(self, **ages: list[float]) -> None:
        self.appended = {
            (f"events.a.b.{name}", 0): [NOW - int(age * SECOND) for age in each] for name, each in ages.items()
        }
        self.rounds = 0

    def offsets_at(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        self.rounds += 1
        return {
            partition: next(
                (number for number, at in enumerate(self.appended[partition]) if at // 1_000 >= since), None
            )
            for partition, since in times.items()
        }

    @property
    def ends(self) -> dict[Partition, int]:
        return {partition: len(appended) for partition, appended in self.appended.items()}


@pytest.mark.parametrize("age", [0.2, 3.0, 59.0, 3_600.0, 14 * 86_400.0])
def test_append_times_are_found_without_knowing_anything_before(age: float) -> None:
    log = Log(one=[age + 500_000, age, age / 2, 0.1], two=[age])
    found = find_append_times({(ONE, 1): Bracket(None, NOW), (TWO, 0): Bracket(None, NOW)}, NOW, log.offsets_at)
    for place in ((ONE, 1), (TWO, 0)):
        assert found[place].exact
        assert (NOW - found[place].at) / SECOND == pytest.approx(age, rel=0.01, abs=1.0)
    assert log.rounds <= 20


def test_two_records_of_one_partition_are_found_one_after_the_other() -> None:
    log = Log(one=[5_000.0, 400.0, 1.0])
    found = find_append_times({(ONE, 0): Bracket(None, NOW), (ONE, 1): Bracket(None, NOW)}, NOW, log.offsets_at)
    assert [(NOW - found[ONE, each].at) / SECOND for each in (0, 1)] == [
        pytest.approx(5_000, rel=0.01),
        pytest.approx(400, rel=0.01),
    ]


def test_a_partition_that_cannot_answer_is_not_exact() -> None:
    found = find_append_times({(ONE, 0): Bracket(None, NOW)}, NOW, lambda _times: {})
    assert not found[ONE, 0].exact


def test_past_ends_tell_between_which_looks_a_record_was_appended() -> None:
    timelines = Timelines()
    for at, end in ((0, 5), (10, 5), (20, 9), (30, 12)):
        timelines.note(NOW + at, {ONE: end})
    assert timelines.bracket(ONE, 3) == Bracket(None, NOW)
    assert timelines.bracket(ONE, 5) == Bracket(NOW + 10, NOW + 20)
    assert timelines.bracket(ONE, 11) == Bracket(NOW + 20, NOW + 30)
    assert timelines.bracket(ONE, 12) is None
    assert timelines.bracket(TWO, 0) is None


def test_what_is_remembered_of_a_partition_is_bounded_and_stays_true() -> None:
    timelines = Timelines()
    for number in range(1, 1_001):
        timelines.note(NOW + number, {ONE: number})
    for offset in (1, 500, 998):
        found = timelines.bracket(ONE, offset)
        assert found is not None
        assert (found.after or 0) < NOW + offset + 1 <= found.until
    assert timelines.bracket(ONE, 998) == Bracket(NOW + 998, NOW + 999)


def lag_of(log: Log, committed: Mapping[Partition, int], *, append_time: bool = True) -> GroupLag:
    timelines = Timelines()
    timelines.note(NOW - 40 * SECOND, dict.fromkeys(log.ends, 0))
    timelines.note(NOW, log.ends)
    del committed
    return GroupLag(timelines, log.offsets_at, lambda _topic: append_time, lambda group: group.startswith("headrace-"))


def test_groups_are_behind_in_records_and_seconds() -> None:
    log = Log(one=[30.0, 20.0, 10.0], two=[30.0])
    committed = {ONE: 1, TWO: 1}
    state = GroupState("STABLE", "consumer", (("reader", (ONE,)), ("other", (TWO,))))
    answers = GroupAnswers({"team": state}, {"team": committed}, {})
    group = lag_of(log, committed).figures(NOW, log.ends, answers, {})["team"]
    one, two = group.partition_list
    assert (one.lag, one.member, one.approximate) == (2, "reader", False)
    assert one.lag_seconds(NOW) == pytest.approx(20, abs=1)
    assert (two.lag, two.lag_seconds(NOW), two.stands_since) == (0, 0.0, None)
    assert (group.members, group.state, group.protocol, group.ours) == (2, "STABLE", "consumer", False)


def test_of_topics_with_their_producers_timestamps_seconds_are_an_estimate_from_samples() -> None:
    log = Log(one=[30.0, 20.0, 10.0])
    answers = GroupAnswers({}, {"team": {ONE: 1}}, {})
    (one,) = lag_of(log, {ONE: 1}, append_time=False).figures(NOW, log.ends, answers, {})["team"].partition_list
    assert log.rounds == 0
    assert (one.lag, one.approximate, one.lag_seconds(NOW)) == (2, True, 20.0)


def test_a_group_that_never_committed_stands_beside_the_others_and_its_lag_is_not_known() -> None:
    log = Log(one=[30.0])
    state = GroupState("STABLE", "classic", (("reader", (ONE,)),))
    answers = GroupAnswers({"team": state, "broken": state}, {"team": {}}, {"broken": "not allowed"})
    found = lag_of(log, {}).figures(NOW, log.ends, answers, {})
    (one,) = found["team"].partition_list
    assert (one.committed, one.lag, one.lag_seconds(NOW), one.member) == (None, None, None, "reader")
    assert found["broken"].missing == "not allowed"


def test_since_when_a_group_stands_is_remembered_until_it_moves() -> None:
    log = Log(one=[30.0, 20.0])
    lag = lag_of(log, {})
    first = lag.figures(NOW, log.ends, GroupAnswers({}, {"team": {ONE: 0}}, {}), {})
    second = lag.figures(NOW + 9, log.ends, GroupAnswers({}, {"team": {ONE: 0}}, {}), first)
    third = lag.figures(NOW + 20, log.ends, GroupAnswers({}, {"team": {ONE: 1}}, {}), second)
    stands = [each["team"].partition_list[0].stands_since for each in (first, second, third)]
    assert stands == [NOW, NOW, NOW + 20]


def test_the_same_record_is_searched_for_once() -> None:
    log = Log(one=[30.0, 20.0])
    lag = lag_of(log, {})
    answers = GroupAnswers({}, {"team": {ONE: 1}}, {})
    lag.figures(NOW, log.ends, answers, {})
    asked = log.rounds
    assert asked > 0
    lag.figures(NOW + SECOND, log.ends, answers, {})
    assert log.rounds == asked


def test_what_a_member_can_do_is_what_it_did_while_it_was_behind() -> None:
    def read(*committed: int, member: str = "reader") -> tuple[GroupPartition, ...]:
        return tuple(
            GroupPartition(topic="t", partition=number, committed=each, end_offset=1_000, member=member)
            for number, each in enumerate(committed)
        )

    def group(*read: GroupPartition, **rates: float) -> GroupFigures:
        return GroupFigures(group="team", partition_list=read, member_rates=rates)

    assert member_rates(read(100, 200), group(*read(0, 100)), 10.0) == {"t": 20.0}
    assert member_rates(read(100, 200), group(*read(0, 100), t=50.0), 10.0) == {"t": 50.0}
    assert member_rates(read(1_000), group(*read(0)), 10.0) == {}
    assert member_rates(read(100, member="other"), group(*read(0)), 10.0) == {}
    assert member_rates(read(100), None, 10.0) == {}
