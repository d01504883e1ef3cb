"""``headrace processors``: router and ledger in one process, over one catalog in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processes.agents import MetricsPort, run_agents

if TYPE_CHECKING:
    from stream_processors.settings import ProcessorSettings


def run(settings: ProcessorSettings) -> None:
    """Route, and index unless ``HEADRACE_PROCESSORS_LEDGER`` is false, until SIGTERM or SIGINT.

    Raises:
        Misconfigured: a setting cannot be obeyed, or the ledger's file cannot be opened.
    """
    port = MetricsPort(settings.web_port, "HEADRACE_PROCESSORS_WEB_PORT")
    run_agents("processors", settings, port, router=True, ledger=settings.ledger)
