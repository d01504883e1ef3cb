from __future__ import annotations

import pytest

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
