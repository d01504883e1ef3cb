"""Bare broadcast: an aiohttp WebSocket server that sends the same text to every connection, so many times.

Job: ``{"port", "text"}``. For every line ``<connections> <times>`` on standard input it waits for that many
connections, sends, and prints its resident bytes before and after they came, and the CPU seconds that connecting and
sending took.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def main(job: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    sockets: list[tuple[web.WebSocketResponse, asyncio.Transport]] = []
    connected: list[float] = []

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.append((socket, request.transport))
        connected.append(time.process_time())
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/connection/websocket", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", job["port"], backlog=4_096).start()
    before, started = _resident(), time.process_time()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        connections, times = map(int, line.split())
        while len(sockets) < connections:  # noqa: ASYNC110  # not what is measured
            await asyncio.sleep(0.01)
        after = _resident()
        cpu = time.process_time()
        for _ in range(times):
            for socket, _ in sockets:
                await socket.send_str(job["text"])
            await asyncio.sleep(0)
        # What the kernel has not taken yet is still to be written.
        while any(transport.get_write_buffer_size() for _, transport in sockets):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.005)
        spent = {"connecting": connected[-1] - started, "cpu": time.process_time() - cpu}
        print(json.dumps({"before": before, "after": after, **spent}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(main(json.loads(Path(sys.argv[1]).read_text())))
