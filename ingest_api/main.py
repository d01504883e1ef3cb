"""The ingest plane: one server, or several worker processes on one port."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from backbone.process import logs
from backbone.process.private_directory import close_directory
from backbone.process.stop_limit import StopLimit
from ingest_api.http_limits import BoundedConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from ingest_api.http import Asgi, Receive, Scope, Send
    from ingest_api.request_ids import RequestIds
    from ingest_api.settings import IngestSettings

MULTIPROCESS_METRICS = "PROMETHEUS_MULTIPROC_DIR"

_PARENT_CHECK_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 75
_THREAD_SECONDS = 0.001
"""For which another thread may keep the interpreter while the event loop waits for it; Python's own 5 ms add up, for a
request asks for it several times."""

_WORKER_SILENT_SECONDS = 30
"""After which a worker is replaced: on a busy machine one takes longer than the server's 5 s to come up."""


def run(settings: IngestSettings, create_app: Callable[[IngestSettings], RequestIds]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Args:
        settings: of the plane.
        create_app: makes the application of one worker, in the worker's own process: a function of a module.

    Raises:
        SystemExit: it could not start.
    """
    logs.start("ingest", settings.log_level)
    close_directory(settings.backbone.data_dir)
    # The server raises the signal that stopped it once more when it is done: a stop on request is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(
        functools.partial(_worker_app, settings, create_app, os.getpid()),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop" if os.name == "posix" else "asyncio",
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2_048,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=_WORKER_SILENT_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.stop_timeout)),
    )
    if settings.workers == 1:
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
        if not server.started:
            raise SystemExit(3)
        return
    with _shared_metrics(), contextlib.suppress(KeyboardInterrupt):
        Multiprocess(config, sockets=[config.bind_socket()]).run()


def _worker_app(settings: IngestSettings, create_app: Callable[[IngestSettings], RequestIds], supervisor: int) -> Asgi:
    """The app in a worker's own process."""
    sys.setswitchinterval(_THREAD_SECONDS)
    if os.getpid() != supervisor:
        logs.configure("ingest", settings.log_level)
        threading.Thread(target=_end_with, args=(supervisor,), name="parent-watch", daemon=True).start()
    return _EndingApp(create_app(settings), StopLimit())


class _EndingApp:
    """The app, whose process ends within a limit once its last request is answered."""

    def __init__(self, app: RequestIds, limit: StopLimit) -> None:
        self.direct = app.direct
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_and_end() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._limit.begin()
            return message

        await self._app(scope, receive_and_end if scope["type"] == "lifespan" else receive, send)


def _end_with(supervisor: int) -> None:
    """Stop this worker when the process that supervises it is gone, however it ended: no orphan keeps the port."""
    while os.getppid() == supervisor:
        time.sleep(_PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A directory in which the workers add up their metrics, unless the installation has set one."""
    if MULTIPROCESS_METRICS in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="headrace-metrics-") as directory:
        os.environ[MULTIPROCESS_METRICS] = directory
        try:
            yield
        finally:
            del os.environ[MULTIPROCESS_METRICS]
