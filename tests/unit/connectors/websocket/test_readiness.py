"""Whether a realtime node is ready is asked once at a time, and answered on its own port."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp

from connectors.websocket.server import Server
from connectors.websocket.settings import RealtimeSettings


async def test_a_node_is_not_ready_while_its_process_is_not() -> None:
    node: Any = SimpleNamespace(settings=RealtimeSettings(port=0), sessions=set())
    asked = []
    why: str | None = "Kafka is away."

    def unready() -> str | None:
        asked.append(why)
        return why

    server = Server(node, [], unready)
    url = f"http://127.0.0.1:{await server.start()}"
    try:
        async with aiohttp.ClientSession(url) as http:
            async with http.get("/readyz") as answer:
                assert (answer.status, await answer.json()) == (503, {"status": "unavailable", "reason": why})
            request: Any = None
            await asyncio.gather(*(server._ready(request) for _ in range(3)))
            assert len(asked) == 2
            why = None
            async with http.get("/readyz") as answer:
                assert answer.status == 200
    finally:
        await server.stop()
