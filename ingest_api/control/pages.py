"""Lists in pages: ordered by creation, continued from a cursor that stays good while resources come and go."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel

from schemas.budget import PAGE_BYTES
from schemas.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest_api.control.models import Output

_ENCODER = msgspec.json.Encoder()

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most items on a page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """One page; ``next_cursor`` is null on the last."""

    items: list[Item]
    next_cursor: str | None = None

    @classmethod
    def of(cls, model: type[Output], resources: Sequence[object], following: str | None) -> Page[Any]:
        """A page of the resources as answers of that model."""
        return Page[Any](items=[model.model_validate(resource) for resource in resources], next_cursor=following)


class Listed(Protocol):
    """What can be listed: every resource of the catalog."""

    @property
    def key(self) -> str:
        """Unique among all."""

    @property
    def created_at(self) -> int:
        """Microseconds since the epoch."""


ListedItem = TypeVar("ListedItem", bound=Listed)


def page_of(resources: Iterable[ListedItem], limit: int, cursor: str | None) -> tuple[list[ListedItem], str | None]:
    """The page after the cursor, oldest first, and the cursor of the next.

    A page ends early where its resources are large.

    Raises:
        InvalidRequest: the cursor is not one that a page ended with.
    """
    after = decode_cursor(cursor) if cursor else None
    ordered = sorted(resources, key=_place)
    if after is not None:
        ordered = [resource for resource in ordered if _place(resource) > after]
    page: list[ListedItem] = []
    size = 0
    for each in ordered[:limit]:
        size += len(_ENCODER.encode(each))
        if page and size > PAGE_BYTES:
            break
        page.append(each)
    return page, encode_cursor(*_place(page[-1])) if len(ordered) > len(page) else None


def encode_cursor(created_at: int, key: str) -> str:
    """An opaque text that names a place in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode((created_at, key))).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Read a cursor back.

    Raises:
        InvalidRequest: it is something else.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        problem = Problem(path="cursor", message="is not a cursor of this list")
        raise InvalidRequest("The cursor is not valid.", [problem]) from error


def _place(resource: Listed) -> tuple[int, str]:
    return resource.created_at, resource.key
