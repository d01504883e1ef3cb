"""The broker's description of a consumer group, asked by a process of its own.

librdkafka ends the process when a connection breaks while it asks a group's coordinator (its issue 4605, from an
AdminClient). No plane may make such a call itself.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_TIMEOUT = 10.0
"""Seconds for Kafka to answer."""

_PATIENCE = 30.0
"""Seconds until the process is ended."""


class GroupQuestion:
    """One question, under way from the beginning.

    Args:
        settings: how to reach Kafka. The process gets them by its standard input, where nobody can read secrets.
        group: the consumer group.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._group = group
        self._deadline = time.monotonic() + _PATIENCE
        config = {name: value for name, value in settings.client_config().items() if name != "logger"}
        # Files, not pipes: neither side waits for the other.
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  # closed once it is read
        with tempfile.TemporaryFile() as question:
            question.write(json.dumps({"config": config, "group": group}).encode())
            question.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backbone.kafka.group_description"],
                stdin=question,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
            )

    def is_over(self) -> bool:
        """Whether the process has ended."""
        if self._process.poll() is None and time.monotonic() > self._deadline:
            self.drop()
        return self._process.poll() is not None

    def partitions_of(self, member: str | None) -> set[Partition]:
        """The partitions that the broker has given to a member; none without an answer. Call it once, at the end.

        Args:
            member: its id.
        """
        with self._answer as answer:
            answer.seek(0)
            text = answer.read().decode()
        if self._process.returncode != 0:
            reason = text.strip() or f"the question ended with exit code {self._process.returncode}"
            log.info("kafka consumer: the group %s could not be described", self._group, extra={"reason": reason})
            return set()
        return {(topic, partition) for topic, partition in json.loads(text).get(member, ())}

    def drop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def describe(config: Mapping[str, str], group: str) -> dict[str, list[tuple[str, int]]]:
    """The partitions of each member of a group, by the member's id."""
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # only the process that asks needs it

    # Held until the end: librdkafka waits for ever when a client is dropped that has a question open.
    client = AdminClient(dict(config))
    asked = client.describe_consumer_groups([group], request_timeout=_TIMEOUT)
    return {
        each.member_id: [(entry.topic, entry.partition) for entry in each.assignment.topic_partitions]
        for each in asked[group].result(2 * _TIMEOUT).members
    }


def main() -> None:
    """Read a question from standard input, and write the answer as JSON, or why there is none."""
    try:
        answer = json.dumps(describe(**json.load(sys.stdin)))
    except Exception as error:  # whatever it was, the one who asked is told
        sys.stdout.write(repr(error))
        raise SystemExit(1) from error
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
