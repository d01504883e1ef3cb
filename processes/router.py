"""``headrace router``: routes events to deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processes.agents import MetricsPort, run_agents

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings


def run(settings: ProcessorSettings) -> None:
    """Route until SIGTERM or SIGINT.

    Raises:
        Misconfigured: a setting cannot be obeyed.
    """
    port = MetricsPort(settings.web_port, "HEADRACE_PROCESSORS_WEB_PORT")
    run_agents("router", settings, port, router=True, ledger=False)
