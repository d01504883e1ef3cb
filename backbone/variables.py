"""Warns of environment variables that look like settings and are none."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = frozenset(
    {
        "HEADRACE_ADMIN_KEY",
        "HEADRACE_CONNECTOR_METRICS_HOST",
        "HEADRACE_CONNECTOR_METRICS_PORT",
        "HEADRACE_CONNECTOR_SLOT",
        "HEADRACE_CORS_ORIGINS",
        "HEADRACE_DATA_DIR",
        "HEADRACE_DELIVERY_PARTITIONS",
        "HEADRACE_DELIVERY_RETENTION",
        "HEADRACE_EVENT_RETENTION",
        "HEADRACE_FILES_URL",
        "HEADRACE_FILE_MAX_AGE",
        "HEADRACE_FILE_MAX_BUFFERED",
        "HEADRACE_FILE_MAX_BYTES",
        "HEADRACE_FILE_MAX_EVENTS",
        "HEADRACE_HTTP_HOST",
        "HEADRACE_HTTP_PORT",
        "HEADRACE_IDEMPOTENCY_KEYS",
        "HEADRACE_IDEMPOTENCY_WINDOW",
        "HEADRACE_INGEST_CRMLS_MAX_MESSAGE_TYPES",
        "HEADRACE_INGEST_CRMLS_REGISTER_ON_FIRST_USE",
        "HEADRACE_INGEST_CRMLS_STRICT_JSON",
        "HEADRACE_INGEST_ENVOY_MANAGE_SCOPE",
        "HEADRACE_INGEST_ENVOY_PROVISION_SCOPE",
        "HEADRACE_INGEST_ENVOY_SCOPE_SUFFIX",
        "HEADRACE_INGEST_ENVOY_USER_SCOPE_SUFFIX",
        "HEADRACE_INGEST_EVENTHOS_COMPAT_STATUS",
        "HEADRACE_INGEST_EVENT_SERVICE_PAGE_LIMIT",
        "HEADRACE_INGEST_MAX_BATCH_EVENTS",
        "HEADRACE_INGEST_MAX_BODY_BYTES",
        "HEADRACE_INGEST_ONLY",
        "HEADRACE_INGEST_REQUEST_TIMEOUT",
        "HEADRACE_INGEST_SCHEMA_REGISTRY_OPEN",
        "HEADRACE_INGEST_START_TIMEOUT",
        "HEADRACE_INGEST_STOP_TIMEOUT",
        "HEADRACE_INGEST_WORKERS",
        "HEADRACE_KAFKA_DELIVERY_TIMEOUT",
        "HEADRACE_KAFKA_GROUP_PROTOCOL",
        "HEADRACE_KAFKA_MIN_INSYNC_REPLICAS",
        "HEADRACE_KAFKA_OPEN",
        "HEADRACE_KAFKA_OPTIONS",
        "HEADRACE_KAFKA_PASSWORD_FILE",
        "HEADRACE_KAFKA_PORT",
        "HEADRACE_KAFKA_REPLICATION_FACTOR",
        "HEADRACE_KAFKA_SASL_PORT",
        "HEADRACE_LEDGER_URL",
        "HEADRACE_LOG_LEVEL",
        "HEADRACE_MAX_ATTRIBUTES",
        "HEADRACE_MAX_ENDPOINTS",
        "HEADRACE_MAX_EVENT_TYPES",
        "HEADRACE_MAX_FILTERS",
        "HEADRACE_MAX_KEYS",
        "HEADRACE_MAX_SUBSCRIPTIONS",
        "HEADRACE_MAX_WORKSPACE_BYTES",
        "HEADRACE_MAX_WORKSPACE_CLIENTS",
        "HEADRACE_MAX_WORKSPACE_EVENT_TYPES",
        "HEADRACE_MAX_WORKSPACE_RECORDS",
        "HEADRACE_MAX_WORKSPACE_ROUTES",
        "HEADRACE_NODE_ID",
        "HEADRACE_PROCESSORS_BATCH_EVENTS",
        "HEADRACE_PROCESSORS_GROUP",
        "HEADRACE_PROCESSORS_LEDGER",
        "HEADRACE_PROCESSORS_LEDGER_GROUP",
        "HEADRACE_PROCESSORS_LEDGER_RETENTION",
        "HEADRACE_PROCESSORS_QUEUED_BATCHES",
        "HEADRACE_PROCESSORS_SKEW_ALLOWANCE",
        "HEADRACE_PROCESSORS_SLOT",
        "HEADRACE_PROCESSORS_TRANSACTION_DELIVERIES",
        "HEADRACE_PROCESSORS_TRANSACTION_TIMEOUT",
        "HEADRACE_PROCESSORS_WEB_HOST",
        "HEADRACE_PROCESSORS_WEB_PORT",
        "HEADRACE_READY_FILE",
        "HEADRACE_REALTIME_CHANNEL_LIMIT",
        "HEADRACE_REALTIME_EXPIRY_GRACE",
        "HEADRACE_REALTIME_HISTORY_BYTES",
        "HEADRACE_REALTIME_HISTORY_SIZE",
        "HEADRACE_REALTIME_HOST",
        "HEADRACE_REALTIME_MESSAGE_LIMIT",
        "HEADRACE_REALTIME_ORIGINS",
        "HEADRACE_REALTIME_PING_INTERVAL",
        "HEADRACE_REALTIME_PONG_TIMEOUT",
        "HEADRACE_REALTIME_PORT",
        "HEADRACE_REALTIME_POSITIONS_INTERVAL",
        "HEADRACE_REALTIME_REBUILD_RECORDS",
        "HEADRACE_REALTIME_RECOVERY_LIMIT",
        "HEADRACE_REALTIME_SEND_LIMIT",
        "HEADRACE_REALTIME_SLOW_TIMEOUT",
        "HEADRACE_REALTIME_SOCKET_WINDOW",
        "HEADRACE_REALTIME_STALE_DELAY",
        "HEADRACE_REALTIME_TOKEN_AUDIENCE",
        "HEADRACE_REALTIME_TOKEN_SECRET",
        "HEADRACE_SECRET_KEYS",
        "HEADRACE_TOKEN_SECRET",
        "HEADRACE_WEBHOOK_ALLOW",
        "HEADRACE_WEBHOOK_BODY_LIMIT",
        "HEADRACE_WEBHOOK_DRAIN",
        "HEADRACE_WEBHOOK_MAX_AGE",
        "HEADRACE_WEBHOOK_MAX_PAUSE",
        "HEADRACE_WEBHOOK_MAX_PENDING",
        "HEADRACE_WEBHOOK_MAX_PENDING_BYTES",
        "HEADRACE_WEBHOOK_TIMEOUT",
        "KAFKA_BOOTSTRAP_SERVERS",
    }
)
"""Every setting of every plane; a test compares them with the settings themselves."""

_NOT_OURS = re.compile(
    # Kubernetes tells each container of every Service; one may be called headrace.
    r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?"
    # For the tests and their programs.
    r"|HEADRACE_(TEST|FUZZ|FAULT)_\w+"
)
_URL_OF_A_SERVICE = ("tcp://", "udp://")
_PREFIXES = ("HEADRACE_", "KAFKA_BOOTSTRAP_")
_ALIKE = 0.7
"""Of 1: how alike a name must be to be suggested."""


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return one sentence for each variable that starts like a setting and is none. Case does not matter."""
    return [
        _sentence(name)
        for name, value in sorted(environment.items())
        if name.upper().startswith(_PREFIXES)
        and name.upper() not in KNOWN
        and not _NOT_OURS.fullmatch(name.upper())
        and not value.startswith(_URL_OF_A_SERVICE)
    ]


def _sentence(name: str) -> str:
    nearest = difflib.get_close_matches(name.upper(), KNOWN, n=1, cutoff=_ALIKE)
    hint = f"Did you mean {nearest[0]}?" if nearest else "docs/settings.md has all settings."
    return f"The environment variable {name} is no setting and is ignored. {hint}"
