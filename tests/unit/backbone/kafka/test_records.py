from __future__ import annotations

import pytest

from backbone.kafka.producer import MAX_HEADER_BYTES, MAX_RECORD_BYTES
from backbone.kafka.records import Message, dead_letter, partition_for


@pytest.mark.parametrize(
    ("key", "java_hash"),
    [
        # From the tests of Kafka's own Utils.murmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partitions_are_those_of_the_java_producer(key: bytes, java_hash: int) -> None:
    for partitions in (1, 7, 12):
        assert partition_for(key, partitions) == (java_hash & 0x7FFFFFFF) % partitions


def message(**changes: object) -> Message:
    known: dict[str, object] = {
        "topic": "events.a.b.c",
        "partition": 3,
        "offset": 17,
        "key": b"k",
        "value": b"v",
        "headers": [("ce_id", b"1"), ("empty", None)],
    }
    return Message(**(known | changes))  # type: ignore[arg-type]


def test_poison_is_set_aside_with_where_and_why() -> None:
    record = dead_letter(message(), reason="not Avro")
    assert (record.topic, record.key, record.value) == ("dead-letters", b"events.a.b.c/3", b"v")
    assert record.headers == [
        ("ce_id", b"1"),
        ("empty", b""),
        ("hr_dead_reason", b"not Avro"),
        ("hr_dead_kind", b"poison"),
        ("hr_dead_topic", b"events.a.b.c"),
        ("hr_dead_partition", b"3"),
        ("hr_dead_offset", b"17"),
    ]


def test_a_dead_delivery_is_keyed_by_its_endpoint() -> None:
    record = dead_letter(
        message(headers=None), reason="x", kind="delivery", key=b"e", extra=[("hr_dead_status", b"500")]
    )
    assert record.key == b"e"
    assert record.headers is not None
    assert record.headers[1] == ("hr_dead_kind", b"delivery")
    assert record.headers[-1] == ("hr_dead_status", b"500")


def test_a_tombstone_can_be_set_aside() -> None:
    assert dead_letter(message(value=None), reason="x").value is None


def test_the_largest_of_our_own_records_are_set_aside_whole() -> None:
    headers = [("ce_id", b"1"), ("hr_request", bytes(MAX_HEADER_BYTES))]
    record = dead_letter(message(value=bytes(MAX_RECORD_BYTES), headers=headers), reason="x")
    assert record.value == bytes(MAX_RECORD_BYTES)
    assert (record.headers or [])[:2] == headers


@pytest.mark.parametrize(
    ("changes", "keeps_value", "keeps_headers"),
    [
        ({"value": bytes(3_000_000)}, False, True),
        ({"headers": [("x", bytes(3_000_000))]}, True, False),
        ({"headers": [("", b"")] * 200_000}, True, False),
        ({"value": bytes(1_400_000), "headers": [("x", bytes(700_000))]}, False, True),
    ],
)
def test_what_dead_letters_would_not_take_stays_behind(
    changes: dict[str, object], *, keeps_value: bool, keeps_headers: bool
) -> None:
    original = message(**changes)
    record = dead_letter(original, reason="r" * 5_000)
    assert record.value == (original.value() if keeps_value else None)
    names = [name for name, _ in record.headers or []]
    own = len(names) - 5
    assert own == (len(list(original.headers() or [])) if keeps_headers else 0)
    assert dict(record.headers or [])["hr_dead_reason"] == b"r" * 1_000
    assert names[-5:] == ["hr_dead_reason", "hr_dead_kind", "hr_dead_topic", "hr_dead_partition", "hr_dead_offset"]
