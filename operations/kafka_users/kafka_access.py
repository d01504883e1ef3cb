"""``headrace kafka-access``: the planes' user and the ACLs of a Kafka that others started with our credentials."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING

from backbone.kafka.settings import KafkaSettings
from backbone.process import logs
from backbone.process.readiness import mark_ready
from operations.broker.jar_broker import serves
from operations.broker.listeners import Security
from operations.errors import CannotStart
from operations.kafka_users.access import secure

if TYPE_CHECKING:
    from pathlib import Path

    from operations.settings import OperationsSettings

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds between two tries."""


def run(settings: OperationsSettings, broker_password: Path, planes_password: Path, *, stay: bool) -> None:
    """Make the planes' user and the ACLs, once Kafka answers.

    Args:
        settings: whether Kafka is open to clients without credentials, and the planes' groups.
        broker_password: the file with the password of ``headrace-broker``.
        planes_password: the file with that of the planes.
        stay: wait for SIGTERM afterwards, as a service whose health others wait for.
    """
    logs.start("kafka-access", "INFO")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    security = Security(
        broker_password=_read(broker_password),
        planes_password=_read(planes_password),
        sasl_port=0,
        is_open=settings.kafka_open,
    )
    groups = [group for group in (settings.router_group, settings.ledger_group) if group]
    try:
        while not _secured(KafkaSettings().bootstrap_servers, security, groups):
            time.sleep(_PAUSE)
        log.info("users and ACLs are set")
        mark_ready()
        while stay:
            signal.pause()
    except KeyboardInterrupt:
        log.info("stopped")


def _secured(bootstrap: str, security: Security, groups: list[str]) -> bool:
    if not serves(bootstrap, _PAUSE, options=security.broker_options):
        return False
    try:
        secure(bootstrap, security, denied_groups=groups)
    except CannotStart as error:
        log.warning("trying again: %s", error)
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}") from error
