"""How many bytes partitions have on the brokers' disks: a question that librdkafka cannot ask."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka.conn import AIOKafkaConnection

    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings

_TIMEOUT = 10.0
_DESCRIBE_LOG_DIRS = 35
"""The API's number; see https://kafka.apache.org/protocol#The_Messages_DescribeLogDirs."""

_MECHANISMS = frozenset(("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))


class _Answer(Response):  # type: ignore[misc]  # the library has no types
    API_KEY = _DESCRIBE_LOG_DIRS
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "directories",
            Array(
                ("error_code", Int16),
                ("directory", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("topic", String("utf-8")),
                        (
                            "partitions",
                            Array(("partition", Int32), ("size", Int64), ("lag", Int64), ("is_future", Boolean)),
                        ),
                    ),
                ),
            ),
        ),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # the library has no types
    API_KEY = _DESCRIBE_LOG_DIRS
    API_VERSION = 1
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _DescribeLogDirs(Request[_Question]):  # type: ignore[misc]  # the library has no types
    API_KEY = _DESCRIBE_LOG_DIRS

    def build(self, request_struct_class: type[_Question]) -> _Question:
        """Ask about every partition."""
        return request_struct_class(None)


def log_sizes(settings: KafkaSettings, brokers: Iterable[tuple[str, int]]) -> dict[Partition, int]:
    """Bytes of each partition, of its largest replica. Blocks.

    Args:
        settings: how to reach Kafka.
        brokers: host and port of each.

    Raises:
        Unavailable: a broker does not answer, does not allow it, or is reached in a way that is not known here.
    """
    return asyncio.run(_all_sizes(_options(settings.options), list(brokers)))


async def _all_sizes(options: Mapping[str, Any], brokers: list[tuple[str, int]]) -> dict[Partition, int]:
    found: dict[Partition, int] = {}
    for host, port in brokers:
        try:
            connection = await create_conn(
                host, port, client_id="headrace-monitor", request_timeout_ms=int(_TIMEOUT * 1_000), **options
            )
            try:
                _take(found, await connection.send(_DescribeLogDirs()), host, port)
            finally:
                await _close(connection)
        except (KafkaError, OSError, TimeoutError, NotImplementedError) as error:
            raise Unavailable(f"the sizes at {host}:{port} cannot be had: {error!r}") from error
    return found


async def _close(connection: AIOKafkaConnection) -> None:
    closed = connection.close()
    if closed is not None:
        await closed


def _take(found: dict[Partition, int], answer: Any, host: str, port: int) -> None:
    for error, _, topics in answer.directories:
        if error:
            raise Unavailable(f"the sizes at {host}:{port} cannot be had: error {error}")
        for topic, partitions in topics:
            for number, size, _, is_future in partitions:
                if not is_future:
                    found[topic, number] = max(size, found.get((topic, number), 0))
    if not answer.directories:
        # Kafka's way to say that the user may not describe the cluster.
        raise Unavailable(f"the sizes at {host}:{port} cannot be had: not allowed")


def _options(options: Mapping[str, str]) -> dict[str, Any]:
    """The installation's properties of librdkafka as aiokafka takes them.

    Raises:
        Unavailable: they say what it has no word for.
    """
    protocol = options.get("security.protocol", "PLAINTEXT").upper()
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        found["ssl_context"] = _context(options)
    if protocol.startswith("SASL"):
        mechanism = options.get("sasl.mechanism", options.get("sasl.mechanisms", "GSSAPI"))
        if mechanism not in _MECHANISMS:
            raise Unavailable(f"sizes cannot be asked for with the SASL mechanism {mechanism}")
        found |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": options.get("sasl.username", ""),
            "sasl_plain_password": options.get("sasl.password", ""),
        }
    return found


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl.ca.location"), cadata=options.get("ssl.ca.pem"))
        if certificate := options.get("ssl.certificate.location"):
            context.load_cert_chain(certificate, options.get("ssl.key.location"), options.get("ssl.key.password"))
    except OSError as error:
        raise Unavailable(f"sizes cannot be asked for with this certificate: {error}") from error
    if options.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    if options.get("enable.ssl.certificate.verification", "true") == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
