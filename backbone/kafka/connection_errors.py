"""Explains why a client reaches no broker: librdkafka's calls say only "Broker transport failure"."""

from __future__ import annotations

import re
import threading

from confluent_kafka import KafkaError

_DETAIL = re.compile(r" \(after \d+ms in state (\w+)\)|/(bootstrap|\d+)(?=:)")
_HANDSHAKE = re.compile(r"APIVERSION|ApiVersion")

_GRAVITY = {
    KafkaError._AUTHENTICATION: 4,  # noqa: SLF001
    KafkaError._SSL: 4,  # noqa: SLF001
    KafkaError._BAD_MSG: 3,  # noqa: SLF001
    KafkaError._RESOLVE: 2,  # noqa: SLF001
    KafkaError._TRANSPORT: 1,  # noqa: SLF001
}
"""What explains most comes first: after a refused password librdkafka goes on to say that all brokers are down."""

_ADVICE = {
    KafkaError._AUTHENTICATION: (  # noqa: SLF001
        "Check sasl.mechanism, sasl.username and sasl.password in HEADRACE_KAFKA_OPTIONS."
    ),
    KafkaError._SSL: (  # noqa: SLF001
        "Check security.protocol and the ssl.* properties in HEADRACE_KAFKA_OPTIONS, and that this port speaks TLS."
    ),
    KafkaError._RESOLVE: "Check the host names in KAFKA_BOOTSTRAP_SERVERS.",  # noqa: SLF001
}
_WRONG_PORT = (
    "Check that KAFKA_BOOTSTRAP_SERVERS names a port of Kafka, and security.protocol in HEADRACE_KAFKA_OPTIONS."
)
_NOT_THERE = "Check that Kafka runs, and KAFKA_BOOTSTRAP_SERVERS."


class ConnectionErrors:
    """Remembers the gravest error of a client's connections; give it as ``error_cb``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worst: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take one; called by the client when it is polled."""
        with self._lock:
            if _GRAVITY.get(error.code(), 0) > (0 if self._worst is None else _GRAVITY[self._worst.code()]):
                self._worst = error

    def forget(self) -> None:
        """Begin again, before another question."""
        with self._lock:
            self._worst = None

    @property
    def code(self) -> int | None:
        """The error's code, an attribute of ``KafkaError``; None if there was none."""
        with self._lock:
            worst = self._worst
        return None if worst is None else _code(worst)

    def explain(self) -> str:
        """Return the error and what to check; empty if there was none."""
        with self._lock:
            worst = self._worst
        if worst is None:
            return ""
        said = worst.str()
        other = _WRONG_PORT if worst.code() == KafkaError._BAD_MSG or _HANDSHAKE.search(said) else _NOT_THERE  # noqa: SLF001
        return f"{_DETAIL.sub('', said)}. {_ADVICE.get(_code(worst), other)}"


def _code(error: KafkaError) -> int:
    # Kafka's own port without TLS hangs up, which librdkafka counts as a connection that broke.
    return KafkaError._SSL if "SSL handshake failed" in error.str() else error.code()  # noqa: SLF001
