"""Nobody gives, takes or takes over more than it holds: every change of clients and roles of eventhos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.secrets import SecretBox
from backbone.catalog.view import CatalogView
from families.eventhos.catalog.accounts import EventhosAccounts
from families.eventhos.catalog.actions import EventhosActions
from families.eventhos.catalog.calls import Call
from families.eventhos.catalog.records import Event, Refused, to_record
from families.eventhos.catalog.systems import EventhosSystems
from schemas.model.access import Client, KeyUse, Realm, Workspace
from schemas.model.endpoint import RequestTemplate
from tests.support.local_gateway import DirectWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


ALL = "OAUTH2_global:*"
MANAGING = ("OAUTH2_client:*", "OAUTH2_role:*", "event:select")


def call(url: str) -> Call:
    return Call(url=url, method="POST", request=RequestTemplate())


class World:
    """A root that may do everything, a weak manager, and their accounts."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.view.put(Workspace(id="w", name="default", created_at=1, updated_at=1), 1)
        writer: Any = DirectWriter(self.view)
        box = SecretBox(["a secret key that is long enough"])
        self.accounts, self.actions = EventhosAccounts(writer, box), EventhosActions(writer, box)
        self.systems = EventhosSystems(writer, event_types=None)  # type: ignore[arg-type]  # no event is registered
        self.event = "paid-0123456789"

    async def client(self, name: str, *scopes: str) -> int:
        made = Client(
            id=name, workspace="default", name=name, realm=Realm("eventhos"), scopes=scopes, created_at=1, updated_at=1
        )
        self.view.put(made, 1)
        return (await self.accounts.adopt(made)).id

    async def give_peer_a_system(self) -> None:
        """A system whose events ``peer`` sends, one of them, and an action whose answers are sent as that one."""
        await self.systems.create_system(identifier="shop", name="Shop", system_class="hybrid", client_id=3)
        event = Event(id=1, system_id=1, identifier=self.event, name="Paid", created_at=1, updated_at=1)
        self.view.put(to_record(event), 1)
        await self.actions.create_action(
            call("https://shop.example/"), by="root", system_id=1, identifier="a", name="n", reply_to=self.event
        )

    def scopes(self, name: str) -> tuple[str, ...]:
        found = self.view.client("default", name)
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


SENDERS: dict[str, Callable[[World], Awaitable[object]]] = {
    "resets its secret": lambda it: it.accounts.give(3, KeyUse.CLIENT_SECRET, by="weak"),
    "gives it a long-lived token": lambda it: it.accounts.give(3, KeyUse.LONG_LIVED, by="weak"),
    "takes its long-lived token": lambda it: it.accounts.take_long_lived(3, by="weak"),
    "takes its roles": lambda it: it.accounts.change(3, by="weak", roles=[]),
    "revokes it": lambda it: it.accounts.revoke(3, by="weak", revoked=True),
    "lets it in again": lambda it: it.accounts.revoke(3, by="weak", revoked=False),
    "deletes it": lambda it: it.accounts.delete(3, by="weak"),
    "has answers sent as its event": lambda it: it.actions.create_action(
        call("https://weak.example/"), by="weak", system_id=1, identifier="i", name="n", reply_to=it.event
    ),
    "has the answers of another server sent as its event": lambda it: it.actions.update_action(
        1, call("https://weak.example/"), by="weak"
    ),
}


@pytest.mark.parametrize("name", SENDERS)
@pytest.mark.parametrize("more", [(), ("system:update",)])
async def test_nobody_sends_as_the_client_of_a_system_who_may_not_say_which_it_is(
    world: World, name: str, more: tuple[str, ...]
) -> None:
    await world.give_peer_a_system()
    weak = world.view.client("default", "weak")
    assert weak is not None
    world.view.put(msgspec.structs.replace(weak, scopes=(*MANAGING, *more)), 2)
    before = world.view.version
    if more:
        await SENDERS[name](world)
        return
    with pytest.raises(Refused) as refused:
        await SENDERS[name](world)
    assert (refused.value.code, world.view.version) == (401002, before)


async def test_the_client_of_a_system_does_to_itself_what_it_may(world: World) -> None:
    await world.give_peer_a_system()
    assert await world.accounts.give(3, KeyUse.CLIENT_SECRET, by="peer")
    made = await world.actions.create_action(
        call("https://a.example/"), by="peer", system_id=1, identifier="own", name="n", reply_to=world.event
    )
    assert made.reply_to == world.event


async def test_a_client_that_lost_its_system_is_changed_by_who_holds_as_much(world: World) -> None:
    await world.give_peer_a_system()
    await world.systems.update_system(1, client_id=1)
    assert await world.accounts.give(3, KeyUse.CLIENT_SECRET, by="weak")


async def test_what_one_holds_may_be_given_and_taken(world: World) -> None:
    accounts = world.accounts
    await accounts.change(3, by="weak", roles=[2])
    assert world.scopes("peer") == ("event:select",)
    assert await accounts.give(3, KeyUse.CLIENT_SECRET, by="weak")
    await accounts.change_role(2, ["event:select", "OAUTH2_role:update"], by="weak")
    assert world.scopes("peer") == ("event:select", "OAUTH2_role:update")
    await accounts.delete_role(2, by="weak")
    await accounts.delete(3, by="weak")
    assert world.view.client("default", "peer") is None


async def test_one_changes_oneself_but_gets_no_more(world: World) -> None:
    assert await world.accounts.give(2, KeyUse.CLIENT_SECRET, by="weak")
    await world.accounts.change(2, by="weak", roles=[2])
    assert world.scopes("weak") == ("event:select",)


async def test_a_disabled_manager_gives_nothing(world: World) -> None:
    weak = world.view.client("default", "weak")
    assert weak is not None
    world.view.put(msgspec.structs.replace(weak, disabled=True), 2)
    with pytest.raises(Refused):
        await world.accounts.change(3, by="weak", roles=[2])


@pytest.mark.parametrize("change", ["change", "delete"])
async def test_a_role_takes_from_nobody_what_it_was_given_besides(world: World, change: str) -> None:
    await world.accounts.change(3, by="root", roles=[2])
    peer = world.view.client("default", "peer")
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
