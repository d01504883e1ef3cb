"""Writes as many rows as the ledger into the same tables with executemany, and does nothing else.

Reads a job from the file that is its only argument; prints rows, CPU seconds and seconds as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model.ids import new_ids

_BATCH = 2_000
_TOPIC = "events.default.events.bench_2eindexed"
_AT = 1_700_000_000_000_000
_DATA = json.dumps({"orderId": "A-1", "total": 125.5, "customer": "x" * 100})


_ATTEMPT = "id source_offset delivery run number workspace event endpoint outcome started_at duration request"
_ENDED = """UPDATE deliveries SET outcome = ?, status = ?, attempts = ?, standing = ?, changed_at = ?
    WHERE id = ? AND run = ? AND source_offset = ?"""


def _into(table: str, names: str) -> str:
    columns = names.split()
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # ours


def main() -> None:
    """Insert events, then each delivery, its attempt, and the delivery's outcome."""
    job = json.loads(Path(sys.argv[1]).read_text())
    engine = open_ledger(job["url"])
    LedgerWriter(engine).create()
    engine.dispose()
    connection = sqlite3.connect(job["url"].removeprefix("sqlite:///"))
    connection.execute("PRAGMA synchronous=NORMAL")
    events = [
        ("default", event, _TOPIC, f"{_TOPIC}/0/{at}", "events", "bench.indexed", "c", _AT, _AT + at, "[]", _DATA)
        for at, event in enumerate(new_ids(job["events"]))
    ]
    every = [
        (delivery, "live", row[3], "default", row[1], f"endpoint-{number}", _AT + at, _AT + at, _TOPIC, "pending")
        for at, row in enumerate(events)
        for number, delivery in enumerate(new_ids(job["each"]))
    ]
    request = json.dumps({"method": "POST", "url": "http://127.0.0.1/", "headers": {"a": "b" * 300}, "body": _DATA * 2})
    attempts = [
        (attempt, row[2], row[0], "live", 1, "default", row[4], row[5], "delivered", row[6], 0.1, request)
        for attempt, row in zip(new_ids(len(every)), every, strict=True)
    ]
    ended = [("delivered", 204, 1, "delivered", row[6] + 1, *row[:3]) for row in every]
    statements = [
        (
            _into("events", "workspace id topic source_offset namespace code source time received_at identifiers data"),
            events,
        ),
        (
            _into("deliveries", "id run source_offset workspace event endpoint routed_at changed_at topic standing"),
            every,
        ),
        (_into("attempts", _ATTEMPT), attempts),
        (_ENDED, ended),
    ]
    started, used = time.perf_counter(), time.process_time()
    for statement, rows in statements:
        for at in range(0, len(rows), _BATCH):
            with connection:
                connection.executemany(statement, rows[at : at + _BATCH])
    result = {
        "rows": len(events) + len(every) + len(attempts),
        "cpu": time.process_time() - used,
        "wall": time.perf_counter() - started,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
