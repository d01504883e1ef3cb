"""What can be done to an installation, one small class each. A new one joins by standing in ``FAULTS``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from tests.endurance.load import patiently
from tests.endurance.places import Behaviour
from tests.endurance.site import DISKS, PLANES
from tests.support.kafka_cluster import NODES

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

    from operations.api.client import OwnApi
    from tests.endurance.places import Hooks
    from tests.endurance.site import Site


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a fault may act upon.

    Attributes:
        endpoints: receiver to the id of its endpoint.
    """

    site: Site
    hooks: Hooks
    api: OwnApi
    endpoints: dict[str, str]


@dataclass(frozen=True)
class Fault(ABC):
    """One fault with all its parameters; its ``repr`` is what the plan shows.

    Attributes:
        name: for ``--faults``.
        brokers: of the installations that it fits.
    """

    name: ClassVar[str]
    brokers: ClassVar[tuple[int, ...]] = (1, 3)

    @classmethod
    @abstractmethod
    def draw(cls, dice: random.Random) -> Self:
        """One with parameters by chance."""

    @property
    def target(self) -> str:
        """No two faults of a round have the same one."""
        return self.name

    @abstractmethod
    async def run(self, stage: Stage) -> None:
        """Do it, and undo it."""


@dataclass(frozen=True)
class KillPlane(Fault):
    """SIGKILL of a process, and a start some seconds later."""

    name = "kill"
    plane: str
    away: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(dice.choice(list(PLANES)), round(dice.uniform(0, 5), 1))

    @property
    def target(self) -> str:
        return self.plane

    async def run(self, stage: Stage) -> None:
        stage.site.kill(self.plane)
        await asyncio.sleep(self.away)
        await _start(stage.site, self.plane)


@dataclass(frozen=True)
class RestartPlane(KillPlane):
    """SIGTERM of a process, and a start."""

    name = "restart"

    async def run(self, stage: Stage) -> None:
        await asyncio.to_thread(stage.site.stop, self.plane)
        await asyncio.sleep(self.away)
        await _start(stage.site, self.plane)


@dataclass(frozen=True)
class StallPlane(KillPlane):
    """SIGSTOP of a process; ``away`` may be longer than its group's session."""

    name = "stall"

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(dice.choice(list(PLANES)), round(dice.uniform(1, 12), 1))

    async def run(self, stage: Stage) -> None:
        stage.site.signal(self.plane, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.away)
        finally:
            stage.site.signal(self.plane, signal.SIGCONT)


@dataclass(frozen=True)
class KillBroker(Fault):
    """SIGKILL of the only broker, and a start some seconds later."""

    name = "broker-kill"
    brokers = (1,)
    away: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(round(dice.uniform(0, 6), 1))

    @property
    def target(self) -> str:
        return "broker"

    async def run(self, stage: Stage) -> None:
        stage.site.kill_broker()
        await asyncio.sleep(self.away)
        await asyncio.to_thread(stage.site.start_broker)


@dataclass(frozen=True)
class StallBroker(KillBroker):
    """SIGSTOP of the only broker, for about as long as a publish may take."""

    name = "broker-stall"

    async def run(self, stage: Stage) -> None:
        stage.site.signal_broker(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.away)
        finally:
            stage.site.signal_broker(signal.SIGCONT)


@dataclass(frozen=True)
class KillNode(Fault):
    """SIGKILL of one broker of three; it returns some seconds later."""

    name = "node-kill"
    brokers = (3,)
    node: int
    away: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(dice.choice(NODES), round(dice.uniform(1, 20), 1))

    @property
    def target(self) -> str:
        return "broker"

    async def run(self, stage: Stage) -> None:
        cluster = stage.site.cluster
        assert cluster is not None
        cluster.kill_node(self.node)
        await asyncio.sleep(self.away)
        cluster.start_node(self.node)
        await asyncio.to_thread(cluster.wait_in_sync)


@dataclass(frozen=True)
class StallNode(KillNode):
    """SIGSTOP of one broker of three."""

    name = "node-stall"

    async def run(self, stage: Stage) -> None:
        cluster = stage.site.cluster
        assert cluster is not None
        cluster.pause_node(self.node)
        try:
            await asyncio.sleep(self.away)
        finally:
            cluster.resume_node(self.node)
        await asyncio.to_thread(cluster.wait_in_sync)


