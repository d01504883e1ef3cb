"""Publishes events of one key, each when the one before is acknowledged, and prints their ids: a process to stop."""

from __future__ import annotations

import asyncio
import json
import sys

from backbone.catalog.reader import Catalog
from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from backbone.publishing.idempotency import IdempotencyLog
from backbone.publishing.publisher import Publisher
from schemas.model.errors import Unavailable
from schemas.model.event import EventDraft
from tests.support.running_gateway import SECRET_KEYS


async def publish(kafka: KafkaSettings, draft: EventDraft) -> None:
    """Publish the same draft until the standard output is closed; print the id of each, and a point where refused."""
    catalog, producer = Catalog(kafka, [SECRET_KEYS]), Producer(kafka)
    publisher = Publisher(catalog, producer, IdempotencyLog(kafka, producer))
    catalog.start()
    await producer.start()
    await catalog.caught_up(60)
    while True:
        try:
            (receipt,) = await publisher.publish([draft])
            tell(f"{receipt.partition} {receipt.offset}")
        except Unavailable:
            tell(".")
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.005)


def tell(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Take settings and the draft's members as JSON from the command line."""
    settings, members = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    asyncio.run(publish(KafkaSettings(**settings), EventDraft(**members | {"data": members["data"].encode()})))


if __name__ == "__main__":
    main()
