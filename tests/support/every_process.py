"""A program: start every process without a Kafka, kill each when it serves its health, and print their exit codes.

The arguments are a port for each of them.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import sys
import time
import urllib.request
from functools import partial

import processes
from ingest_api.settings import IngestSettings
from processes import connector, ingest, ledger, monitor, processors, replayer, router
from processes.settings import ConnectorSettings
from schemas.model.errors import Unavailable
from stream_processors.settings import ProcessorSettings

PORTS = (
    "HEADRACE_PROCESSORS_WEB_PORT",
    "HEADRACE_PROCESSORS_LEDGER_WEB_PORT",
    "HEADRACE_PROCESSORS_REPLAYER_WEB_PORT",
    "HEADRACE_PROCESSORS_MONITOR_WEB_PORT",
    "HEADRACE_CONNECTOR_METRICS_PORT",
    "HEADRACE_HTTP_PORT",
)
KINDS = {
    "ingest": lambda: ingest.run(IngestSettings()),
    "router": lambda: router.run(ProcessorSettings()),
    "ledger": lambda: ledger.run(ProcessorSettings()),
    "processors": lambda: processors.run(ProcessorSettings()),
    "replayer": lambda: replayer.run(ProcessorSettings()),
    "monitor": lambda: monitor.run(ProcessorSettings()),
    **{kind: partial(lambda kind: connector.run(kind, ConnectorSettings()), kind) for kind in connector.KINDS},
}


async def no_kafka(_admin: object) -> None:
    """Kafka's client would look for it for ten seconds."""
    raise Unavailable("there is no Kafka")


def start(name: str, port: str) -> None:
    ingest.ensure_internal_topics = no_kafka
    os.environ.update(dict.fromkeys(PORTS, port))
    KINDS[name]()


def serves(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:  # http
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    for module in pkgutil.iter_modules(processes.__path__):
        importlib.import_module(f"processes.{module.name}")
    fork = multiprocessing.get_context("fork")
    ports = dict(zip(KINDS, sys.argv[1:], strict=True))
    running = {name: fork.Process(target=start, args=(name, port)) for name, port in ports.items()}
    for each in running.values():
        each.start()
    # The HTTP plane gives up where there is no Kafka; the others wait for it.
    giving_up = running.pop("ingest")
    for name, each in running.items():
        while each.is_alive() and not serves(ports[name]):
            time.sleep(0.02)
        each.kill()
    for each in (giving_up, *running.values()):
        each.join()
    print({"ingest": giving_up.exitcode, **{name: each.exitcode for name, each in running.items()}})  # noqa: T201


if __name__ == "__main__":
    main()
