"""A node that starts later; in a module of its own, because no other node may write positions meanwhile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from connectors.websocket.positions import load_positions
from schemas.model.channels import channel_key
from tests.component.connectors.post_office import until
from tests.component.connectors.websocket.node import (
    Clients,
    order_ids,
    position,
    publish,
    running_node,
    some_channel,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from tests.component.connectors.post_office import PostOffice


@pytest.mark.parametrize("rebuild", [0, 3, 100_000])
async def test_a_node_that_starts_later_counts_alike(
    kafka: KafkaSettings, office: PostOffice, tmp_path: Path, rebuild: int
) -> None:
    """From the positions that another wrote: without history, with a part of it, with all of it."""
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    key = channel_key("default", channel)
    async with contextlib.AsyncExitStack() as stack:
        with running_node(kafka, tmp_path / "first", positions_interval=0.1) as first:
            await publish(office, endpoint, channel, range(1, 8))
            at = await position(Clients(first.url, stack), channel, 7)

            def marks() -> list[int]:
                return [mark.number for (_, name), mark in load_positions(kafka).marks.items() if name == key]

            await until(lambda: marks() == [7], "the position is written")
        await publish(office, endpoint, channel, range(8, 10))
        with running_node(kafka, tmp_path / "second", rebuild_records=rebuild) as second:
            clients = Clients(second.url, stack)
            _, result = await clients.subscribe(channel, recover=True, **at)
            assert (result["epoch"], result["recovered"]) == (at["epoch"], True)
            assert [each["offset"] for each in result["publications"]] == [8, 9]
            assert order_ids(result["publications"]) == [8, 9]
            _, earlier = await clients.subscribe(channel, recover=True, epoch=at["epoch"], offset=0)
            if rebuild == 100_000:
                assert order_ids(earlier["publications"]) == list(range(1, 10))
            else:
                assert "recovered" not in earlier
