"""All planes of an installation as processes of their own, for tests that follow an event to where it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.webhook import main as webhook_connector
from connectors.webhook import replays
from connectors.webhook import retry_scheduler as retries
from operations.supervisor.ports import free_port
from schemas.model import topics
from stream_processors.settings import ProcessorSettings
from tests.support.offsets import pass_over
from tests.support.running_gateway import TOKEN_SECRET, RunningGateway
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS_IN_A_FILE = 50
"""The file connector cuts a file at so many events, or after half a second."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where its parts are.

    Attributes:
        gateway: the HTTP plane.
        realtime_url: ``ws://127.0.0.1:<port>`` of the realtime node, without a path.
    """

    gateway: RunningGateway
    realtime_url: str


def run_processors(gateway: RunningGateway) -> Iterator[None]:
    """Route events, and index them in the ledger of the gateway, in two processes as ``headrace up`` does."""
    deliveries = (topics.WEBHOOK_DELIVERIES, topics.WEBSOCKET_DELIVERIES, topics.FILE_DELIVERIES)
    ledger = ProcessorSettings().ledger_group
    pass_over(
        gateway.bootstrap,
        ledger,
        *deliveries,
        topics.WEBHOOK_REPLAYS,
        topics.ATTEMPTS,
        topics.DEAD_LETTERS,
        topics.DEAD_LETTER_MARKS,
    )
    plane = (gateway.bootstrap, gateway.directory)
    with running_plane(*plane, "ledger"), running_plane(*plane, "router"):
        yield


def run_replayer(gateway: RunningGateway) -> Iterator[None]:
    """Execute runs."""
    with running_plane(gateway.bootstrap, gateway.directory, "replayer"):
        yield


def run_webhooks(gateway: RunningGateway) -> Iterator[None]:
    """Post webhooks, on this machine too."""
    pass_over(gateway.bootstrap, webhook_connector.GROUP, topics.WEBHOOK_DELIVERIES)
    pass_over(gateway.bootstrap, replays.GROUP, topics.WEBHOOK_REPLAYS)
    pass_over(gateway.bootstrap, retries.GROUP, *topics.RETRY_TIERS.values())
    allowed = {"HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8"}
    with running_plane(gateway.bootstrap, gateway.directory, "connector", "webhook", **allowed):
        yield


def run_files(gateway: RunningGateway) -> Iterator[None]:
    """Write small event files soon."""
    cut = {"HEADRACE_FILE_MAX_EVENTS": str(EVENTS_IN_A_FILE), "HEADRACE_FILE_MAX_AGE": "0.5"}
    with running_plane(gateway.bootstrap, gateway.directory, "connector", "file", **cut):
        yield


def run_realtime(gateway: RunningGateway) -> Iterator[str]:
    """Serve sockets; ``ws://127.0.0.1:<port>``."""
    port = free_port()
    environment = {"HEADRACE_TOKEN_SECRET": TOKEN_SECRET, "HEADRACE_REALTIME_PORT": str(port)}
    with running_plane(gateway.bootstrap, gateway.directory, "connector", "websocket", **environment):
        yield f"ws://127.0.0.1:{port}"
