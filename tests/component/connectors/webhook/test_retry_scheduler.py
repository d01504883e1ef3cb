"""The hopper killed in the middle of its transaction: every retry comes back, and exactly once."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery
from tests.component.connectors.post_office import until
from tests.component.connectors.webhook.test_failover import connector_on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Receiver

KILLED_BEFORE_ITS_FIRST_COMMIT = (
    "import os, signal\n"
    "from backbone.kafka.transaction import TransactionalProducer\n"
    "def commit(producer):\n"
    "    producer._client.flush(10)\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "TransactionalProducer.commit = commit\n"
)


async def test_a_hopper_killed_before_its_commit_moves_every_retry_once(
    office: PostOffice, receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = await office.endpoint(receiver.url("hopper"), enabled=False)
    tier = topics.RETRY_TIERS[5]
    due = timestamps.now() // 1_000 + 1_000
    routed = [office.delivery(endpoint, attempts=1, due=due) for _ in range(200)]
    sent = {Delivery.from_headers(record.headers).id for record in routed}
    await office.producer.send([msgspec.structs.replace(record, topic=tier) for record in routed])

    # Both have the same node id, so that the second one finds the first one's transaction open and ends it.
    with connector_on(office, tmp_path / "first", node="hopper", before=KILLED_BEFORE_ITS_FIRST_COMMIT) as first:
        await until(lambda: first.process.poll() is not None, "it is killed before its commit")
        assert first.process.returncode == -signal.SIGKILL
    assert office.returned(endpoint) == []
    with connector_on(office, tmp_path / "second", node="hopper") as second:
        await until(lambda: len(office.returned(endpoint)) >= len(sent), "all came back")
        assert second.end(signal.SIGTERM) == 0

    assert Counter(delivery.id for delivery in office.returned(endpoint)) == dict.fromkeys(sent, 1)
