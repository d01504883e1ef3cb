"""Checks of Kafka as a whole: does it answer, does it take our credentials, does its clock agree with ours?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from backbone.kafka.connection_errors import ConnectionErrors
from backbone.kafka.failures import kafka_error
from operations.doctor.findings import fault, warning
from operations.errors import NotKnown
from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Message

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

SECONDS = 5.0
"""For Kafka to answer."""

_SKEW, _LARGE_SKEW = 0.5, 30.0
"""Seconds: the allowance of subscriptions, and the difference from which tokens are refused or outlive their end."""

_CAUSES = {
    KafkaError._AUTHENTICATION: "kafka-login",  # noqa: SLF001  # librdkafka's names
    KafkaError._SSL: "kafka-tls",  # noqa: SLF001
    KafkaError._RESOLVE: "kafka-address",  # noqa: SLF001
}


def reachable(site: Site) -> Iterator[Finding]:
    """Find a wrong address, credentials that are refused, TLS that does not fit, and a Kafka that is away."""
    servers = site.kafka.bootstrap_servers
    errors = ConnectionErrors()
    try:
        client = AdminClient(site.kafka.client_config(error_cb=errors))
    except KafkaException as error:
        said = kafka_error(error).str()
        yield fault("kafka-options", f"HEADRACE_KAFKA_OPTIONS cannot be used: {said}.", "Mend HEADRACE_KAFKA_OPTIONS.")
        return
    try:
        client.list_topics(timeout=SECONDS)
    except KafkaException as error:
        client.poll(0)
        why, _, advice = errors.explain().partition(". ")
        cause = _CAUSES.get(errors.code or 0, "kafka-away")
        cure = advice or "Check that Kafka runs, and KAFKA_BOOTSTRAP_SERVERS."
        if site.has_local_broker and cause == "kafka-away":
            cure = f"Start it with headrace up (or headrace broker), or set KAFKA_BOOTSTRAP_SERVERS. {cure}"
        yield fault(cause, f"Kafka at {servers} cannot be used: {why or kafka_error(error).str()}.", cure)


def clocks(site: Site) -> Iterator[Finding]:
    """Find brokers whose clock differs from this machine's, by the time that they give a record."""
    for broker, skew in _skews(site).items():
        if abs(skew) <= _SKEW:
            continue
        kind = fault if abs(skew) >= _LARGE_SKEW else warning
        side = "ahead of" if skew > 0 else "behind"
        yield kind(
            "clock-skew",
            f"The clock of {broker} is {abs(skew):,.1f} s {side} this machine's: subscriptions may begin, and tokens"
            " end, that much too early or too late.",
            "Run chronyc makestep (or timedatectl set-ntp true) on both machines. If brokers differ among each other,"
            " set HEADRACE_PROCESSORS_SKEW_ALLOWANCE to the difference until then.",
        )


def _skews(site: Site) -> dict[str, float]:
    """Seconds that each broker's clock is ahead, as far as the time on the way lets it be known."""
    told: dict[int, Message] = {}
    arrived: dict[int, float] = {}
    options = {"acks": "all", "linger.ms": 0, "message.timeout.ms": int(SECONDS * 1_000)}
    producer = Producer(site.kafka.client_config(error_cb=lambda _error: None, **options))

    def delivered(error: KafkaError | None, message: Message) -> None:
        number = message.partition()
        if error is None and number is not None:
            told[number], arrived[number] = message, site.now()

    try:
        metadata = producer.list_topics(topics.WRITE_PROBES, timeout=SECONDS)
        found = metadata.topics[topics.WRITE_PROBES]
        if found.error is not None or not found.partitions:
            raise NotKnown(f"The topic {topics.WRITE_PROBES} is not there: no plane has been started on this Kafka.")
        sent = site.now()
        for number in found.partitions:
            producer.produce(topics.WRITE_PROBES, partition=number, on_delivery=delivered)
        until = time.monotonic() + SECONDS
        while len(told) < len(found.partitions) and time.monotonic() < until:
            producer.poll(0.1)
    except KafkaException as error:
        raise NotKnown(f"No record could be written: {kafka_error(error).str()}.") from error
    if not told:
        raise NotKnown(f"Kafka does not acknowledge a record on {topics.WRITE_PROBES}.")
    if any(message.timestamp()[0] != TIMESTAMP_LOG_APPEND_TIME for message in told.values()):
        raise NotKnown(
            f"The topic {topics.WRITE_PROBES} keeps producers' times. Let it have the brokers':"
            f" kafka-configs.sh --bootstrap-server {site.kafka.bootstrap_servers} --alter --topic"
            f" {topics.WRITE_PROBES} --add-config message.timestamp.type=LogAppendTime"
        )
    skews: dict[str, float] = {}
    for number, message in told.items():
        broker = metadata.brokers.get(found.partitions[number].leader)
        name = f"the broker {broker.host}:{broker.port}" if broker else "a broker"
        at = message.timestamp()[1] / 1_000
        skews[name] = min(at - sent, 0.0) or max(at - arrived[number], 0.0)
    return skews
