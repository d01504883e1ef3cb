"""``headrace up``: everything on one machine under one supervisor, until Ctrl-C."""

from __future__ import annotations

import json
import shlex
import signal
import time
from typing import TYPE_CHECKING

from operations.broker.selection import BOOTSTRAP_VARIABLE, GivenBroker
from operations.errors import CannotStart
from operations.private_files import write_private
from operations.supervisor.installation import (
    HEADRACE,
    Installation,
    broker_environment,
    broker_file,
    broker_parts,
    make_home,
)
from operations.supervisor.processes import Process
from operations.supervisor.progress import Progress
from operations.supervisor.supervisor import Part, Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from rich.console import Console

    from operations.broker.selection import Broker
    from operations.settings import OperationsSettings

_TICK = 0.1
_TOUR_GRACE = 5.0

GIVEN_TIMEOUT = 15.0
"""Seconds for a Kafka that someone else runs to answer: every plane would wait for it, and nobody would see why."""

_STOPPED_BY = 128
"""What a shell adds to the number of the signal that ended a command."""


class StopRequest:
    """Turns Ctrl-C, SIGTERM and a closed terminal into a flag; a second Ctrl-C or SIGTERM ends everything at once.

    A terminal that is closed says so more than once, through the shell and through the kernel, and systemd says it
    right after SIGTERM: that is nobody's impatience.
    """

    def __init__(self) -> None:
        self.made = False
        self.number = 0

    def install(self) -> None:
        """Take the signals over, but that of a closed terminal under ``nohup``."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if not self.made:
            self.made, self.number = True, number
        elif number != signal.SIGHUP:
            raise KeyboardInterrupt


class Up:
    """One run of an installation.

    Attributes:
        tour: start the tour when everything is ready.
        stay: go on after the tour; else its exit status is the run's.
    """

    def __init__(
        self, settings: OperationsSettings, broker: Broker, *, console: Console, tour: bool = False, stay: bool = True
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._console = console
        self._tour = tour
        self._stay = stay
        self._stop = StopRequest()

    def run(self) -> int:
        """Start, watch, stop; returns the exit status. Ctrl-C is how a run ends, unless it was to end with the tour.

        Raises:
            CannotStart: a part does not become ready; all others have been stopped.
        """
        installation = Installation(self._settings, self._broker, local_webhooks=self._tour)
        installation.prepare()
        try:
            tour = Process("tour", [*HEADRACE, "tour"], env=installation.environment()) if self._tour else None
            stages = [installation.broker_parts(), installation.plane_parts()]
            return self._supervise(stages, tour, welcome(self._settings, self._broker))
        finally:
            installation.close()

    def run_broker(self) -> int:
        """The same with nothing but the broker, beside whatever else uses the data directory.

        Raises:
            CannotStart: it does not start.
        """
        home = self._settings.data_dir.resolve()
        make_home(home)
        told = broker_file(home)
        try:
            told.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(told, json.dumps(broker_environment(self._broker)))
            return self._supervise(
                [broker_parts(self._broker, home, self._settings.start_timeout)], None, "Ctrl-C stops it."
            )
        finally:
            told.unlink(missing_ok=True)

    def _supervise(self, stages: Sequence[Sequence[Part]], tour: Process | None, welcome: str) -> int:
        self._stop.install()
        self._broker.prepare()
        if not self._broker.command():
            self._reach_given()
        parts = [part for stage in stages for part in stage]
        with Progress(self._console, parts) as progress:
            supervisor = Supervisor(stages, on_change=progress.changed)
            try:
                return self._watch(supervisor, progress, tour, welcome)
            finally:
                self._end(supervisor, progress, tour)
                self._broker.close()

    def _watch(self, supervisor: Supervisor, progress: Progress, tour: Process | None, welcome: str) -> int:
        greeted = False
        while not self._stop.made:
            supervisor.tick()
            progress.refresh()
            if supervisor.ready and not greeted:
                progress.pause()
                status = self._take(tour, supervisor) if tour is not None else 0
                if status is None:
                    break
                if not self._stay:
                    return status
                self._console.print(welcome, markup=False, highlight=False, soft_wrap=True)
                greeted = True
            time.sleep(_TICK)
        return 0 if self._stay else _STOPPED_BY + self._stop.number

    def _reach_given(self) -> None:
        deadline = time.monotonic() + GIVEN_TIMEOUT
        while not self._stop.made and not self._broker.answers():
            if time.monotonic() > deadline:
                why = self._broker.trouble() if isinstance(self._broker, GivenBroker) else ""
                raise CannotStart(
                    f"No Kafka answers at {self._broker.bootstrap_servers} ({BOOTSTRAP_VARIABLE})"
                    f" after {GIVEN_TIMEOUT:.0f} s. {why}".rstrip()
                )
            time.sleep(_TICK)

    def _take(self, tour: Process, supervisor: Supervisor) -> int | None:
        tour.start()
        while tour.running() and not self._stop.made:
            supervisor.tick()
            time.sleep(_TICK)
        return tour.exit_status()

    def _end(self, supervisor: Supervisor, progress: Progress, tour: Process | None) -> None:
        try:
            progress.resume()
            if tour is not None:
                tour.stop(_TOUR_GRACE)
            supervisor.stop()
        except KeyboardInterrupt:
            supervisor.kill()
        finally:
            supervisor.kill()


def welcome(settings: OperationsSettings, broker: Broker) -> str:
    """What to try, now that everything runs."""
    url = settings.base_url
    # In full, for a shell that is elsewhere.
    home = settings.data_dir.resolve()
    key_file = home / "admin-key"
    # A key that was given is written nowhere.
    given = "HEADRACE_ADMIN_KEY" if settings.admin_key else None
    where, shown = given or key_file, f"${given}" if given else f"$(cat {shlex.quote(str(key_file))})"
    key = f'-H "Authorization: Bearer {shown}"'
    return f"""
Headrace is up.
  API and its documentation   {url}/docs/swagger/index.html
  Schema Registry             {url}/schema-registry
  Metrics, health             {url}/metrics  {url}/readyz
  Kafka, to consume from      {broker.consumer_servers} ({broker.description})
  Administrator's API key     in {where}
  Logs                        {home / "logs"}

Try:
  curl -s {key} {url}/headrace/v1/event-types
  curl -s {url}/schema-registry/subjects
  curl -s {key} {url}/headrace/v1/events

Ctrl-C stops everything; the data stays in {home}.
"""
