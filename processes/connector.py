"""``headrace connector <kind>``: one connector as a process."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

import uvloop

from backbone.process import logs
from backbone.process.health import Health
from backbone.process.private_directory import close_directory
from backbone.process.stop_limit import stopping_on_signal
from processes import file
from processes.exposition import expose
from processes.webhook import serve_webhooks
from processes.websocket import serve_realtime
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from processes.settings import ConnectorSettings

KINDS = ("webhook", "websocket", "file")


def run(kind: str, settings: ConnectorSettings) -> None:
    """Run one connector until SIGTERM or SIGINT.

    Raises:
        Misconfigured: there is no connector of this kind, or a setting cannot be used.
    """
    if kind not in KINDS:
        raise Misconfigured(f"there is no connector {kind!r}; there is {', '.join(KINDS)}")
    logs.start(f"connector-{kind}", settings.log_level)
    close_directory(settings.backbone.data_dir)
    if kind == "file":
        file.run(settings)
        return
    _raise_file_limit()
    uvloop.run(_run_until_signal(kind, settings))


async def _run_until_signal(kind: str, settings: ConnectorSettings) -> None:
    stopping = stopping_on_signal(more=settings.webhook.drain)
    health = Health(settings.kafka)
    expose(kind, settings, health)
    if kind == "websocket":
        await serve_realtime(settings, stopping, lambda _port: health.ready(), unready=health.reason)
    else:
        await serve_webhooks(settings, stopping, health.ready)


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets: every request in flight, and every client, is an open socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
