"""What the benchmarks send: one typed event of ten attributes, a condition that a quarter of them meets."""

from __future__ import annotations

import random
from typing import Any

import orjson

CODE = "bench.order"

ATTRIBUTES = [
    {"name": "orderId", "type": "String", "required": True},
    {"name": "customerId", "type": "String", "required": True},
    {"name": "region", "type": "String", "required": True},
    {"name": "amount", "type": "Number", "required": True},
    {"name": "quantity", "type": "integer"},
    {"name": "express", "type": "Boolean"},
    {"name": "placedAt", "type": "Time"},
    {"name": "currency", "type": "String"},
    {"name": "sku", "type": "String"},
    {"name": "discount", "type": "Number"},
]

CONDITION: dict[str, object] = {"data": {"region": ["eu"], "amount": [{"numeric": [">", 100]}]}}
"""Half of the events are from ``eu``, half cost more than 100."""

_REGIONS = ("eu", "us")


def order(number: int) -> dict[str, Any]:
    """The data of the ``number``-th event: the same on every run."""
    draw = random.Random(number)
    return {
        "orderId": f"order-{number:010d}",
        "customerId": f"customer-{draw.randrange(10_000)}",
        "region": draw.choice(_REGIONS),
        "amount": draw.randrange(200) + 0.25,
        "quantity": draw.randrange(1, 10),
        "express": draw.random() < 0.5,  # noqa: PLR2004  # half of them
        "placedAt": "2026-03-04T16:36:54.591Z",
        "currency": "EUR",
        "sku": f"sku-{draw.randrange(1_000)}",
        # A number that prints back as JSON writers in most languages send it (Python alone writes 1.0 for a whole one):
        # what it costs to keep other spellings is measured in tests/perf.
        "discount": draw.randrange(10) + 0.5,
    }


def cloudevent(number: int) -> dict[str, Any]:
    """The ``number``-th event as CloudEvents JSON, without an id: a keyed publish is another kind of work."""
    return {
        "specversion": "1.0",
        "type": CODE,
        "source": "bench",
        "subject": f"order-{number}",
        "time": "2026-03-04T16:36:54.591Z",
        "datacontenttype": "application/json",
        "data": order(number),
    }


def batch(first: int, size: int) -> bytes:
    """A CloudEvents batch body."""
    return orjson.dumps([cloudevent(number) for number in range(first, first + size)])


HEADERS = [
    ["ce_specversion", "1.0"],
    ["ce_id", "01a1fc3e-2056-7490-9df2-dd373bcd42c4"],
    ["ce_source", "bench"],
    ["ce_type", CODE],
    ["ce_time", "2026-03-04T16:36:54.591Z"],
    ["ce_subject", "order-1"],
    ["ce_datacontenttype", "application/json"],
    ["ce_clientid", "01a1fc3e-2056-7490-9df2-dd373bcd42c5"],
    ["hr_event", "01a1fc3e-2056-7490-9df2-dd373bcd42c4"],
    ["content-type", "application/avro"],
]
"""What the publisher puts on each of them, for the yardstick that must carry the same."""
