"""Rows of dead letters, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.ledger.rows import LetterRow
from backbone.runs.letters import read_letter
from schemas.model.errors import CorruptRecord
from schemas.model.run import LetterMark

if TYPE_CHECKING:
    from backbone.kafka.records import ConsumedRecord
    from backbone.ledger.rows import LedgerRows

_MARKS = msgspec.json.Decoder(LetterMark)


def letter_row(message: ConsumedRecord, *, longest_id: int) -> LetterRow:
    """A record of ``dead-letters`` as the ledger keeps it.

    Raises:
        CorruptRecord: one of its ids is longer than the ledger takes.
    """
    letter = read_letter(message)
    delivery = letter.delivery
    source: str | None = None
    if delivery is not None:
        source = str(delivery.source)
    elif letter.source_partition is not None:
        source = f"{letter.topic}/{letter.source_partition}/{letter.source_offset}"
    texts = {
        "workspace": letter.workspace,
        "kind": letter.kind,
        "topic": letter.event_topic,
        "source_offset": source,
        "endpoint": delivery.endpoint if delivery else None,
        "delivery": delivery.id if delivery else None,
        "event": delivery.event if delivery else None,
        "run": delivery.run if delivery else None,
    }
    if any(len(text or "") > longest_id for text in texts.values()):
        raise CorruptRecord(f"a dead letter with an id of more than {longest_id} characters")
    # PostgreSQL's text takes no NUL characters.
    storable = {name: text and text.replace("\0", "\ufffd") for name, text in texts.items()}
    return LetterRow(
        partition=letter.partition,
        offset=letter.offset,
        reason=letter.reason.replace("\0", "\ufffd"),
        status=letter.status,
        set_aside_at=letter.set_aside_at,
        **storable,  # type: ignore[arg-type]  # each has the type of its member
    )


def read_mark(message: ConsumedRecord, rows: LedgerRows) -> None:
    """Read a record of ``dead-letter-marks``.

    Raises:
        CorruptRecord: it is none.
    """
    try:
        rows.marks.append(_MARKS.decode(message.value() or b""))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"not a mark of a dead letter: {error}") from error
