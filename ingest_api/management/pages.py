"""Lists in pages: ordered by creation, continued from a cursor that stays good while resources come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Generic, Protocol, TypeVar

import msgspec
from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel

from ingest_api.http import LARGE
from schemas.model.cursors import read_cursor, write_cursor
from schemas.security.budget import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backbone.slices import Slices

_ENCODER = msgspec.json.Encoder()

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most items on a page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """One page; ``next_cursor`` is null on the last."""

    items: list[Item]
    next_cursor: str | None = None


class Listed(Protocol):
    """What can be listed: every resource of the catalog."""

    @property
    def key(self) -> str:
        """Unique among all."""

    @property
    def created_at(self) -> int:
        """Microseconds since the epoch."""


ListedItem = TypeVar("ListedItem", bound=Listed)


def page_of(
    listed: str, resources: Iterable[ListedItem], limit: int, cursor: str | None
) -> tuple[list[ListedItem], str | None]:
    """The page after the cursor, oldest first, and the cursor of the next.

    A page ends early where its resources are large.

    Raises:
        InvalidRequest: the cursor is not one that a page ended with.
    """
    after = None if cursor is None else read_cursor(listed, cursor, tuple[int, str])
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
    return page, write_cursor(listed, _place(page[-1])) if len(ordered) > len(page) else None


async def page_answer(
    slices: Slices,
    listed: str,
    encode: Callable[[ListedItem], bytes],
    resources: Iterable[ListedItem],
    limit: int,
    cursor: str | None,
) -> Response:
    """``page_of`` as an answer, made in slices: a page may have 40,000 attributes of event types.

    Args:
        slices: of the event loop.
        listed: the name of the list, for its cursors.
        encode: one resource as JSON.
        resources: what can be listed.
        limit: most items on the page.
        cursor: of the page before.

    Raises:
        InvalidRequest: the cursor is not one that a page ended with.
    """
    await slices.turn()
    return await items_answer(slices, encode, *page_of(listed, resources, limit, cursor))


async def items_answer(
    slices: Slices, encode: Callable[[Item], bytes], items: Iterable[Item], following: str | None
) -> Response:
    """A page of these items as an answer, made in slices.

    Args:
        slices: of the event loop.
        encode: one item as JSON.
        items: of the page.
        following: the cursor of the next page.
    """
    return await _answer(slices, b'{"items":[', encode, items, b'],"next_cursor":%b}' % _ENCODER.encode(following))


async def list_answer(slices: Slices, encode: Callable[[Item], bytes], items: Iterable[Item]) -> Response:
    """A whole list as an answer, made in slices, for documents that know no pages.

    Args:
        slices: of the event loop.
        encode: one item as JSON.
        items: what the list has.
    """
    return await _answer(slices, b"[", encode, items, b"]")


def as_model(model: type[BaseModel]) -> Callable[[object], bytes]:
    """Return an ``encode`` that shows a resource of the catalog as that model, made from its attributes."""
    return lambda resource: encode_model(model.model_validate(resource))


def encode_model(output: BaseModel) -> bytes:
    """An answer's model as JSON, with the names of its members that the document has."""
    return output.model_dump_json(by_alias=True).encode()


async def _answer(
    slices: Slices, begin: bytes, encode: Callable[[Item], bytes], items: Iterable[Item], end: bytes
) -> Response:
    work = slices.begin()
    parts = [begin]
    for each in items:
        await work.pause()
        parts += (encode(each), b",")
    if len(parts) > 1:
        parts.pop()
    # Joined once, in a turn of its own: an answer may have 33 megabytes.
    if sum(map(len, parts)) > LARGE:
        await slices.turn()
    return Response(b"".join([*parts, end]), media_type="application/json")


def _place(resource: Listed) -> tuple[int, str]:
    return resource.created_at, resource.key
