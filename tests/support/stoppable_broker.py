"""A broker of a module's own that can be stopped and continued, so that nothing else suffers when it stands still."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.broker.selection import BrokerKind, Choice, running
from operations.errors import CannotStart
from operations.supervisor.ports import free_port
from tests.support.without_kafka import not_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class StoppableBroker:
    """Where it is, and its process group."""

    bootstrap: str
    group: int

    def stand_still(self) -> None:
        """Stop it where it is."""
        os.killpg(self.group, signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue it."""
        os.killpg(self.group, signal.SIGCONT)


@contextlib.contextmanager
def stoppable_broker(home: Path, port: int | None = None) -> Iterator[StoppableBroker]:
    """Start one from jars; without them see ``not_run``."""
    try:
        chosen = Choice(home, environment={}, report=print, port=port or free_port(), stand_in=False).broker(
            BrokerKind.JARS
        )
    except CannotStart as error:
        not_run("a Kafka that can be stopped", error)
    with running(chosen, home / "broker.log") as process:
        assert process is not None
        assert process.pid is not None
        broker = StoppableBroker(chosen.bootstrap_servers, process.pid)
        try:
            yield broker
        finally:
            broker.go_on()
