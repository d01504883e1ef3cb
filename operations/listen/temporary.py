"""An endpoint that is there only while a command runs, and is recognised as left over if the command was killed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from operations.errors import CallFailed
from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from operations.api.client import OwnApi

NAME = "headrace listen, until "
"""How the name of each such endpoint and filter begins; the time follows, so that others can remove what was left."""

LEASE = 900.0
"""Seconds after which an endpoint whose command says nothing more is left over."""

_RENEW = 300.0
_MICROS = 1_000_000
_UNTIL = re.compile(re.escape(NAME) + r"(\S+)")


async def sweep(api: OwnApi) -> int:
    """Delete what commands that were killed have left; return how many endpoints and filters that were."""
    swept = 0
    for path in ("/endpoints", "/filters"):
        for text in await api.items(path, 10_000):
            found: dict[str, Any] = msgspec.json.decode(text)
            if is_left_over(found["name"], timestamps.now()):
                await _gone(api, f"{path}/{found['id']}")
                swept += 1
    return swept


def is_left_over(name: str, now: int) -> bool:
    """Whether something with this name is of a command that said nothing more; ``now`` is in microseconds."""
    found = _UNTIL.fullmatch(name)
    if found is None:
        return False
    try:
        return timestamps.parse(found[1]) < now
    except ValueError:
        return False


@contextlib.asynccontextmanager
async def temporary_endpoint(api: OwnApi) -> AsyncIterator[str]:
    """The id of a ``WEB_SOCKET`` endpoint that is deleted, with its subscriptions, when the context ends."""
    endpoint = await api.post("/endpoints", {"name": _name(), "type": "WEB_SOCKET"})
    async with _kept(api, f"/endpoints/{endpoint['id']}"):
        yield endpoint["id"]


@contextlib.asynccontextmanager
async def temporary_filter(api: OwnApi, types: Sequence[dict[str, str]], condition: Any) -> AsyncIterator[str]:
    """The id of a filter that is deleted when the context ends; the condition is JSON, or None."""
    body = {"name": _name(), "types": types} | ({} if condition is None else {"condition": condition})
    made = await api.post("/filters", body)
    async with _kept(api, f"/filters/{made['id']}"):
        yield made["id"]


@contextlib.asynccontextmanager
async def _kept(api: OwnApi, path: str) -> AsyncIterator[None]:
    renewal = asyncio.create_task(_renew(api, path))
    try:
        yield
    finally:
        renewal.cancel()
        await _gone(api, path)


async def _renew(api: OwnApi, path: str) -> None:
    while True:
        await asyncio.sleep(_RENEW)
        # What cannot be said now is said the next time: the lease is three times as long.
        with contextlib.suppress(CallFailed):
            await api.change(path, {"name": _name()})


async def _gone(api: OwnApi, path: str) -> None:
    try:
        await api.delete(path)
    except CallFailed as error:
        if error.status != 404:  # noqa: PLR2004  # somebody else deleted it
            raise


def _name() -> str:
    return f"{NAME}{timestamps.to_text(timestamps.now() + int(LEASE * _MICROS))}"
