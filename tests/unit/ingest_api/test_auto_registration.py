"""The first use of a code registers it: once, while that is allowed, and up to a number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from ingest_api.auto_registration import FirstUse
from schemas.model.access import Client, Realm
from schemas.model.errors import InvalidEvent, QuotaExceeded
from schemas.model.event_type import EventType, Registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.event_types import EventTypes
    from backbone.catalog.reader import Catalog

T = TypeVar("T")

CLIENT = Client(id="c1", workspace="w", name="n", realm=Realm("crmls"), created_at=1, updated_at=1)


class _Catalog:
    """A catalog with what was registered through it; each registration takes a moment."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.registered: list[str] = []
        self.open: list[bool | None] = []

    async def lookup(self, find: Callable[[CatalogView], T | None]) -> T | None:
        return find(self.view)

    async def register(self, client: Client, workspace: str, namespace: str, code: str, **said: Any) -> None:
        self.registered.append(code)
        self.open.append(said["open"])
        await asyncio.sleep(0)
        self.view.put(
            Registration(
                client=client.id, workspace=workspace, namespace=namespace, code=code, created_at=1, updated_at=1
            ),
            1,
        )


def _first_use(catalog: _Catalog, *, limit: int = 10, enabled: bool = True) -> FirstUse:
    return FirstUse(cast("Catalog", catalog), cast("EventTypes", catalog), limit=limit, enabled=enabled)


async def test_requests_that_use_a_new_code_at_the_same_moment_register_it_once() -> None:
    catalog = _Catalog()
    first_use = _first_use(catalog)
    await asyncio.gather(*(first_use.ensure(CLIENT, "crmls", "Offer", path="$.messageType") for _ in range(3)))
    await first_use.ensure(CLIENT, "crmls", "Offer", path="$.messageType")
    assert catalog.registered == ["Offer"]


async def test_a_code_that_was_declared_stays_as_it_is() -> None:
    catalog = _Catalog()
    declared = EventType(
        workspace="w", namespace="crmls", code="Offer", effective_partitions=1, schema_id=1, created_at=1, updated_at=1
    )
    catalog.view.put(declared, 1)
    for code in ("Offer", "Bid"):
        await _first_use(catalog).ensure(CLIENT, "crmls", code, path="$.messageType")
    assert catalog.open == [None, True]


async def test_different_codes_do_not_wait_for_each_other() -> None:
    catalog, both = _Catalog(), asyncio.Barrier(2)
    register = catalog.register

    async def register_together(*about: Any, **said: Any) -> None:
        await both.wait()
        await register(*about, **said)

    catalog.register = register_together  # type: ignore[method-assign]
    first_use = _first_use(catalog)
    async with asyncio.timeout(15):
        await asyncio.gather(*(first_use.ensure(CLIENT, "crmls", code, path="$") for code in ("Offer", "Bid")))
    assert sorted(catalog.registered) == ["Bid", "Offer"]


async def test_what_is_being_registered_counts_against_the_limit() -> None:
    catalog = _Catalog()
    first_use = _first_use(catalog, limit=2)
    using = (first_use.ensure(CLIENT, "crmls", code, path="$.messageType") for code in ("A", "B", "C"))
    outcomes = await asyncio.gather(*using, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), QuotaExceeded]
    assert catalog.registered == ["A", "B"]


async def test_a_client_registers_no_more_than_it_may() -> None:
    catalog = _Catalog()
    first_use = _first_use(catalog, limit=1)
    await first_use.ensure(CLIENT, "crmls", "Offer", path="$.messageType")
    with pytest.raises(QuotaExceeded):
        await first_use.ensure(CLIENT, "crmls", "Bid", path="$.messageType")
    await first_use.ensure(CLIENT, "crmls", "Offer", path="$.messageType")
    assert catalog.registered == ["Offer"]


async def test_where_use_does_not_register_the_unknown_code_is_what_is_wrong() -> None:
    with pytest.raises(InvalidEvent) as refused:
        await _first_use(_Catalog(), enabled=False).ensure(CLIENT, "crmls", "Offer", path="$.messageType")
    assert [problem.path for problem in refused.value.problems] == ["$.messageType"]


async def test_a_namesake_of_another_workspace_has_a_limit_of_its_own() -> None:
    catalog = _Catalog()
    first_use = _first_use(catalog, limit=1)
    namesake = msgspec.structs.replace(CLIENT, workspace="elsewhere", identity="i")
    await asyncio.gather(*(first_use.ensure(each, "crmls", "Offer", path="$") for each in (CLIENT, namesake)))
    assert catalog.registered == ["Offer", "Offer"]
    for each in (CLIENT, namesake):
        with pytest.raises(QuotaExceeded):
            await first_use.ensure(each, "crmls", "Bid", path="$")
