"""Checks of the planes' consumer groups: planes that do not run, the protocol, and how soon a dead member is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported for mypy
    AdminClient,
    ConfigResource,
    ResourceType,
)

from backbone.kafka.failures import kafka_error
from operations.doctor import group_answers
from operations.doctor.findings import fault, warning
from operations.doctor.kafka import SECONDS
from operations.errors import NotKnown
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_SESSION = "group.consumer.session.timeout.ms"
_LONG_SESSION_MS = 15_000


class PlaneGroup(NamedTuple):
    """A consumer group that shows whether a plane runs.

    Attributes:
        plane: its command, after ``headrace``.
        group: the group that its workers join.
        undone: what does not happen without it.
        is_needed: whether every installation has it.
    """

    plane: str
    group: str
    undone: str
    is_needed: bool


def plane_groups() -> tuple[PlaneGroup, ...]:
    """The planes that join a group, as the settings name them."""
    from connectors.file.sink import GROUP as FILES  # noqa: PLC0415  # each takes part of a second
    from connectors.webhook.main import GROUP as WEBHOOKS  # noqa: PLC0415
    from connectors.websocket.position_writer import GROUP as POSITIONS  # noqa: PLC0415
    from stream_processors.runs.executor import GROUP as RUNS  # noqa: PLC0415
    from stream_processors.settings import ProcessorSettings  # noqa: PLC0415

    settings = ProcessorSettings()
    ledger = PlaneGroup("ledger", settings.ledger_group, "the event log stands still", is_needed=True)
    return (
        PlaneGroup("router", settings.group, "events are accepted and not delivered", is_needed=True),
        *([ledger] if settings.ledger else []),
        PlaneGroup("replayer", RUNS, "replays, redrives and resends wait", is_needed=False),
        PlaneGroup("connector webhook", WEBHOOKS, "no webhook is sent", is_needed=True),
        PlaneGroup("connector websocket", POSITIONS, "WebSocket clients cannot connect", is_needed=False),
        PlaneGroup("connector file", FILES, "no event file is written", is_needed=False),
    )


def planes(site: Site) -> Iterator[Finding]:
    """Find planes of which no process runs, and planes that use the classic protocol."""
    wanted = plane_groups()
    found = group_answers.ask(site.kafka, [each.group for each in wanted])
    classic = [each.group for each in wanted if found[each.group].members and found[each.group].is_classic]
    for each in wanted:
        group = found[each.group]
        if group.members or (each.plane == "router" and not _routes_something(site)):
            continue
        kind = fault if each.is_needed or group.waiting else warning
        waiting = f" {group.waiting:,} records wait." if group.waiting else ""
        yield kind(
            "missing-plane",
            f"No {each.plane} runs: the group {each.group} has no member, so {each.undone}.{waiting}",
            f"Start it with headrace {each.plane}; on one machine headrace up runs all planes. Its last words are in"
            f" {site.installed.data_dir / 'logs'}.",
        )
    if classic:
        yield warning(
            "classic-groups",
            f"{', '.join(classic)} use the classic group protocol: every change of members or topics stops the whole"
            " group for a moment.",
            "Unset HEADRACE_KAFKA_GROUP_PROTOCOL, use brokers of Apache Kafka 4.0 or later with"
            " group.coordinator.rebalance.protocols=classic,consumer, and restart the planes.",
        )


def _routes_something(site: Site) -> bool:
    """Whether routers have a topic to read: without a subscription they are in no group."""
    from stream_processors.routing.matching import MatchIndex  # noqa: PLC0415  # takes part of a second

    try:
        view = site.catalog().view
    except (Misconfigured, NotKnown):
        return True
    return bool(MatchIndex(view).topics)


def sessions(site: Site) -> Iterator[Finding]:
    """Find brokers that wait long until a dead member's partitions go to another one."""
    client = AdminClient(site.kafka.client_config())
    try:
        brokers = client.list_topics(timeout=SECONDS).brokers
        answers: list[Any] = []
        for number in brokers:
            # Each is asked of its own broker, so there is one in a call.
            resource = ConfigResource(ResourceType.BROKER, str(number))
            answers += client.describe_configs([resource], request_timeout=SECONDS).values()
        configs = [answer.result(SECONDS + 1) for answer in answers]
    except KafkaException as error:
        raise NotKnown(f"Kafka does not tell how its brokers are set: {kafka_error(error).str()}.") from error
    longest = max((int(config[_SESSION].value) for config in configs if _SESSION in config), default=0)
    if longest > _LONG_SESSION_MS:
        yield warning(
            "session-timeout",
            f"{_SESSION} is {longest / 1_000:g} s: the partitions of a machine that dies wait that long for another.",
            f"Set {_SESSION}=6000, group.consumer.min.session.timeout.ms=6000,"
            " group.consumer.heartbeat.interval.ms=1000 and group.consumer.min.heartbeat.interval.ms=1000 in every"
            " broker's server.properties, and restart the brokers one by one (docs/cluster.md).",
        )
