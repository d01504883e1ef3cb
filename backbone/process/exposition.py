"""Serves ``/metrics``, ``/healthz`` and ``/readyz`` of a process that has no HTTP API."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from backbone.process.http_hosts import UNKNOWN, HttpHosts
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

log = logging.getLogger(__name__)

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the directory in which several processes add up their metrics."""

_IDLE = 10
"""Seconds that a client may take for its request."""


def exposed(registry: CollectorRegistry = REGISTRY) -> CollectorRegistry:
    """Return what ``/metrics`` shows: all processes' metrics where they share a directory, else ``registry``."""
    directory = os.environ.get(SHARED_METRICS)
    if not directory:
        return registry
    shared = CollectorRegistry()
    shared.register(_DirectoryTree(Path(directory)))
    return shared


class _DirectoryTree(Collector):
    """The metrics of all processes of a directory, and of the directories in it: each plane of ``up`` has one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        files = [str(each) for each in self._directory.rglob("*.db")]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # the library's
        return merged


class Exposition:
    """An HTTP server on a thread; without a port it does nothing.

    Args:
        host: the address to listen on.
        port: None switches it off.
        variable: the setting of the port, for the error.
        registry: whose metrics are shown.
        unready: why the process cannot do its work, or None; may take some seconds.
        hosts: names by which metrics are asked for, as ``HttpHosts`` takes them.

    Raises:
        Misconfigured: it cannot listen there.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        *,
        variable: str,
        registry: CollectorRegistry,
        unready: Callable[[], str | None],
        hosts: Iterable[str] = (),
    ) -> None:
        self._server: ThreadingHTTPServer | None = None
        if port is None:
            return
        try:
            self._server = _server(host, port, _handler(registry, unready, HttpHosts(host, hosts)))
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port} ({variable}): {error.strerror}; set another host or port"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="exposition", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _server(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    server = type("_Server", (_QuietServer,), {"address_family": family})
    found: ThreadingHTTPServer = server(address, handler)
    return found


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # as it is called
        """Log what fails, but for clients that hang up: a probe does, as often as it comes, while Kafka is slow."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            log.error("metrics or health are not served", extra={"client": str(client_address)}, exc_info=error)


def _readiness(unready: str | None) -> tuple[HTTPStatus, bytes]:
    if unready is None:
        return HTTPStatus.OK, b'{"status":"ready"}'
    return HTTPStatus.SERVICE_UNAVAILABLE, json.dumps({"status": "unavailable", "reason": unready}).encode()


def _handler(
    registry: CollectorRegistry, unready: Callable[[], str | None], hosts: HttpHosts
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _IDLE
        server_version = "headrace"
        sys_version = ""

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics" if not hosts.knows(self.headers.get("Host")):
                    self._answer(HTTPStatus.MISDIRECTED_REQUEST, f"{UNKNOWN}\n".encode(), "text/plain")
                case "/metrics":
                    self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
                case "/healthz":
                    self._answer(HTTPStatus.OK, b'{"status":"ok"}')
                case "/readyz":
                    self._answer(*_readiness(unready()))
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, b'{"status":"not found"}')

        do_HEAD = do_GET  # noqa: N815  # the server's name for it

        def _answer(self, status: HTTPStatus, body: bytes, media_type: str = "application/json") -> None:
            self.send_response(status)
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: scrapes come all the time."""

    return Handler
