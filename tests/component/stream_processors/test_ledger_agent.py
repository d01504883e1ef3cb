from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backbone.catalog.writer import Changes
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from backbone.ledger.queries import LedgerQueries
from backbone.ledger.tables import open_ledger
from schemas import timestamps, topics
from schemas.access import Workspace
from schemas.ids import new_id
from schemas.reading import ReadScope
from tests.component.stream_processors.installation import wait_until

if TYPE_CHECKING:
    from tests.component.stream_processors.installation import Installation


async def test_events_and_deliveries_reach_the_ledger_and_poison_does_not_stop_it(installation: Installation) -> None:
    workspace = Workspace(
        id=new_id(), name=installation.workspace, created_at=timestamps.now(), updated_at=timestamps.now()
    )
    await installation.writer.write(lambda _: Changes(result=None, put=[workspace]))
    orders = await installation.event_type("Order", partitions=1)
    endpoint = await installation.endpoint("all")
    await installation.link(await installation.event_filter("Order"), endpoint)
    await installation.producer.send([Record(orders.topic, b"not an event", partition=0)])
    await installation.publish(orders, "event-1", data='{"price": 5}')
    group = f"ledger-{installation.workspace}"
    await asyncio.to_thread(_begin_now, installation, group)
    (poison,) = await installation.producer.send([Record(topics.ATTEMPTS, b"not an attempt", partition=0)])

    url = f"sqlite:///{installation.directory / 'ledger.sqlite3'}"
    engine = open_ledger(url)
    queries = LedgerQueries(engine)
    environment = {
        "HEADRACE_PROCESSORS_LEDGER": "true",
        "HEADRACE_PROCESSORS_LEDGER_GROUP": group,
        "HEADRACE_LEDGER_URL": url,
    }
    with installation.worker(0, **environment) as worker:

        def indexed() -> bool:
            event = queries.event(ReadScope(workspace=installation.workspace), "event-1")
            return event is not None and len(queries.deliveries(installation.workspace, "event-1")) == 1

        await asyncio.to_thread(wait_until, indexed, 120, "the event and its delivery are in the ledger")
        await asyncio.to_thread(
            wait_until, lambda: installation.dead_letters(orders.topic) != [], 120, "the poison is set aside"
        )
        place = str(poison.offset).encode()
        await asyncio.to_thread(
            wait_until,
            lambda: any(each["hr_dead_offset"] == place for each in installation.dead_letters(topics.ATTEMPTS)),
            120,
            "the poison attempt is set aside",
        )
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    (delivery,) = queries.deliveries(installation.workspace, "event-1")
    assert delivery.endpoint == endpoint.id
    assert {each["hr_dead_offset"] for each in installation.dead_letters(orders.topic)} == {b"0"}
    engine.dispose()


def _begin_now(installation: Installation, group: str) -> None:
    """Have the group begin where the test did: other tests' records are of no interest."""
    consumer = BatchConsumer(installation.settings, group=group)
    partitions = consumer.partitions_of([topics.WEBHOOK_DELIVERIES, topics.ATTEMPTS, topics.DEAD_LETTERS])
    consumer.commit(consumer.end_offsets(partitions) | installation.began)
    consumer.close()
