"""Nobody gives, takes or takes over more than it holds: every change of clients and roles of eventhos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.eventhos import Refused
from backbone.catalog.eventhos_accounts import EventhosAccounts
from backbone.catalog.secrets import SecretBox
from backbone.catalog.view import CatalogView
from schemas.access import Client, KeyUse, Realm, Workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backbone.catalog.writer import Changes

ALL = "OAUTH2_global:*"
MANAGING = ("OAUTH2_client:*", "OAUTH2_role:*", "event:select")


class DirectWriter:
    """Decides on one view, at once."""

    def __init__(self, view: CatalogView) -> None:
        self._view = view

    async def write(self, decide: Callable[[CatalogView], Changes[Any]]) -> Any:
        changes = decide(self._view)
        changes.apply_to(self._view)
        return changes.result


class World:
    """A root that may do everything, a weak manager, and their accounts."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.view.put(Workspace(id="w", name="default", created_at=1, updated_at=1), 1)
        writer: Any = DirectWriter(self.view)
        self.accounts = EventhosAccounts(writer, SecretBox(["a secret key that is long enough"]))

    async def client(self, name: str, *scopes: str) -> int:
        made = Client(
            id=name, workspace="default", name=name, realm=Realm.EVENTHOS, scopes=scopes, created_at=1, updated_at=1
        )
        self.view.put(made, 1)
        return (await self.accounts.adopt(made)).id

    def scopes(self, name: str) -> tuple[str, ...]:
        found = self.view.client(name)
        assert found is not None
        return found.scopes


@pytest.fixture
async def world() -> World:
    made = World()
    assert await made.client("root", ALL) == 1
    assert await made.client("weak", *MANAGING) == 2
    assert await made.client("peer", "event:select") == 3
    everything = await made.accounts.create_role(by="root", identifier="everything", permissions=[ALL])
    assert everything.id == 1
    reader = await made.accounts.create_role(by="weak", identifier="reader", permissions=["event:select"])
    assert reader.id == 2
    return made


BEYOND: dict[str, Callable[[EventhosAccounts], Awaitable[object]]] = {
    "gives itself a role of all": lambda it: it.change(2, by="weak", roles=[1]),
    "gives a peer a role of all": lambda it: it.change(3, by="weak", roles=[1]),
    "creates a client with it": lambda it: it.create(
        by="weak", identifier="n", name="n", description="", roles=[1], long_lived=True
    ),
    "creates a role of all": lambda it: it.create_role(by="weak", identifier="r", permissions=[ALL]),
    "creates a role of more than it has": lambda it: it.create_role(by="weak", identifier="r", permissions=["event:*"]),
    "widens a role": lambda it: it.change_role(2, ["event:select", "system:create"], by="weak"),
    "narrows a stronger role": lambda it: it.change_role(1, ["event:select"], by="weak"),
    "deletes a stronger role": lambda it: it.delete_role(1, by="weak"),
    "resets root's secret": lambda it: it.give(1, KeyUse.CLIENT_SECRET, by="weak"),
    "gives root a long-lived token": lambda it: it.give(1, KeyUse.LONG_LIVED, by="weak"),
    "takes root's long-lived token": lambda it: it.take_long_lived(1, by="weak"),
    "takes root's roles": lambda it: it.change(1, by="weak", roles=[]),
    "renames root": lambda it: it.change(1, by="weak", name="x"),
    "revokes root": lambda it: it.revoke(1, by="weak", revoked=True),
    "deletes root": lambda it: it.delete(1, by="weak"),
    "is no client any more": lambda it: it.create_role(by="nobody", identifier="r", permissions=["event:select"]),
}


@pytest.mark.parametrize("name", BEYOND)
async def test_more_than_ones_own_is_refused_and_changes_nothing(world: World, name: str) -> None:
    before = world.view.version
    with pytest.raises(Refused) as refused:
        await BEYOND[name](world.accounts)
    assert refused.value.code == 401002
    assert world.view.version == before


async def test_what_one_holds_may_be_given_and_taken(world: World) -> None:
    accounts = world.accounts
    await accounts.change(3, by="weak", roles=[2])
    assert world.scopes("peer") == ("event:select",)
    assert await accounts.give(3, KeyUse.CLIENT_SECRET, by="weak")
    await accounts.change_role(2, ["event:select", "OAUTH2_role:update"], by="weak")
    assert world.scopes("peer") == ("event:select", "OAUTH2_role:update")
    await accounts.delete_role(2, by="weak")
    await accounts.delete(3, by="weak")
    assert world.view.client("peer") is None


async def test_one_changes_oneself_but_gets_no_more(world: World) -> None:
    assert await world.accounts.give(2, KeyUse.CLIENT_SECRET, by="weak")
    await world.accounts.change(2, by="weak", roles=[2])
    assert world.scopes("weak") == ("event:select",)


async def test_a_disabled_manager_gives_nothing(world: World) -> None:
    weak = world.view.client("weak")
    assert weak is not None
    world.view.put(msgspec.structs.replace(weak, disabled=True), 2)
    with pytest.raises(Refused):
        await world.accounts.change(3, by="weak", roles=[2])


@pytest.mark.parametrize("change", ["change", "delete"])
async def test_a_role_takes_from_nobody_what_it_was_given_besides(world: World, change: str) -> None:
    await world.accounts.change(3, by="root", roles=[2])
    peer = world.view.client("peer")
    assert peer is not None
    world.view.put(msgspec.structs.replace(peer, scopes=(ALL, "event:select")), 2)
    changing = {
        "change": lambda by: world.accounts.change_role(2, ["event:select"], by=by),
        "delete": lambda by: world.accounts.delete_role(2, by=by),
    }[change]
    with pytest.raises(Refused) as refused:
        await changing("weak")
    assert refused.value.code == 401002
    assert ALL in world.scopes("peer")
    await changing("root")
