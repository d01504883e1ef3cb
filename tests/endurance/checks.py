"""What must hold in the end, one function each. A new check joins by standing in ``CHECKS``."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.model.topics import ROUTING_RECEIPTS, WEBHOOK_REPLAYS
from tests.endurance import replays
from tests.endurance.load import TOKEN
from tests.endurance.places import HOOKS, many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message

_SHOWN = 5
_WINDOW, _LATE = 5.0, 2.0
"""Seconds: of a window in which requests are counted, and by which a request may come later than another one."""

_QUIET = 5.0
"""Seconds without a record after which a topic that may hold open transactions has been read."""


@dataclass(kw_only=True)
class Evidence:
    """All that was seen.

    Attributes:
        accepted, refused: tokens by the answer that they got in the end.
        topic: token to its records in event topics.
        ends: topic and partition to the offset after its last record.
        receipts: topic and partition to the ranges that the router accounted for.
        places: name to tokens and how often each came: ``socket``, ``files``, ``ledger``, ``webhook steady``, …
        deliveries: receiver and token to the ``webhook-id`` values seen.
        after_gone: requests long after a 410.
        limited_at: when each request to the limited endpoint came, in seconds.
        limit: of that endpoint: ``per_second`` and ``burst``.
        unrecovered: subscriptions that came back without what they missed.
        unbalanced: what of the gateway's own balance is not zero.
        unexact: what is wrong with what runs sent.
        again: deliveries of runs.
        server_errors: statuses that no request may get, to how often.
        troubles: what a program could not do.
    """

    accepted: set[str]
    refused: set[str]
    topic: Counter[str] = field(default_factory=Counter)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    receipts: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    places: dict[str, Counter[str]] = field(default_factory=dict)
    deliveries: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    after_gone: int = 0
    limited_at: list[float] = field(default_factory=list)
    limit: dict[str, float] = field(default_factory=dict)
    unrecovered: int = 0
    server_errors: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    unexact: list[str] = field(default_factory=list)
    again: int = 0


def read_topics(bootstrap: str, topics: Sequence[str], paused: str, evidence: Evidence) -> None:
    """Add to the evidence what is in event topics, and what the router and the replayer did with them.

    Args:
        bootstrap: of Kafka.
        topics: with events.
        paused: id of the endpoint that is paused at times.
        evidence: is added to.
    """
    quiet = {"log_level": 0, "error_cb": lambda _error: None}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"endurance-{uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **quiet,
        }
    )
    try:
        for topic in topics:
            for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                evidence.ends[topic, partition] = end
        places = []
        for message in _records(consumer, topics):
            evidence.topic.update({each.decode() for each in TOKEN.findall(message.value() or b"")})
            places.append((message.topic() or "", message.partition() or 0, message.offset() or 0))
        made = _records(consumer, replays.READ)
        evidence.again = sum(message.topic() == WEBHOOK_REPLAYS for message in made)
        evidence.unexact = replays.unexact(made, places, paused)
        ranges: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        for message in _records(consumer, [ROUTING_RECEIPTS]):
            receipt = json.loads(message.value() or b"")
            place = receipt["topic"], receipt["partition"]
            is_live = receipt.get("run", "live") == "live"
            if is_live and place in evidence.ends and receipt["first_offset"] != receipt["next_offset"]:
                ranges[place].append((receipt["first_offset"], receipt["next_offset"]))
        evidence.receipts = {place: sorted(found) for place, found in ranges.items()}
    finally:
        consumer.close()


def _records(consumer: Consumer, topics: Sequence[str]) -> list[Message]:
    known = consumer.list_topics(timeout=30).topics
    parts = [TopicPartition(name, number, OFFSET_BEGINNING) for name in topics for number in known[name].partitions]
    left = {(part.topic, part.partition) for part in parts}
    consumer.assign(parts)
    found: list[Message] = []
    while left:
        messages = consumer.consume(1_000, timeout=_QUIET)
        if not messages:
            break
        for message in messages:
            place = message.topic() or "", message.partition() or 0
            if message.error() is not None:
                left.discard(place)
            else:
                found.append(message)
    return found


def accepted_is_in_the_topic_once(evidence: Evidence) -> list[str]:
    """Each accepted event is one record; one that was refused is none or one."""
    return [
        *_missing("the topic", evidence.accepted, evidence.topic),
        *_twice("the topic", evidence.topic),
    ]


def receipts_tile(evidence: Evidence) -> list[str]:
    """The router accounted for every offset once."""
    wrong = []
    for place, end in evidence.ends.items():
        expected = 0
        for first, after in evidence.receipts.get(place, []):
            if first != expected:
                wrong.append(f"receipts of {place}: {'gap' if first > expected else 'overlap'} at {expected}..{first}")
            expected = after
        if expected != end:
            wrong.append(f"receipts of {place} end at {expected}, its records at {end}")
    return wrong


def the_balance_is_zero(evidence: Evidence) -> list[str]:
    """The gateway says of itself that what was matched is what became of it, and that all was routed once."""
    return evidence.unbalanced[:_SHOWN]


def runs_send_once(evidence: Evidence) -> list[str]:
    """Each replay has every event of its ranges once, and each event for a paused endpoint is live or kept."""
    return evidence.unexact[:_SHOWN]


def received_everywhere(evidence: Evidence) -> list[str]:
    """What is in the topic arrived at every place that gets everything."""
    wanted = evidence.accepted | evidence.topic.keys()
    everything = {name: place for name, place in evidence.places.items() if name != "webhook gone"}
    return [line for name, place in everything.items() for line in _missing(name, wanted, place)]


def exactly_once_where_it_is_promised(evidence: Evidence) -> list[str]:
    """Event files, sockets and the ledger have nothing twice; webhooks may."""
    exact = {name: place for name, place in evidence.places.items() if not name.startswith("webhook")}
    return [line for name, place in exact.items() for line in _twice(name, place)]


def one_delivery_for_an_endpoint(evidence: Evidence) -> list[str]:
    """A webhook that comes again has the same id."""
    several = [f"{name} {token}" for (name, token), ids in evidence.deliveries.items() if len(ids) > 1]
    return [f"{len(several)} webhooks came with several ids: {several[:_SHOWN]}"] if several else []


def nothing_after_gone(evidence: Evidence) -> list[str]:
    """An endpoint that answered 410 is left alone."""
    return [f"{evidence.after_gone} requests after a 410"] if evidence.after_gone else []


def limits_hold(evidence: Evidence) -> list[str]:
    """An endpoint with a rate limit gets no more, but for what a worker sends that does not know it was cut off."""
    times, wrong = sorted(evidence.limited_at), []
    for begin, at in enumerate(times):
        count = bisect_left(times, at + _WINDOW) - begin
        most = 2 * (evidence.limit["per_second"] * (_WINDOW + _LATE) + evidence.limit["burst"])
        if count > most:
            wrong.append(f"{count} requests in {_WINDOW} s at a limit of {evidence.limit}")
    return wrong[:_SHOWN]


def sockets_recover(evidence: Evidence) -> list[str]:
    """A client that comes back gets what it missed."""
    return [f"{evidence.unrecovered} subscriptions were not recovered"] if evidence.unrecovered else []


def no_server_errors(evidence: Evidence) -> list[str]:
    """No request is answered with a 5xx other than 503."""
    return [f"answered {status}: {times} times" for status, times in evidence.server_errors.items()]


def nothing_broke(evidence: Evidence) -> list[str]:
    """Every process could be started again, and everything settled in time."""
    return evidence.troubles


CHECKS: Sequence[Callable[[Evidence], list[str]]] = (
    accepted_is_in_the_topic_once,
    receipts_tile,
    the_balance_is_zero,
    runs_send_once,
    received_everywhere,
    exactly_once_where_it_is_promised,
    one_delivery_for_an_endpoint,
    nothing_after_gone,
    limits_hold,
    sockets_recover,
    no_server_errors,
    nothing_broke,
)


def verdict(evidence: Evidence) -> list[str]:
    """Everything that is wrong; empty is good."""
    return [f"{check.__name__}: {line}" for check in CHECKS for line in check(evidence)]


def figures(evidence: Evidence) -> dict[str, int]:
    """What to print beside the verdict."""
    found = {
        "accepted": len(evidence.accepted),
        "refused": len(evidence.refused),
        "refused, yet in the topic": len(evidence.refused & evidence.topic.keys()),
        "in the topic": len(evidence.topic),
        "deliveries of runs": evidence.again,
    }
    for name, place in evidence.places.items():
        found[name] = len(place)
    for name in HOOKS:
        found[f"webhook {name}, repeated"] = len(many(evidence.places.get(f"webhook {name}", Counter())))
    return found


def _missing(name: str, wanted: set[str], there: Counter[str]) -> list[str]:
    missing = sorted(wanted - there.keys())
    return [f"{len(missing)} missing in {name}: {missing[:_SHOWN]}"] if missing else []


def _twice(name: str, there: Counter[str]) -> list[str]:
    twice = sorted(many(there))
    return [f"{len(twice)} several times in {name}: {twice[:_SHOWN]}"] if twice else []
