"""Ports on which the processes of ``headrace up`` serve their health and metrics, each its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.supervisor.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operations.settings import OperationsSettings

VARIABLES = {
    "router": "HEADRACE_PROCESSORS_WEB_PORT",
    "ledger": "HEADRACE_PROCESSORS_LEDGER_WEB_PORT",
    "replayer": "HEADRACE_PROCESSORS_REPLAYER_WEB_PORT",
    "monitor": "HEADRACE_PROCESSORS_MONITOR_WEB_PORT",
    "webhooks": "HEADRACE_CONNECTOR_METRICS_PORT",
    "files": "HEADRACE_CONNECTOR_METRICS_PORT",
}
"""Process to the variable that it is told its port with. The HTTP plane and the realtime node have a port anyway."""


class HealthPorts:
    """The port of each process: in order from the setting's on, and another one in the place of one that is taken.

    Args:
        settings: the ports that were asked for, and the first of the others.
        taken: ports that something will listen on that has not started yet.
    """

    def __init__(self, settings: OperationsSettings, taken: Iterable[int]) -> None:
        self._asked = {
            "router": settings.processors_web_port,
            "ledger": settings.ledger_web_port,
            "replayer": settings.replayer_web_port,
            "monitor": settings.monitor_web_port,
        }
        self._first = settings.health_port
        self._taken = {*taken, *(each for each in self._asked.values() if each is not None)}
        self._given: dict[str, int] = {}

    def of(self, process: str) -> int:
        """The port of a process that is about to start: another one, if somebody has taken its own meanwhile.

        Raises:
            CannotStart: no server can listen on this machine.
        """
        asked = self._asked.get(process)
        if asked is not None:
            return asked
        others = {*self._taken, *(port for name, port in self._given.items() if name != process)}
        preferred = self._given.get(process, self._first + list(VARIABLES).index(process))
        is_ours = preferred not in others and is_free(preferred)
        self._given[process] = preferred if is_ours else free_port()
        return self._given[process]
