"""A broker behind a TCP proxy that delays, cuts off and repeats single requests of the Kafka protocol."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REQUESTS = {24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit"}
"""Numbers of the requests that a transaction is made of, in the Kafka protocol guide."""

KINDS = ("delay", "cut", "lost", "late")
"""Delivered later; cut off before the broker has it; cut off after, so that the client repeats what was done; and cut
off at once but delivered later, so that the broker gets it after what the client did next."""


class DelayingProxy:
    """Passes connections on to a broker, and strikes at requests by chance.

    Args:
        broker: port on 127.0.0.1.
        seed: of the chance.
        share: of the requests of transactions that are struck.
        delay: seconds at most.
        kinds: of strikes.
    """

    def __init__(self, broker: int, *, seed: int, share: float, delay: float, kinds: Sequence[str] = KINDS) -> None:
        self.strikes: Counter[str] = Counter()
        self.requests = 0
        self._broker = broker
        self._chance = random.Random(seed)
        self._share = share
        self._delay = delay
        self._kinds = kinds
        self._calm = threading.Event()
        self._server = socket.create_server(("127.0.0.1", free_port()))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._server.getsockname()[1])

    def calm(self) -> None:
        """Strike no more."""
        self._calm.set()

    def close(self) -> None:
        """Accept no more connections."""
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._broker)) as broker:
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pass_on, args=(broker, client), daemon=True).start()
            while (frame := _frame(client)) is not None:
                if not self._strike(frame, client, broker):
                    broker.sendall(frame)

    def _strike(self, frame: bytes, client: socket.socket, broker: socket.socket) -> bool:
        """Do to a request what chance wants; True when it has been seen to."""
        (number,) = struct.unpack_from(">h", frame, 4)
        if number not in REQUESTS or self._calm.is_set():
            return False
        self.requests += 1
        if self._chance.random() >= self._share:
            return False
        kind = self._chance.choice(self._kinds)
        self.strikes[f"{kind} {REQUESTS[number]}"] += 1
        wait = self._chance.uniform(0.05, self._delay)
        if kind == "delay":
            time.sleep(wait)
            return False
        if kind == "lost":
            broker.sendall(frame)
            time.sleep(0.02)
        client.shutdown(socket.SHUT_RDWR)
        if kind == "late":
            time.sleep(wait)
            broker.sendall(frame)
            # The broker reads what has come before it sees that the connection is closed.
            time.sleep(0.05)
        return True


def _frame(source: socket.socket) -> bytes | None:
    head = _exactly(source, 4)
    if head is None:
        return None
    body = _exactly(source, struct.unpack(">i", head)[0])
    return None if body is None else head + body


def _exactly(source: socket.socket, count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        more = source.recv(min(count - len(found), 1 << 20))
        if not more:
            return None
        found += more
    return found


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class _ProxiedBroker(JarBroker):
    """Has a second listener, which it advertises at the proxy's port: clients of that one never go around the proxy."""

    def __init__(self, home: Path, *, behind: int, proxy: int) -> None:
        super().__init__(home, java=find_java(), jars=kafka_jars(user_cache(), print), port=free_port())
        self._behind, self._proxy = behind, proxy

    def prepare(self) -> None:
        super().prepare()
        lines = []
        for line in self._config.read_text(encoding="ascii").splitlines():
            name = line.partition("=")[0]
            more = {
                "listeners": f",PROXIED://127.0.0.1:{self._behind}",
                "advertised.listeners": f",PROXIED://127.0.0.1:{self._proxy}",
                "listener.security.protocol.map": ",PROXIED:PLAINTEXT",
            }.get(name, "")
            lines.append(line + more)
        lines.append("inter.broker.listener.name=PLAINTEXT")
        self._config.write_text("\n".join(lines) + "\n", encoding="ascii")


@contextmanager
def proxied_broker(home: Path, **options: Any) -> Iterator[tuple[str, DelayingProxy]]:
    """A broker and the proxy before it; yields where the broker is reached directly, and the proxy."""
    behind = free_port()
    proxy = DelayingProxy(behind, **options)
    broker = _ProxiedBroker(home, behind=behind, proxy=proxy.port)
    try:
        with running(broker, home.with_suffix(".log")):
            yield broker.bootstrap_servers, proxy
    finally:
        proxy.close()
