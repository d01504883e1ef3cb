"""How the ledger is read, and what its databases' errors mean."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection

from schemas.model.errors import CorruptRecord, InvalidRequest, LedgerUnavailable, Unavailable
from schemas.security.budget import ANSWER_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine, Row, Select

    from schemas.security.budget import AnswerBudget

MOST_DATA = ANSWER_CHARACTERS
"""Characters of text in one page of events."""

_AT_ONCE = 10
"""Rows that are fetched together where each may be large."""

_LIMIT_EXCEEDED = "54"
"""Class of PostgreSQL's error codes: a value is too large, for an index say. An operational error all the same."""


def read_rows(engine: Engine, statement: Select[Any]) -> Sequence[Row[Any]]:
    """All rows of a query.

    Raises:
        InvalidRequest: it looks for a number or a text that no database could hold.
        Unavailable: the database cannot be read now.
    """
    with _told(), engine.connect() as connection:
        return connection.execute(statement).all()


def read_page(
    engine: Engine, statement: Select[Any], budget: AnswerBudget | None = None
) -> tuple[list[Row[Any]], bool]:
    """The first rows of a query for events, and whether they are all.

    Their texts, such as ``data``, ``identifiers`` and the requests they came with, have ``MOST_DATA`` characters
    together, or are those of one row: whoever asks for a thousand events of a megabyte must not get the process that
    answers out of memory.

    Args:
        engine: the ledger.
        statement: the query.
        budget: of the whole answer, from which each row is taken as it comes.

    Raises:
        InvalidRequest: as ``read_rows``; or the budget does not suffice.
        Unavailable: likewise.
    """
    rows: list[Row[Any]] = []
    size = 0
    with (
        _told(),
        engine.connect() as connection,
        connection.execution_options(yield_per=_AT_ONCE).execute(statement) as found,
    ):
        for row in found:
            length = sum(len(each) for each in row if isinstance(each, str))
            if budget is not None:
                budget.take(characters=length)
            size += length
            if rows and size > MOST_DATA:
                return rows, False
            rows.append(row)
    return rows, True


def read_whole_page(engine: Engine, statement: Select[Any], budget: AnswerBudget | None = None) -> list[Row[Any]]:
    """All rows of a query for events, where the next page begins after so many rows, whatever their size.

    Raises:
        InvalidRequest: as ``read_rows``; or the page is too large.
        Unavailable: likewise.
    """
    rows, complete = read_page(engine, statement, budget)
    if not complete:
        raise InvalidRequest(f"The events asked for have more than {MOST_DATA:,} characters: ask for fewer at a time.")
    return rows


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The database's errors in our words."""
    try:
        yield
    except (DataError, OverflowError) as error:
        raise InvalidRequest("What is looked for is a number or a text that no event can have.") from error
    except (DBAPIError, NoConnection) as error:
        raise unavailable(error, "the ledger cannot be read") from error


def refuses_row(error: DBAPIError | NoConnection) -> bool:
    """Whether a database refuses what is in a row. Anything else may pass: the rows are to be written again.

    Tables that are being made anew, a server that has become a standby, or a pool without a free connection say nothing
    about the rows.
    """
    if isinstance(error, DataError | IntegrityError):
        return True
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(code, str) and code.startswith(_LIMIT_EXCEEDED)


def refusal(error: DBAPIError | NoConnection) -> CorruptRecord:
    """What to raise for a row that is refused: the database's first line, for the next may show the row."""
    return CorruptRecord(f"the ledger cannot hold it: {str(getattr(error, 'orig', error)).partition(chr(10))[0]}")


def unavailable(error: DBAPIError | NoConnection, doing: str) -> Unavailable:
    """What to raise: the error without the statement and its values."""
    return LedgerUnavailable(f"{doing}: {getattr(error, 'orig', None) or 'no connection is free'}")
