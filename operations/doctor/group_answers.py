"""What the coordinators tell about consumer groups, asked by a process of its own.

librdkafka ends the process when a connection breaks while it asks a coordinator (its issue 4605).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from operations.errors import NotKnown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.settings import KafkaSettings

_TIMEOUT = 5.0
"""Seconds for Kafka to answer each question."""

_PATIENCE = 25.0
"""Seconds until the process is ended; the check's deadline comes before."""


class Group(msgspec.Struct, frozen=True):
    """A consumer group.

    Attributes:
        members: how many consumers are in it.
        is_classic: whether it uses the classic group protocol.
        waiting: records behind its committed offsets.
    """

    members: int
    is_classic: bool
    waiting: int


def ask(settings: KafkaSettings, names: Sequence[str]) -> dict[str, Group]:
    """The groups of these names; one that never was has no members.

    Raises:
        NotKnown: Kafka does not answer, or does not allow it.
    """
    config = {name: value for name, value in settings.client_config().items() if name != "logger"}
    question = json.dumps({"config": config, "names": list(names)})
    try:
        # By standard input: a command line shows its secrets to everybody.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "operations.doctor.group_answers"],
            input=question,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotKnown("The groups' coordinators do not answer.") from error
    if done.returncode:
        why = done.stdout.strip() or f"the process that asked ended with exit code {done.returncode}"
        raise NotKnown(f"The groups could not be described: {why}")
    return msgspec.json.decode(done.stdout, type=dict[str, Group])


def describe(config: dict[str, str], names: list[str]) -> dict[str, Group]:
    """``ask``, in the process that may end."""
    from confluent_kafka import (  # noqa: PLC0415  # only the process that asks needs it
        ConsumerGroupTopicPartitions,
        ConsumerGroupType,
        KafkaError,
        KafkaException,
    )
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # noqa: PLC0415  # not re-exported for mypy
        AdminClient,
        OffsetSpec,
    )

    client = AdminClient(dict(config))
    described: dict[str, Any] = client.describe_consumer_groups(names, request_timeout=_TIMEOUT)
    offsets = {
        name: client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)], request_timeout=_TIMEOUT)[name]
        for name in names
    }
    found: dict[str, Group] = {}
    for name, answer in described.items():
        try:
            group = answer.result(2 * _TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            found[name] = Group(0, is_classic=False, waiting=0)
            continue
        committed = [each for each in offsets[name].result(2 * _TIMEOUT).topic_partitions if each.offset >= 0]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = dict.fromkeys(committed, latest)
        ends = client.list_offsets(wanted, request_timeout=_TIMEOUT) if wanted else {}
        places = {(each.topic, each.partition): each.offset for each in committed}
        waiting = sum(
            max(end.result(2 * _TIMEOUT).offset - places[place.topic, place.partition], 0)
            for place, end in ends.items()
        )
        is_classic = group.type is ConsumerGroupType.CLASSIC
        found[name] = Group(len(group.members), is_classic=is_classic, waiting=waiting)
    return found


def main() -> None:
    """Read a question from standard input, and write the answer as JSON, or why there is none."""
    try:
        answer = msgspec.json.encode(describe(**json.load(sys.stdin))).decode()
    except Exception as error:  # noqa: BLE001  # whatever it was, the one who asked is told
        sys.stdout.write(str(error))
        _end(1)
    sys.stdout.write(answer)
    _end(0)


def _end(status: int) -> NoReturn:
    """End at once: librdkafka waits for ever, or breaks, when a client is dropped that has a question open."""
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
