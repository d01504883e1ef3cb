"""Adds routing receipts to the ledger, each once, in the transaction that writes the rest of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from backbone.ledger.balance_tables import INDEXED, MATCHED, ROUTED, ROUTING_FAULTS
from schemas.model import topics
from schemas.model.delivery import ReceiptKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from backbone.ledger.rows import ReceiptRow

    Row = dict[str, Any]
    Place = tuple[str, int]

GAP, OVERLAP = "gap", "overlap"
"""Kinds of faults: offsets that no receipt accounts for, and offsets that two do."""


class ReceiptWriter:
    """Upserts what receipts say, and how far the ledger has read. Blocking, and usable from any thread."""

    def __init__(self, engine: Engine) -> None:
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._begin = insert(INDEXED).on_conflict_do_nothing(index_elements=list(INDEXED.primary_key))
        read = insert(INDEXED)
        self._read = read.on_conflict_do_update(
            index_elements=list(INDEXED.primary_key),
            set_={"next_offset": read.excluded.next_offset},
            where=read.excluded.next_offset > INDEXED.c.next_offset,
        )
        matched = insert(MATCHED)
        self._match = matched.on_conflict_do_update(
            index_elements=list(MATCHED.primary_key),
            set_={
                **{name: MATCHED.c[name] + matched.excluded[name] for name in ("matched", "not_kept", "held")},
                "next_offset": matched.excluded.next_offset,
            },
        )
        routed = insert(ROUTED)
        self._route = routed.on_conflict_do_update(
            index_elements=list(ROUTED.primary_key),
            set_={column.name: routed.excluded[column.name] for column in ROUTED.c if not column.primary_key},
        )
        self._fault = insert(ROUTING_FAULTS).on_conflict_do_nothing(index_elements=list(ROUTING_FAULTS.primary_key))

    def write(self, connection: Connection, receipts: Sequence[ReceiptRow], read: Mapping[Place, int]) -> None:
        """Add the receipts that were not added before, and note how far topics were read.

        Args:
            connection: in a transaction.
            receipts: in the order of their offsets.
            read: the next offset of each partition that the batch has records of.
        """
        if receipts:
            new = self._new(connection, receipts)
            self._add_matches(connection, new)
            self._add_ranges(connection, new)
        if read:
            rows = [{"topic": topic, "partition": number, "next_offset": end} for (topic, number), end in read.items()]
            connection.execute(self._read, sorted(rows, key=lambda row: (row["topic"], row["partition"])))

    def _new(self, connection: Connection, receipts: Sequence[ReceiptRow]) -> list[ReceiptRow]:
        """Lock the partitions of the receipts, and return those that were not added yet."""
        partitions = sorted({receipt.partition for receipt in receipts})
        first = [{"topic": topics.ROUTING_RECEIPTS, "partition": number, "next_offset": 0} for number in partitions]
        connection.execute(self._begin, first)
        table = INDEXED.c
        locked = select(table.partition, table.next_offset).where(
            table.topic == topics.ROUTING_RECEIPTS, table.partition.in_(partitions)
        )
        added = {row.partition: row.next_offset for row in connection.execute(locked.with_for_update())}
        new = []
        for receipt in receipts:
            if receipt.offset >= added[receipt.partition]:
                added[receipt.partition] = receipt.offset + 1
                new.append(receipt)
        return new

    def _add_matches(self, connection: Connection, receipts: Sequence[ReceiptRow]) -> None:
        rows: dict[tuple[Any, ...], Row] = {}
        for each in receipts:
            about = each.receipt
            for match in each.matches:
                key = (each.workspace, match.hour, match.endpoint, about.topic, about.partition)
                row = rows.get(key)
                if row is None:
                    row = rows[key] = {
                        **dict(zip(("workspace", "hour", "endpoint", "topic", "partition"), key, strict=True)),
                        **dict.fromkeys(("matched", "not_kept", "held"), 0),
                        "first_offset": about.first_offset,
                    }
                row["matched"] += match.deliveries
                row["held"] += match.held
                row["not_kept"] += 0 if each.kept else match.deliveries - match.held
                row["next_offset"] = about.next_offset
        if rows:
            connection.execute(self._match, [rows[key] for key in sorted(rows)])

    def _add_ranges(self, connection: Connection, receipts: Sequence[ReceiptRow]) -> None:
        covering = [each for each in receipts if each.receipt.next_offset > each.receipt.first_offset]
        if not covering:
            return
        table = ROUTED.c
        places = sorted({(each.receipt.topic, each.receipt.partition) for each in covering})
        known = select(ROUTED).where(or_(*(and_(table.topic == topic, table.partition == at) for topic, at in places)))
        rows: dict[Place, Row] = {(row.topic, row.partition): row._asdict() for row in connection.execute(known)}
        faults: list[Row] = []
        for each in covering:
            place = (each.receipt.topic, each.receipt.partition)
            row = rows.get(place)
            if row is None or row["created_at"] != each.created_at:
                row = rows[place] = _first(each)
            if each.created_at is not None:
                faults += _faults(row, each)
            about = each.receipt
            row["next_offset"] = max(row["next_offset"], about.next_offset)
            row["events"] += about.events
            if about.kind is ReceiptKind.SKIPPED:
                row["skipped"] += about.next_offset - about.first_offset
            row["routed_at"] = about.routed_at
        connection.execute(self._route, [rows[place] for place in sorted(rows)])
        if faults:
            connection.execute(self._fault, faults)


def _first(each: ReceiptRow) -> Row:
    about = each.receipt
    return {
        "topic": about.topic,
        "partition": about.partition,
        "workspace": each.workspace,
        "created_at": each.created_at,
        "first_offset": about.first_offset,
        "next_offset": about.first_offset,
        "events": 0,
        "skipped": 0,
        "routed_at": about.routed_at,
    }


def _faults(row: Row, each: ReceiptRow) -> list[Row]:
    """Return what is wrong between the receipts before and this one: nothing, a gap or an overlap."""
    about = each.receipt
    expected = row["next_offset"]
    if about.first_offset == expected:
        return []
    is_gap = about.first_offset > expected
    return [
        {
            "topic": about.topic,
            "partition": about.partition,
            "first_offset": min(expected, about.first_offset),
            "kind": GAP if is_gap else OVERLAP,
            "next_offset": about.first_offset if is_gap else min(expected, about.next_offset),
            "workspace": each.workspace,
            "found_at": about.routed_at,
        }
    ]
