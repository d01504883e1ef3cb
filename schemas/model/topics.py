"""Topic names. One topic per event type, so that teams get ACLs by prefix."""

from __future__ import annotations

import functools
import hashlib
import re

CATALOG = "catalog"
SCHEMAS = "_schemas"
AUDIT = "audit"
"""Who changed what in the catalog, and when."""
WEBHOOK_DELIVERIES = "deliveries.webhook"
WEBHOOK_REPLAYS = "deliveries.webhook.replay"
"""Deliveries of runs. It has as many partitions as ``deliveries.webhook``, and an endpoint is in the same of both."""
WEBSOCKET_DELIVERIES = "deliveries.websocket"
FILE_DELIVERIES = "deliveries.file"
DEAD_LETTERS = "dead-letters"
ROUTING_RECEIPTS = "routing-receipts"
ATTEMPTS = "attempts"
ENDPOINT_STATE = "endpoint-state"
IDEMPOTENCY = "idempotency"
CHANNEL_POSITIONS = "channel-positions"
REDACTIONS = "redactions"
WRITE_PROBES = "write-probes"
RUNS = "runs"
DEAD_LETTER_MARKS = "dead-letter-marks"
"""What was decided about dead letters: each was redriven or discarded once."""
OPERATIONS = "operations"
"""Figures of topics and consumer groups."""

RETRY_TIERS: dict[int, str] = {
    5: "deliveries.webhook.retry.5s",
    30: "deliveries.webhook.retry.30s",
    300: "deliveries.webhook.retry.5m",
    1_800: "deliveries.webhook.retry.30m",
    7_200: "deliveries.webhook.retry.2h",
    21_600: "deliveries.webhook.retry.6h",
    86_400: "deliveries.webhook.retry.24h",
}
"""Delay in seconds to topic, ascending."""

SHORTEST_DELAY = min(RETRY_TIERS)
"""Seconds: no retry comes sooner, and all delays are multiples of it."""

MAX_TOPIC_LENGTH = 249
"""Kafka's limit in characters."""

_KEPT = re.compile(r"[^A-Za-z0-9-]")
_ESCAPED = re.compile(r"(?:_[0-9a-f]{2})+")
_SEGMENTS = 4
"""Of an event topic: ``events``, workspace, namespace, code."""

_HASH_LENGTH = 16

_LONGEST_REMEMBERED = 600
"""Characters of namespace and code: no event type has longer ones, but callers may ask for any."""


def event_topic(workspace: str, namespace: str, code: str) -> str:
    """``events.<workspace>.<namespace>.<code>``; a name past Kafka's limit ends in a hash of the whole."""
    if len(namespace) + len(code) > _LONGEST_REMEMBERED:
        return _event_topic.__wrapped__(workspace, namespace, code)
    return _event_topic(workspace, namespace, code)


@functools.lru_cache(maxsize=65_536)
def _event_topic(workspace: str, namespace: str, code: str) -> str:
    name = ".".join(("events", escape(workspace), escape(namespace), escape(code)))
    if len(name) <= MAX_TOPIC_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: MAX_TOPIC_LENGTH - _HASH_LENGTH - 1]}_{digest}"


def escape(segment: str) -> str:
    """Keep ``[A-Za-z0-9-]``; every other byte of the UTF-8 text becomes ``_xx`` (lower-case hex)."""
    return _KEPT.sub(lambda match: "".join(f"_{byte:02x}" for byte in match.group().encode()), segment)


@functools.lru_cache(maxsize=65_536)
def namespace_of(topic: str) -> str | None:
    """The namespace that an event topic's name tells; None when the name had to be cut off before it said it all."""
    return _segment(topic, 2)


@functools.lru_cache(maxsize=65_536)
def workspace_of(topic: str) -> str | None:
    """The workspace that an event topic's name tells; None for other topics, and when the name was cut off before."""
    return _segment(topic, 1) if topic.startswith("events.") else None


def _segment(topic: str, number: int) -> str | None:
    segments = topic.split(".")
    if len(segments) < _SEGMENTS:
        return None
    return _unescape(segments[number])


def _unescape(segment: str) -> str:
    return _ESCAPED.sub(lambda match: bytes.fromhex(match.group().replace("_", "")).decode(errors="replace"), segment)


def type_of(topic: str) -> tuple[str | None, str | None]:
    """The namespace and code that an event topic's name tells; None where the name had to be cut off."""
    code = None if len(topic) == MAX_TOPIC_LENGTH else _segment(topic, _SEGMENTS - 1)
    return namespace_of(topic), code


@functools.lru_cache(maxsize=65_536)
def code_of(topic: str, sent_type: str) -> str:
    """The code of an event type, by its topic and the CloudEvents ``type`` that was sent for it.

    That is ``<code>`` or ``<namespace>/<code>``, and a code may have a slash in it.
    """
    _, slash, rest = sent_type.partition("/")
    own = topic.rpartition(".")[2]
    if not slash or own == escape(sent_type):
        return sent_type
    namespace = topic.split(".")[2:3]
    return rest if own == escape(rest) or namespace == [escape(sent_type.partition("/")[0])] else sent_type