@dataclass(frozen=True)
class RollingRestart(Fault):
    """All three brokers stopped and started in turn, as an upgrade does."""

    name = "rolling-restart"
    brokers = (3,)

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        del dice
        return cls()

    @property
    def target(self) -> str:
        return "broker"

    async def run(self, stage: Stage) -> None:
        assert stage.site.cluster is not None
        await asyncio.to_thread(stage.site.cluster.rolling_restart)


@dataclass(frozen=True)
class FullDisk(Fault):
    """No room left for event files, or for the ledger. Needs a file system of its own, which root can mount."""

    name = "disk"
    disk: str
    seconds: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(dice.choice(DISKS), round(dice.uniform(2, 10), 1))

    async def run(self, stage: Stage) -> None:
        if self.disk not in stage.site.mounted:
            print(f"  {self} is left out: no file system could be mounted")
            return
        await asyncio.to_thread(stage.site.fill_disk, self.disk)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            await asyncio.to_thread(stage.site.free_disk, self.disk)


@dataclass(frozen=True)
class LockedLedger(Fault):
    """Another process holds SQLite's write lock."""

    name = "ledger-lock"
    seconds: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(round(dice.uniform(2, 15), 1))

    async def run(self, stage: Stage) -> None:
        await asyncio.to_thread(self._hold, stage.site.ledger)

    def _hold(self, ledger: Path) -> None:
        with contextlib.closing(sqlite3.connect(ledger, timeout=20, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            time.sleep(self.seconds)
            holder.execute("ROLLBACK")


@dataclass(frozen=True)
class Misbehave(Fault):
    """A webhook receiver that is slow, refuses, hangs up or talks nonsense."""

    name = "receiver"
    behaviour: Behaviour
    seconds: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        ways = [each for each in Behaviour if each not in {Behaviour.GOOD, Behaviour.GONE}]
        return cls(dice.choice(ways), round(dice.uniform(2, 10), 1))

    async def run(self, stage: Stage) -> None:
        stage.hooks.behaviour["poor"] = self.behaviour
        try:
            await asyncio.sleep(self.seconds)
        finally:
            stage.hooks.behaviour["poor"] = Behaviour.GOOD


@dataclass(frozen=True)
class Gone(Fault):
    """A webhook receiver that answers 410, and is enabled again later."""

    name = "gone"
    seconds: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(round(dice.uniform(12, 15), 1))

    async def run(self, stage: Stage) -> None:
        stage.hooks.gone_since = None
        stage.hooks.behaviour["gone"] = Behaviour.GONE
        try:
            await asyncio.sleep(self.seconds)
        finally:
            stage.hooks.behaviour["gone"] = Behaviour.GOOD
        await patiently(lambda: stage.api.change(f"/endpoints/{stage.endpoints['gone']}", {"enabled": True}), 90)


@dataclass(frozen=True)
class Paused(Fault):
    """An owner's pause of a webhook endpoint; a run sends what was kept."""

    name = "pause"
    seconds: float

    @classmethod
    def draw(cls, dice: random.Random) -> Self:
        return cls(round(dice.uniform(2, 8), 1))

    async def run(self, stage: Stage) -> None:
        endpoint = f"/endpoints/{stage.endpoints['poor']}"
        await patiently(lambda: stage.api.post(f"{endpoint}/pause"), 90)
        await asyncio.sleep(self.seconds)
        await patiently(lambda: _resume(stage.api, endpoint), 90)


FAULTS: Sequence[type[Fault]] = (
    KillPlane,
    RestartPlane,
    StallPlane,
    KillBroker,
    StallBroker,
    KillNode,
    StallNode,
    RollingRestart,
    FullDisk,
    LockedLedger,
    Misbehave,
    Gone,
    Paused,
)


async def _resume(api: OwnApi, endpoint: str) -> None:
    """End a pause; an answer that was lost may have ended it."""
    status = (await api.get(f"{endpoint}/health"))["status"]
    if status == "paused":
        await api.post(f"{endpoint}/resume")


async def _start(site: Site, plane: str) -> None:
    """Start a process; one that ends because something else is away is started again, as a supervisor would."""
    for _ in range(30):
        site.start(plane)
        try:
            await asyncio.to_thread(site.wait_ready, plane)
        except RuntimeError:
            if site.processes[plane].running():
                raise
            await asyncio.sleep(1)
        else:
            return
    raise RuntimeError(f"{plane} does not start: {site.processes[plane].last_words(5)}")
