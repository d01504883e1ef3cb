"""What Kafka's coordinators know of consumer groups, asked by a process of its own; see ``group_description``.

Each question is a process that lives for a moment: librdkafka ends a process when a connection breaks while it asks a
coordinator (its issue 4605).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.model.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

_TIMEOUT = 10.0
"""Seconds for Kafka to answer one request."""

_NOT_EMPTY = 3
"""Exit code: the group has members, so that Kafka does not take offsets for it."""

_GONE = ("GROUP_ID_NOT_FOUND", "_NOOP")


class Member(msgspec.Struct, frozen=True):
    """One consumer of a group, and the partitions that it was given."""

    id: str
    client: str
    host: str
    partitions: list[tuple[str, int]] = []


class KnownGroup(msgspec.Struct, frozen=True):
    """A group as its coordinator describes it; ``offsets`` are those committed, of the partitions asked for."""

    group: str
    state: str
    members: list[Member] = []
    offsets: list[tuple[str, int, int]] = []

    @property
    def committed(self) -> dict[Partition, int]:
        """The next offset to read of each partition that has one."""
        return {(topic, partition): offset for topic, partition, offset in self.offsets}

    @property
    def assigned(self) -> set[Partition]:
        """The partitions that members were given."""
        return {(topic, partition) for member in self.members for topic, partition in member.partitions}


_GROUPS = msgspec.json.Decoder(list[KnownGroup])


def known_groups(
    settings: KafkaSettings, groups: Collection[str] | None, *, topic: str | None = None, seconds: float = 30.0
) -> list[KnownGroup]:
    """Groups that there are, by their names or all. Blocks.

    Args:
        settings: how to reach Kafka.
        groups: names; None: all.
        topic: only the offsets of this topic, and of all groups only those that have to do with it.
        seconds: that it may take.

    Raises:
        Unavailable: Kafka does not answer.
    """
    question = {"ask": "groups", "groups": None if groups is None else sorted(groups), "topic": topic}
    return _GROUPS.decode(_asked(settings, question, seconds))


def commit_for(settings: KafkaSettings, group: str, offsets: Mapping[Partition, int], *, seconds: float = 30.0) -> None:
    """Commit offsets for a group without members. Blocks.

    Raises:
        Conflict: it has members.
        Unavailable: Kafka does not answer; some offsets may be committed.
    """
    places = [[topic, partition, offset] for (topic, partition), offset in offsets.items()]
    _asked(settings, {"ask": "commit", "group": group, "offsets": places}, seconds)


def _asked(settings: KafkaSettings, question: dict[str, Any], seconds: float) -> bytes:
    config = {name: value for name, value in settings.client_config().items() if name != "logger"}
    try:
        # The configuration has secrets: nobody can read it on the standard input.
        answer = subprocess.run(
            [sys.executable, "-m", "backbone.kafka.group_questions"],
            input=json.dumps(question | {"config": config}).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"ask about groups: {error!r}") from error
    if answer.returncode == _NOT_EMPTY:
        raise Conflict("the group has members")
    if answer.returncode:
        reason = answer.stdout.decode(errors="replace").strip() or f"exit code {answer.returncode}"
        raise Unavailable(f"ask about groups: {reason}")
    return answer.stdout


def _groups(config: Mapping[str, str], groups: list[str] | None, topic: str | None) -> bytes:
    from confluent_kafka import ConsumerGroupTopicPartitions  # noqa: PLC0415  # only the process that asks needs it
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # likewise

    # Held until the end: librdkafka waits for ever when a client is dropped that has a question open.
    client = AdminClient(dict(config))
    names = groups
    if names is None:
        listed = client.list_consumer_groups(request_timeout=_TIMEOUT).result(2 * _TIMEOUT)
        names = sorted(each.group_id for each in listed.valid)
    if not names:
        return b"[]"
    described = client.describe_consumer_groups(names, request_timeout=_TIMEOUT)
    committed = {
        name: client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)], request_timeout=_TIMEOUT)[name]
        for name in names
    }
    found = []
    for name in names:
        offsets = _result(committed[name].result)
        places = () if offsets is None else offsets.topic_partitions
        known = KnownGroup(
            name,
            *_members(_result(described[name].result)),
            [(e.topic, e.partition, e.offset) for e in places if e.offset >= 0 and topic in (None, e.topic)],
        )
        is_of_topic = topic is None or known.offsets or any(name == topic for name, _ in known.assigned)
        if groups is not None or is_of_topic:
            found.append(known)
    return msgspec.json.encode(found)


def _members(group: Any) -> tuple[str, list[Member]]:
    """The state and the members of a described group; None: there is no such group."""
    if group is None:
        return "DEAD", []
    members = []
    for each in group.members:
        assigned = each.assignment.topic_partitions if each.assignment else ()
        places = [(entry.topic, entry.partition) for entry in assigned]
        members.append(Member(each.member_id, each.client_id, each.host, places))
    return str(group.state.name), members


def _commit(config: Mapping[str, str], group: str, offsets: Iterable[tuple[str, int, int]]) -> bytes:
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition  # noqa: PLC0415  # likewise
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # likewise

    client = AdminClient(dict(config))
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(*each) for each in offsets])]
    try:
        done = client.alter_consumer_group_offsets(wanted, request_timeout=_TIMEOUT)[group].result(2 * _TIMEOUT)
    except KafkaException as exception:
        if exception.args[0].name() in {"NON_EMPTY_GROUP", "UNKNOWN_MEMBER_ID"}:
            raise SystemExit(_NOT_EMPTY) from exception
        raise
    failed = [entry for entry in done.topic_partitions if entry.error]
    if any(entry.error.name() in {"NON_EMPTY_GROUP", "UNKNOWN_MEMBER_ID"} for entry in failed):
        raise SystemExit(_NOT_EMPTY)
    if failed:
        raise KafkaException(failed[0].error)
    return b""


def _result(ask: Callable[[float], Any]) -> Any:
    from confluent_kafka import KafkaException  # noqa: PLC0415  # likewise

    try:
        return ask(2 * _TIMEOUT)
    except KafkaException as exception:
        if exception.args[0].name() in _GONE:
            return None
        raise


def main() -> None:
    """Read a question from standard input, and write the answer as JSON, or why there is none."""
    question = json.load(sys.stdin)
    answer_to: Callable[..., bytes] = _groups if question.pop("ask") == "groups" else _commit
    try:
        answer = answer_to(**question)
    except Exception as error:  # whatever it was, the one who asked is told
        sys.stdout.write(repr(error))
        raise SystemExit(1) from error
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
