"""``headrace ledger``: indexes what happened into the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processes.agents import MetricsPort, run_agents

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings


def run(settings: ProcessorSettings) -> None:
    """Index until SIGTERM or SIGINT.

    Raises:
        Misconfigured: a setting cannot be obeyed, or the ledger's file cannot be opened.
    """
    port = MetricsPort(settings.ledger_web_port, "HEADRACE_PROCESSORS_LEDGER_WEB_PORT")
    run_agents("ledger", settings, port, router=False, ledger=True)
