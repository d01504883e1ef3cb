"""Tells the router which of the event service's endpoints have a socket open: records on ``endpoint-state``.

The first socket of an endpoint is opened with two records (``schemas.model.delivery.SocketKey``), acknowledged before
its handshake is answered, so that whatever is posted after the answer is for it. While one is open its lease is
renewed, and when the last is closed, once more: events go on being routed for the recovery window, in which a client
that comes back can be sent what it missed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.read_to_end import read_topics_to_end
from backbone.kafka.records import Record
from schemas.model import timestamps, topics
from schemas.model.delivery import LEASE, SOCKET, EndpointState, SocketKey
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_ENCODER = msgspec.json.Encoder()

_RENEWALS = 4
"""Renewals in one recovery window: three may fail before an open socket is taken for a closed one."""


class SocketLeases:
    """The leases of one node; belongs to the event loop.

    Args:
        settings: how to reach Kafka.
        producer: writes the records.
        node: names this node, and no other that is or was.
        window: the recovery window, seconds.
    """

    def __init__(self, settings: KafkaSettings, producer: Producer, *, node: str, window: float) -> None:
        self._settings = settings
        self._producer = producer
        self._node = node
        self._window = window
        self._sockets: Counter[str] = Counter()
        self._until: dict[str, float] = {}
        self._cleaning: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew what will be open."""
        self._task = asyncio.create_task(self._renew())

    async def stop(self) -> None:
        """Every socket is closed; their leases begin to run out."""
        for task in (self._task, self._cleaning):
            if task is not None:
                task.cancel()
        await self._write(list(self._sockets))

    async def open(self, endpoint: str) -> None:
        """One more socket of an endpoint is about to be open.

        Raises:
            Unavailable: Kafka does not take it; the socket must not be opened.
        """
        self._sockets[endpoint] += 1
        try:
            async with self._turn:
                if self._cleaning is None:
                    self._cleaning = asyncio.create_task(self._clean_up())
                now = time.time()
                until = self._until.get(endpoint, 0.0)
                if until < now:
                    await self._send([self._record(endpoint, SOCKET), self._record(endpoint, LEASE)], [endpoint])
                elif until < now + self._window * (_RENEWALS - 1) / _RENEWALS:
                    await self._send([self._record(endpoint, LEASE)], [endpoint])
        except BaseException:
            self._left(endpoint)
            raise

    async def close(self, endpoint: str) -> None:
        """One socket of an endpoint is closed."""
        if self._left(endpoint):
            await self._write([endpoint])

    def _left(self, endpoint: str) -> bool:
        """Count one socket less; whether it was the last."""
        self._sockets[endpoint] -= 1
        if self._sockets[endpoint] > 0:
            return False
        del self._sockets[endpoint]
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._window / _RENEWALS)
            await self._write(list(self._sockets))
            await self._forget_ended()

    async def _write(self, endpoints: Sequence[str]) -> None:
        """Renew leases; what Kafka does not take now it is given again soon."""
        if not endpoints:
            return
        try:
            async with self._turn:
                await self._send([self._record(endpoint, LEASE) for endpoint in endpoints], endpoints)
        except Unavailable as error:
            log.warning("leases of sockets are not renewed: %s", error)

    async def _forget_ended(self) -> None:
        """Leave nothing on the topic of what ended a window ago: nobody reads so far back for it."""
        # Whoever opens one of them meanwhile waits, and then writes it anew.
        async with self._turn:
            past = time.time() - self._window
            ended = [each for each, until in self._until.items() if until < past and not self._sockets[each]]
            if not ended:
                return
            try:
                await self._remove([(endpoint, self._node) for endpoint in ended])
            except Unavailable as error:
                log.warning("ended leases of sockets stay on the topic: %s", error)
                return
            for endpoint in ended:
                del self._until[endpoint]

    async def _send(self, records: Sequence[Record], endpoints: Sequence[str]) -> None:
        # Counted from before it is sent: the append time, which the router counts from, is later.
        until = time.time() + self._window
        await self._producer.send(records)
        for endpoint in endpoints:
            self._until[endpoint] = until

    def _record(self, endpoint: str, kind: str) -> Record:
        window = int(self._window * 1_000) if kind == LEASE else None
        state = EndpointState(endpoint=endpoint, socket_window=window, changed_at=timestamps.now())
        key = SocketKey(endpoint, kind, self._node)
        return Record(topics.ENDPOINT_STATE, _ENCODER.encode(state), str(key).encode())

    async def _clean_up(self) -> None:
        """Take off the topic what nodes left there that stopped before the leases ended."""
        past = time.time() - self._window
        try:
            found = await asyncio.to_thread(_leases, self._settings)
            await self._remove([of for of, until in found.items() if until < past and of[1] != self._node])
        except Unavailable as error:
            log.warning("ended leases of sockets stay on the topic: %s", error)

    async def _remove(self, ended: Sequence[tuple[str, str]]) -> None:
        keys = [SocketKey(endpoint, kind, node) for endpoint, node in ended for kind in (SOCKET, LEASE)]
        await self._producer.send([Record(topics.ENDPOINT_STATE, None, str(key).encode()) for key in keys])


def _leases(settings: KafkaSettings) -> dict[tuple[str, str], float]:
    """Until when each lease is good, seconds since the epoch, by endpoint and node. Blocks."""
    found: dict[tuple[str, str], float] = {}
    for record in read_topics_to_end(settings, [topics.ENDPOINT_STATE]):
        key = SocketKey.parse((record.key() or b"").decode(errors="replace"))
        if key is None:
            continue
        of, value = (key.endpoint, key.node), record.value()
        if value is None:
            found.pop(of, None)
            continue
        try:
            window = msgspec.json.decode(value, type=EndpointState).socket_window or 0
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # another producer's
        found[of] = max(found.get(of, 0.0), (record.timestamp()[1] + window) / 1_000)
    return found
