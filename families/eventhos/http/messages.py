"""What the eventhos API answers and asks for throughout: ``{code, message, content}``, pages, and text with limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import Depends, Query
from fastapi.responses import Response as HttpResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from families.eventhos.catalog.records import Refused
from families.eventhos.http.access import CREATED, SUCCESS, UNREADABLE
from schemas.security.budget import PAGE_BYTES


class Answer(BaseModel):
    """Every answer; ``code`` begins with the HTTP status."""

    code: int
    message: str
    content: Any = None


ANSWERS: dict[str, Any] = {"response_model": Answer, "response_model_exclude_unset": True}
"""What every route declares of its answer."""


def success(content: Any = None, *, code: int = SUCCESS, message: str = "success") -> Answer:
    """An answer with content."""
    return Answer(code=code, message=message, content=content)


def done(message: str = "success") -> Answer:
    """The answer to a change, without content."""
    return Answer(code=CREATED, message=message)


def verbatim(content: Any) -> HttpResponse:
    """An answer whose content holds JSON of others (``as_json``), which stands as it came, however deep it is."""
    answer = {"code": SUCCESS, "message": "success", "content": content}
    return HttpResponse(msgspec.json.encode(answer), media_type="application/json")


def as_json(text: str | bytes) -> Any:
    """JSON for ``verbatim`` to print as it is, not read; anything else as text."""
    try:
        return msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return text if isinstance(text, str) else text.decode(errors="replace")


class Input(BaseModel):
    """A request body; members that are not known are ignored, as in the original."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    def given(self) -> dict[str, Any]:
        """The members that the caller sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def changes(self) -> dict[str, Any]:
        """The members that the caller sent and that are not null: a null leaves what there is."""
        return {name: value for name, value in self.given().items() if value is not None}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("printable", "must have printable characters only")
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2_000)]


def _said(given: object) -> object:
    return None if given == "" else given


Said = BeforeValidator(_said)
"""Of a list's condition: an empty one is none, as in the original. Forms send what was left empty, too."""


class Paging(NamedTuple):
    """Which rows of a list are asked for, and in which order."""

    items_per_page: int
    page_index: int
    descending: bool
    sorted_by: str

    @property
    def offset(self) -> int:
        """How many rows come before the page."""
        return self.page_index * self.items_per_page

    def of(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A page of rows.

        Raises:
            Refused: they cannot be sorted by what is asked for, or those of the page are too large together.
        """
        if rows and self.sorted_by not in rows[0]:
            raise Refused(UNREADABLE, f"activeSort: the list cannot be sorted by {self.sorted_by}")
        ordered = sorted(rows, key=lambda row: _sortable(row[self.sorted_by]), reverse=self.descending)
        items = ordered[self.offset : self.offset + self.items_per_page]
        size = 0
        for item in items:
            size += len(msgspec.json.encode(item))
            if size > PAGE_BYTES:
                raise Refused(UNREADABLE, f"The page has more than {PAGE_BYTES:,} bytes: ask for fewer itemsPerPage")
        return self.page(items, len(rows))

    def page(self, items: list[dict[str, Any]], total: int) -> dict[str, Any]:
        """The page that these items are, of so many in all."""
        return {
            "items": items,
            "pageIndex": self.page_index,
            "itemsPerPage": self.items_per_page,
            "totalItems": total,
            "totalPages": -(-total // self.items_per_page),
        }


def _paging(
    items_per_page: Annotated[int, Query(alias="itemsPerPage", ge=1, le=1_000)] = 5,
    page_index: Annotated[int, Query(alias="pageIndex", ge=0, le=1_000_000)] = 0,
    order: Literal["asc", "desc"] = "asc",
    active_sort: Annotated[str, Query(alias="activeSort", description="A member of the rows.")] = "id",
) -> Paging:
    return Paging(items_per_page, page_index, order == "desc", active_sort)


Pages = Annotated[Paging, Depends(_paging)]
"""A route's parameter: the page that is asked for."""


def iso(micros: int) -> str:
    """A time as the original prints it: ISO 8601 in UTC with milliseconds."""
    return (
        datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{micros // 1_000 % 1_000:03}Z"
    )


def contains(text: str | None, part: str | None) -> bool:
    """Whether a text has a part, in any case, as SQL's LIKE finds it; no part is in every text."""
    return part is None or part.lower() in (text or "").lower()


def _sortable(value: Any) -> tuple[bool, Any]:
    """Rows without the value come first; members that are no plain values are ordered by their text."""
    return (value is not None, value if isinstance(value, int | float) else "" if value is None else str(value))
