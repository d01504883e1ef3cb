"""Whose publications come first, and what the event loop gets to do between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.websocket import hub as hub_module
from connectors.websocket.history import Retention
from connectors.websocket.hub import Hub
from connectors.websocket.metrics import RealtimeMetrics
from schemas.model import topics
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.websocket.channel import PushFrame

MUCH, LITTLE = b"endpoint:much", b"endpoint:little"


def record(key: bytes, offset: int, size: int) -> Any:
    return ConsumedMessage(topics.WEBSOCKET_DELIVERIES, b"x" * size, key=key, offset=offset)


class Subscribed:
    """Notes the channel of each publication."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self._name = name
        self._seen = seen

    def push(self, frames: Sequence[PushFrame]) -> int:
        self._seen += [self._name] * sum(frame.publications for frame in frames)
        return 0


@pytest.fixture
def hub() -> Hub:
    made = Hub(lambda _: b"{}", Retention(1_000, 10**9), RealtimeMetrics(CollectorRegistry()))
    made._epochs = {0: "epoch"}
    return made


async def test_a_channel_with_much_comes_after_others_and_in_parts(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_PART_BYTES", 250)
    seen: list[str] = []
    subscribed: Any = {key: Subscribed(name, seen) for key, name in ((MUCH, "much"), (LITTLE, "little"))}
    for key, subscriber in subscribed.items():
        await hub.publish([record(key, 0, 1)], {})
        hub.channel(key).subscribers[subscriber] = None

    async def look() -> None:
        while True:
            seen.append("the loop")
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    records: Any = [record(MUCH, number, 100) for number in range(1, 8)] + [record(LITTLE, 8, 100)]
    await hub.publish(records, {0: 9})
    looking.cancel()

    assert seen[0] == "little"
    assert [name for name in seen if name == "much"] == ["much"] * 7
    between = seen[seen.index("much") : len(seen) - seen[::-1].index("much")]
    assert "the loop" in between
    assert (hub.top(MUCH), hub.top(LITTLE), hub.nexts) == (8, 2, {0: 9})
