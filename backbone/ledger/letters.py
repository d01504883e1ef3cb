"""Dead letters in the ledger: written from two topics in any order, listed, and counted when they expire."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BigInteger, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from backbone.ledger.letter_tables import LETTERS
from backbone.ledger.reading import read_rows
from backbone.ledger.rows import LetterRow
from schemas.model.cursors import read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from schemas.model.run import LetterMark
    from schemas.security.reading import ReadScope

MOST_LETTERS = 500
"""Dead letters on one page."""

EXPIRED = "expired"
"""The mark of letters that nobody settled before they were too old."""

_LIST = "dead-letters"
_EXPIRED_AT_ONCE = 5_000
_MARKED = ("mark", "marked_run", "marked_by", "marked_at")


class LetterState(StrEnum):
    """What became of a dead letter."""

    OPEN = "open"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    EXPIRED = EXPIRED


class LetterQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters: all of the conditions given.

    Attributes:
        state: what became of them.
        kind: ``delivery`` or ``poison``.
        endpoint: id.
        topic: of the event.
        reason: a part of the reason, in any case of letters.
        since, until: ``since`` ≤ when it was set aside < ``until``, microseconds since the epoch.
        unowned: whether poison of no workspace is listed too.
    """

    state: LetterState | None = None
    kind: str | None = None
    endpoint: str | None = None
    topic: str | None = None
    reason: str | None = None
    since: int | None = None
    until: int | None = None
    unowned: bool = False


class LedgerLetter(LetterRow, frozen=True, kw_only=True):
    """A dead letter with the mark that says whether it is settled; columns as in ``letter_tables.LETTERS``."""

    mark: str | None
    marked_run: str | None
    marked_by: str | None
    marked_at: int | None

    @property
    def id(self) -> str:
        """How it is called in the API."""
        return f"{self.partition}-{self.offset}"

    @property
    def state(self) -> LetterState:
        """What became of it."""
        return LetterState.OPEN if self.mark is None else LetterState(self.mark)


class LetterWriter:
    """Upserts letters and their marks, either of which may be read first. Blocking."""

    def __init__(self, engine: Engine) -> None:
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        key = list(LETTERS.primary_key)
        letter = insert(LETTERS)
        names = [column.name for column in LETTERS.c if not column.primary_key and column.name not in _MARKED]
        self._letter = letter.on_conflict_do_update(
            index_elements=key, set_={name: letter.excluded[name] for name in names}
        )
        mark = insert(LETTERS)
        self._mark = mark.on_conflict_do_update(
            index_elements=key, set_={name: mark.excluded[name] for name in _MARKED}
        )

    def write(self, connection: Connection, letters: Sequence[LetterRow], marks: Sequence[LetterMark]) -> None:
        """Write a batch within a transaction."""
        # In the order of the keys, so that two indexers wait for each other in turn.
        if letters:
            rows = [msgspec.structs.asdict(each) for each in letters]
            connection.execute(self._letter, sorted(rows, key=lambda row: (row["partition"], row["offset"])))
        if marks:
            connection.execute(
                self._mark,
                [
                    {
                        "partition": each.partition,
                        "offset": each.offset,
                        "set_aside_at": each.at,
                        "mark": each.kind.value,
                        "marked_run": each.run,
                        "marked_by": each.by,
                        "marked_at": each.at,
                    }
                    for each in sorted(marks, key=lambda mark: (mark.partition, mark.offset))
                ],
            )


def lapse(connection: Connection, before: int, now: int) -> int:
    """Mark some letters as expired that were set aside before a time and never settled; returns how many.

    Args:
        connection: in a transaction.
        before: microseconds since the epoch.
        now: likewise.
    """
    table, key = LETTERS.c, list(LETTERS.primary_key)
    open_ = (table.mark.is_(None), table.workspace.is_not(None), table.set_aside_at < before)
    some = select(*key).where(*open_).limit(_EXPIRED_AT_ONCE)
    statement = update(LETTERS).where(tuple_(*key).in_(some), table.mark.is_(None))
    return connection.execute(statement.values(mark=EXPIRED, marked_at=now)).rowcount


class LetterQueries:
    """Blocking, and usable from any thread; both methods raise ``Unavailable`` when the database cannot be read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, scope: ReadScope, query: LetterQuery, *, limit: int, cursor: str | None
    ) -> tuple[list[LedgerLetter], str | None]:
        """A page of the letters that the reader may see, the latest first, and the cursor of the next page.

        Raises:
            InvalidRequest: the cursor is not one of this list.
        """
        table = LETTERS.c
        place = (table.set_aside_at, table.partition, table.offset)
        conditions = [*_readable(scope, unowned=query.unowned), *_conditions(query)]
        if cursor is not None:
            before = tuple_(*(literal(each, BigInteger) for each in read_cursor(_LIST, cursor, tuple[int, int, int])))
            conditions.append(tuple_(*place) < before)
        found = select(LETTERS).where(*conditions).order_by(*(each.desc() for each in place)).limit(limit + 1)
        letters = [_letter(row) for row in read_rows(self._engine, found)]
        page = letters[:limit]
        return page, _cursor(page[-1]) if len(letters) > limit else None

    def letter(self, scope: ReadScope, partition: int, offset: int, *, unowned: bool) -> LedgerLetter | None:
        """One letter; None if the reader may not see it, or the ledger does not have it (yet)."""
        table = LETTERS.c
        found = select(LETTERS).where(
            table.partition == partition, table.offset == offset, *_readable(scope, unowned=unowned)
        )
        return next(map(_letter, read_rows(self._engine, found)), None)


def _readable(scope: ReadScope, *, unowned: bool) -> list[ColumnElement[bool]]:
    table = LETTERS.c
    own: ColumnElement[bool] = table.workspace == scope.workspace
    if scope.client is not None:
        return [own, table.endpoint.in_(sorted(scope.endpoints))]
    return [or_(own, table.workspace == "") if unowned else own]


def _conditions(query: LetterQuery) -> list[ColumnElement[bool]]:
    table = LETTERS.c
    conditions: list[ColumnElement[bool]] = []
    if query.state is LetterState.OPEN:
        conditions.append(table.mark.is_(None))
    elif query.state is not None:
        conditions.append(table.mark == query.state.value)
    for name in ("kind", "endpoint", "topic"):
        wanted = getattr(query, name)
        if wanted is not None:
            conditions.append(table[name] == wanted)
    if query.reason is not None:
        conditions.append(func.lower(table.reason).contains(query.reason.lower(), autoescape=True))
    if query.since is not None:
        conditions.append(table.set_aside_at >= query.since)
    if query.until is not None:
        conditions.append(table.set_aside_at < query.until)
    return conditions


def _letter(row: Row[Any]) -> LedgerLetter:
    return LedgerLetter(**row._mapping)  # noqa: SLF001  # the documented name of SQLAlchemy


def _cursor(letter: LedgerLetter) -> str:
    return write_cursor(_LIST, (letter.set_aside_at, letter.partition, letter.offset))
