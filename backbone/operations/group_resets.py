"""Resets of a consumer group's committed offsets: what they would be, and whether they may be set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.group_questions import KnownGroup, commit_for, known_groups
from schemas.model.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backbone.kafka.our_groups import OurGroups
    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

OURS = "headrace-"

_REFUSED = {
    "headrace-webhook": "deliveries would be sent twice or never: resend, replay or redrive them",
    "headrace-webhook-replay": "deliveries would be sent twice or never: resend, replay or redrive them",
    "headrace-webhook-retries": "retries would be sent twice or never: redrive dead letters",
    "headrace-file": "events would be in files twice or never: replay them",
    "headrace-realtime-positions": "offsets of channels would be counted anew, and clients could not recover",
    "headrace-runs": "runs would be executed again or never",
}
_OF_ROUTER = (
    "it commits offsets in the transactions that write deliveries and receipts, so events would be delivered twice or "
    "never: replay them"
)

_NOBODY = {"EMPTY", "DEAD"}


class Target(msgspec.Struct, frozen=True):
    """Where to: one of these.

    Attributes:
        time: the first record at or after it, microseconds since the epoch.
        offset: that one, or the nearest that there is.
        shift: so many records on, or back if negative.
        earliest, latest: the first record that there is, or the end.
    """

    time: int | None = None
    offset: int | None = None
    shift: int | None = None
    earliest: bool = False
    latest: bool = False

    def check(self) -> None:
        """Refuse none and several.

        Raises:
            InvalidRequest: it is not exactly one.
        """
        given = [self.time is not None, self.offset is not None, self.shift is not None, self.earliest, self.latest]
        if sum(given) != 1:
            message = "must be exactly one of time, offset, shift, earliest and latest"
            raise InvalidRequest("The offsets cannot be reset.", [Problem(path="$.to", message=message)])


class ResetPartition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of a reset; ``before`` is None where the group has committed nothing."""

    topic: str
    partition: int
    before: int | None
    after: int
    end_offset: int


class GroupResets:
    """Resets offsets; all methods block.

    Args:
        settings: how to reach Kafka.
        ours: names of our groups.
    """

    def __init__(self, settings: KafkaSettings, ours: OurGroups) -> None:
        self._settings = settings
        self._ours = ours

    def plan(
        self,
        group: str,
        target: Target,
        *,
        topics: Collection[str] | None,
        partitions: Collection[int] | None = None,
        visible: Collection[str] | None,
        seconds: float,
    ) -> list[ResetPartition]:
        """What the offsets would be.

        Args:
            group: its id.
            target: where to.
            topics: the only ones; None: all that the group has committed offsets of.
            partitions: the only ones of each topic; None: all.
            visible: topics that the caller may know of; None: all.
            seconds: that Kafka may take.

        Raises:
            NotFound: no such group, or none that reads a visible topic.
            Conflict: it has members, or is a group of Headrace whose offsets must not be reset.
            PermissionDenied: it is the ledger's, and the caller may not know of all topics.
            InvalidRequest: the target is not one.
            Unavailable: Kafka does not answer.
        """
        target.check()
        self._check_ours(group)
        if visible is not None and group == self._ours.ledger:
            raise PermissionDenied(
                "Only an administrator resets the offsets of the ledger: it keeps everybody's events."
            )
        (known,) = known_groups(self._settings, [group], seconds=seconds)
        chosen = {topic for topic, _ in known.committed} if topics is None else set(topics)
        if visible is not None:
            # Nothing is told of a group that reads none of them: not even that it is there, or who its members are.
            chosen &= set(visible) & {topic for topic, _ in (*known.committed, *known.assigned)}
        if not chosen:
            raise NotFound(f"There is no group {group} with offsets of these topics.")
        _check_empty(known)
        places = self._places(known, chosen, target, seconds)
        if not places:
            raise NotFound(f"There are no such topics: {', '.join(sorted(chosen))}.")
        if partitions is not None:
            places = [each for each in places if each.partition in partitions]
            if not places:
                numbers = ", ".join(map(str, sorted(partitions)))
                raise NotFound(f"No such partition of {', '.join(sorted(chosen))}: {numbers}.")
        if group == self._ours.ledger:
            _check_backwards(places)
        return places

    def reset(self, group: str, places: Collection[ResetPartition], *, seconds: float) -> None:
        """Commit the offsets of a plan.

        Raises:
            Conflict: the group has got members meanwhile.
            Unavailable: Kafka does not answer; some may be committed.
        """
        commit_for(self._settings, group, {(e.topic, e.partition): e.after for e in places}, seconds=seconds)

    def _check_ours(self, group: str) -> None:
        reason = _OF_ROUTER if group == self._ours.router else _REFUSED.get(group)
        if reason is None and group.startswith(OURS) and group != self._ours.ledger:
            reason = "it is one of Headrace"
        if reason is not None:
            raise Conflict(f"The offsets of {group} are not reset: {reason}.")

    def _places(
        self, known: KnownGroup, topics: Collection[str], target: Target, seconds: float
    ) -> list[ResetPartition]:
        consumer = BatchConsumer(self._settings, group=None)
        try:
            partitions = consumer.partitions_of(sorted(topics), seconds)
            bounds = consumer.watermarks(partitions, seconds)
            times: Mapping[Partition, int | None] = {}
            if target.time is not None and partitions:
                times = consumer.offsets_for_times(dict.fromkeys(partitions, -(-target.time // 1_000)), seconds)
        finally:
            consumer.close()
        committed = known.committed
        return [
            ResetPartition(
                topic=topic,
                partition=number,
                before=committed.get((topic, number)),
                after=_after(target, committed.get((topic, number)), bounds[topic, number], times.get((topic, number))),
                end_offset=bounds[topic, number][1],
            )
            for topic, number in partitions
        ]


def _after(target: Target, committed: int | None, bounds: tuple[int, int], at_time: int | None) -> int:
    """The offset that a target stands for in a partition with these bounds: never before the first, or past the end."""
    first, end = bounds
    if target.earliest:
        return first
    if target.latest:
        return end
    if target.time is not None:
        return end if at_time is None else at_time
    if target.shift is not None:
        wanted = (first if committed is None else committed) + target.shift
    else:
        wanted = target.offset or 0
    return min(max(wanted, first), end)


def _check_empty(known: KnownGroup) -> None:
    if known.members or known.state not in _NOBODY:
        named = ", ".join(f"{each.client} at {each.host.lstrip('/')}" for each in known.members) or known.state.lower()
        raise Conflict(
            f"The group {known.group} has members, which would commit their own offsets: {named}. Stop them first."
        )


def _check_backwards(places: Collection[ResetPartition]) -> None:
    """The ledger is the same when it indexes records again, and lacks what it leaves out."""
    skipped = [each for each in places if each.before is not None and each.after > each.before]
    if skipped:
        named = ", ".join(f"{each.topic}/{each.partition}" for each in skipped[:5])
        raise Conflict(f"The ledger would lack the events that are left out: {named}. It can only go back.")
