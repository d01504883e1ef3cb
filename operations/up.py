"""``headrace up``: everything on one machine under one supervisor, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from operations.installation import HEADRACE, Installation
from operations.processes import Process
from operations.progress import Progress
from operations.supervisor import Part, Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from rich.console import Console

    from operations.choice import Broker
    from operations.settings import OperationsSettings

_TICK = 0.1
_TOUR_GRACE = 5.0


class StopRequest:
    """Turns Ctrl-C, SIGTERM and a closed terminal into a flag; a second one ends everything without ceremony."""

    def __init__(self) -> None:
        self.made = False
        self.insisted = False

    def install(self) -> None:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self.made:
            self.insisted = True
            raise KeyboardInterrupt
        self.made = True


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
        """Start, watch, stop; returns the exit status.

        Raises:
            CannotStart: a part does not become ready; all others have been stopped.
        """
        installation = Installation(self._settings, self._broker, local_webhooks=self._tour)
        installation.prepare()
        tour = Process("tour", [*HEADRACE, "tour"], env=installation.environment()) if self._tour else None
        parts = [installation.broker_parts(), installation.plane_parts()]
        return self._supervise(parts, tour, welcome(self._settings, self._broker))

    def run_broker(self) -> int:
        """The same with nothing but the broker.

        Raises:
            CannotStart: it does not start.
        """
        installation = Installation(self._settings, self._broker)
        installation.prepare()
        return self._supervise([installation.broker_parts()], None, "Ctrl-C stops it.")

    def _supervise(self, stages: Sequence[Sequence[Part]], tour: Process | None, welcome: str) -> int:
        self._stop.install()
        self._broker.prepare()
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
        return 0

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
    key_file = settings.data_dir / "admin-key"
    # A key that was given is written nowhere.
    given = "HEADRACE_ADMIN_KEY" if settings.admin_key else None
    where, shown = given or key_file, f"${given}" if given else f"$(cat {key_file})"
    key = f'-H "Authorization: Bearer {shown}"'
    return f"""
Headrace is up.
  API and its documentation   {url}/docs/swagger/index.html
  Schema Registry             {url}/schema-registry
  Metrics, health             {url}/metrics  {url}/readyz
  Kafka                       {broker.bootstrap_servers} ({broker.description})
  Administrator's API key     in {where}
  Logs                        {settings.data_dir / "logs"}

Try:
  curl -s {key} {url}/headrace/v1/event-types
  curl -s {url}/schema-registry/subjects
  curl -s {key} {url}/headrace/v1/events

Ctrl-C stops everything; the data stays in {settings.data_dir}.
"""
