"""How the ledger is read, and what its databases' errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection

from schemas.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine, Row, Select

_LIMIT_EXCEEDED = "54"
"""Class of PostgreSQL's error codes: a value is too large, for an index say. An operational error all the same."""


def read_rows(engine: Engine, statement: Select[Any]) -> Sequence[Row[Any]]:
    """All rows of a query.

    Raises:
        InvalidRequest: it looks for a number or a text that no database could hold.
        Unavailable: the database cannot be read now.
    """
    try:
        with engine.connect() as connection:
            return connection.execute(statement).all()
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


def unavailable(error: DBAPIError | NoConnection, doing: str) -> Unavailable:
    """What to raise: the error without the statement and its values."""
    return Unavailable(f"{doing}: {getattr(error, 'orig', None) or 'no connection is free'}")
