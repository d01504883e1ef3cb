"""Where events arrive: webhook receivers that can misbehave, a realtime client, event files, the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import time
from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from centrifuge import Client, ClientEventHandler

from tests.endurance.load import TOKEN

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from centrifuge import ServerPublicationContext

_HEAD = re.compile(rb"(?im)^(content-length|webhook-id): *(\S+)\r$")


class Behaviour(StrEnum):
    """How a webhook receiver answers."""

    GOOD = "good"
    SLOW = "slow"
    ERROR = "500"
    RESET = "reset"
    GARBAGE = "garbage"
    SILENT = "silent"
    GONE = "410"


SLOW_SECONDS = 2.0
LIMITED = "limited"
HOOKS = ("steady", "poor", "gone", LIMITED)
"""Endpoints: one that always answers, one that misbehaves at times, one that answers 410 at times, and one that always
answers and has a rate limit, which holds when it catches up."""


class Hooks:
    """The receivers, on one port; the path says which.

    Attributes:
        behaviour: of each receiver now.
        received: by receiver, token to how often it was answered 2xx.
        deliveries: by receiver and token, the ``webhook-id`` values it came with.
        gone_since: when a receiver answered 410 first, after it was good.
        after_gone: requests that came more than a grace after it.
        limited_at: when each request to the limited one came, in monotonic seconds.
    """

    def __init__(self) -> None:
        self.behaviour = dict.fromkeys(HOOKS, Behaviour.GOOD)
        self.received: dict[str, Counter[str]] = {name: Counter() for name in HOOKS}
        self.deliveries: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.gone_since: float | None = None
        self.after_gone = 0
        self.limited_at: list[float] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    def url(self, name: str) -> str:
        """Where a receiver is."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/{name}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # It is cancelled with everything else in the end.
        ends = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with contextlib.suppress(*ends):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False ends the connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {name.lower(): value for name, value in _HEAD.findall(head)}
        body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
        name = head.split(b" ", 2)[1].decode().strip("/")
        behaviour = self.behaviour[name]
        if name == LIMITED:
            self.limited_at.append(time.monotonic())
        tokens = {each.decode() for each in TOKEN.findall(body)}
        for token in tokens:
            self.deliveries[name, token].add(fields.get(b"webhook-id", b"").decode())
        match behaviour:
            case Behaviour.RESET:
                writer.transport.abort()
                return False
            case Behaviour.GARBAGE:
                writer.write(b"\x00\xff this is no HTTP \r\n\r\n" * 10)
                return False
            case Behaviour.SILENT:
                await asyncio.sleep(60)
                return False
            case Behaviour.ERROR:
                writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\noops")
                return True
            case Behaviour.GONE:
                self._note_gone()
                writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
                return True
            case Behaviour.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
        self.received[name].update(tokens)
        writer.write(b"HTTP/1.1 204 OK\r\n\r\n")
        return True

    def _note_gone(self) -> None:
        now = time.monotonic()
        self.gone_since = self.gone_since or now
        # Requests that were in flight, and those of a worker that has not read of the disabling yet.
        self.after_gone += now - self.gone_since > 10.0


class Listener(ClientEventHandler):  # type: ignore[misc]  # the SDK's base class is untyped
    """A realtime client that reconnects and recovers.

    Attributes:
        received: token to how often it came.
        unrecovered: how often a subscription came back without what was missed.
    """

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(url, events=self, token=token, max_reconnect_delay=2.0)
        self.received: Counter[str] = Counter()
        self.unrecovered = 0

    async def __aenter__(self) -> Self:
        await self._client.connect()
        await self._client.ready(30)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.disconnect()

    async def on_publication(self, context: ServerPublicationContext) -> None:
        """The SDK calls this for every message."""
        self.received.update({each.decode() for each in TOKEN.findall(str(context.pub.data).encode())})

    async def on_subscribed(self, context: object) -> None:
        """The SDK calls this after each connection."""
        if getattr(context, "was_recovering", False) and not getattr(context, "recovered", True):
            self.unrecovered += 1


class Files:
    """Event files as their endpoint finds them; each is read once, for it never changes.

    Attributes:
        received: token to how often it is in a file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: set[Path] = set()
        self.received: Counter[str] = Counter()

    def look(self) -> None:
        """Read the files that are new."""
        for path in self._directory.rglob("*.jsonl"):
            if path not in self._read and ".drafts" not in path.parts and path.is_file():
                self._read.add(path)
                for line in path.read_bytes().splitlines():
                    self.received.update({each.decode() for each in TOKEN.findall(line)})


class Ledger:
    """Events that the ledger has; rows that were read are not read again.

    Attributes:
        received: token to how often it is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = 0
        self.received: Counter[str] = Counter()

    def look(self) -> None:
        """Read the rows that are new."""
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5)) as connection:
            rows = connection.execute("SELECT rowid, data FROM events WHERE rowid > ? ORDER BY rowid", (self._last,))
            for self._last, data in rows:
                self.received.update({each.decode() for each in TOKEN.findall(data.encode())})


def many(counts: Counter[str]) -> dict[str, int]:
    """Tokens that came more than once."""
    return {token: times for token, times in counts.items() if times > 1}
