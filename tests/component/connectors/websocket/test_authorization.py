"""A token is worth what the catalog says of its issuer, at every moment; a refreshed one changes the subscriptions."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.api_keys import api_key_record
from families.envoy.model import FAMILY, ORGANISATIONS, PUBLIC_NAMESPACES
from schemas.model import timestamps
from schemas.model.access import HEADRACE, Client, Realm
from schemas.model.family_record import FamilyRecord
from schemas.model.ids import new_id
from schemas.security.binding import Binding
from tests.component.connectors.websocket.node import (
    Clients,
    RawClient,
    channel_token,
    order_ids,
    publications,
    publish,
    running_node,
    some_channel,
    token,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from schemas.model.resources import Resource
    from tests.component.connectors.post_office import PostOffice


def issuer(realm: Realm = HEADRACE) -> Client:
    now = timestamps.now()
    name = uuid.uuid4().hex
    return Client(id=f"usr_{name}", workspace=f"org_{name}", name=name, realm=realm, created_at=now, updated_at=now)


def provision(client: Client, *public: str) -> FamilyRecord:
    return FamilyRecord(
        family=FAMILY,
        collection=ORGANISATIONS,
        id=client.workspace,
        workspace=client.workspace,
        content={PUBLIC_NAMESPACES: list(public)},
        created_at=client.created_at,
        updated_at=client.updated_at,
    )


async def put(office: PostOffice, *resources: Resource) -> None:
    await office.write(*resources)


async def delete(office: PostOffice, resource: Resource) -> None:
    await office.write(delete=[resource.key])


async def refused(clients: Clients, connection_token: str) -> int:
    client = await clients.open()
    await client.say({"id": 1, "connect": {"token": connection_token}})
    return (await client.closed())[0]


async def connected(clients: Clients, by: Client, **claims: object) -> RawClient:
    return await clients.connect(iss=by.id, sub=by.id, workspace=by.workspace, **claims)


@pytest.mark.parametrize("how", ["deleted", "disabled"])
async def test_connections_end_with_the_client_that_issued_their_token(
    clients: Clients, office: PostOffice, how: str
) -> None:
    by, other = issuer(), issuer()
    await put(office, by, other)
    client, bystander = await connected(clients, by), await connected(clients, other)

    if how == "deleted":
        await delete(office, by)
    else:
        await put(office, msgspec.structs.replace(by, disabled=True))

    assert await client.closed() == (3507, "permission denied")
    assert await refused(clients, token(iss=by.id)) == 3500
    assert "ping" in await bystander.ask(ping={})


async def test_connections_end_with_the_key_that_their_token_was_got_with(clients: Clients, office: PostOffice) -> None:
    user = msgspec.structs.replace(issuer(Realm("envoy")), scopes=("news:read",))
    key = api_key_record(new_id(), user, "plaintext", uuid.uuid4().hex)
    await put(office, user, provision(user), key)
    bound = msgspec.to_builtins(Binding.of(user, key))
    client = await connected(clients, user, bound=bound)

    await delete(office, key)

    assert await client.closed() == (3507, "permission denied")
    assert await refused(clients, token(iss=user.id, sub=user.id, workspace=user.workspace, bound=bound)) == 3500


async def test_channels_end_with_the_scope_that_let_into_them(clients: Clients, office: PostOffice) -> None:
    user = msgspec.structs.replace(issuer(Realm("envoy")), scopes=("news:read", "orders:read", "tasks:read"))
    key = api_key_record(new_id(), user, "plaintext", uuid.uuid4().hex)
    await put(office, user, provision(user), key)
    bound = msgspec.to_builtins(Binding.of(user, key))
    news, orders, tasks = (f"{name}:{user.workspace}" for name in ("news", "orders", "tasks"))
    client = await connected(clients, user, bound=bound, channels=[news, orders])
    claims = {"iss": user.id, "sub": user.id, "workspace": user.workspace, "bound": bound}
    assert "subscribe" in await client.ask(subscribe={"channel": tasks, "token": channel_token(tasks, **claims)})

    await put(office, msgspec.structs.replace(user, scopes=("orders:read",)))

    left = [(await client.next())["push"] for _ in range(2)]
    assert sorted(each["channel"] for each in left) == [news, tasks]
    assert [each["unsubscribe"]["code"] for each in left] == [2000, 2000]
    again = {"channel": tasks, "token": channel_token(tasks, **claims)}
    assert (await client.ask(subscribe=again))["error"]["code"] == 103
    assert (await client.ask(subscribe={"channel": orders}))["error"]["code"] == 105


async def test_connections_end_with_the_provision_of_their_organisation(clients: Clients, office: PostOffice) -> None:
    user = issuer(Realm("envoy"))
    provisioned = provision(user)
    await put(office, user, provisioned)
    client = await connected(clients, user)

    await delete(office, provisioned)

    claims = {"iss": user.id, "sub": user.id, "workspace": user.workspace}
    assert await refused(clients, token(**claims)) == 3500
    assert (await client.closed())[0] == 3507
    await put(office, provisioned)
    assert "ping" in await (await connected(clients, user)).ask(ping={})


async def test_every_node_ends_its_connections(
    clients: Clients, office: PostOffice, kafka: KafkaSettings, tmp_path: Path
) -> None:
    user = issuer(Realm("envoy"))
    provisioned = provision(user)
    await put(office, user, provisioned)
    with running_node(kafka, tmp_path) as other:
        async with contextlib.AsyncExitStack() as stack:
            connections = [await connected(each, user) for each in (clients, Clients(other.url, stack))]

            await delete(office, provisioned)

            assert [(await each.closed())[0] for each in connections] == [3507, 3507]


async def test_a_subscription_token_is_worth_no_more_than_its_issuer(clients: Clients, office: PostOffice) -> None:
    by = issuer()
    await put(office, by)
    channel = some_channel()
    client = await clients.connect()

    unknown = await client.ask(subscribe={"channel": channel, "token": channel_token(channel, iss="nobody")})
    known = await client.ask(subscribe={"channel": channel, "token": channel_token(channel, iss=by.id)})

    assert unknown["error"]["code"] == 103
    assert "subscribe" in known


async def test_a_refreshing_token_is_worth_no_more_than_its_issuer(clients: Clients) -> None:
    client = await clients.connect()

    await client.say({"id": 2, "refresh": {"token": token(iss="nobody")}})

    assert (await client.closed())[0] == 3500


async def test_public_channels_need_no_token(clients: Clients, office: PostOffice) -> None:
    user = issuer(Realm("envoy"))
    await put(office, user, provision(user, "news"))
    client = await connected(clients, user)
    channel = f"news:{user.workspace}"
    endpoint = await office.endpoint("http://unused")

    joined = await client.ask(subscribe={"channel": channel})
    await office.producer.send(publications(office, endpoint, channel, range(1, 3), user.workspace))

    assert "subscribe" in joined
    assert "expires" not in joined["subscribe"]
    assert order_ids(await client.publications(2)) == [1, 2]
    for private in (f"news:{user.workspace}#{user.id}", f"orders:{user.workspace}", "news:org_2", f":{user.workspace}"):
        assert (await client.ask(subscribe={"channel": private}))["error"]["code"] == 103


async def test_a_public_channel_is_left_when_it_is_public_no_more(clients: Clients, office: PostOffice) -> None:
    user = issuer(Realm("envoy"))
    await put(office, user, provision(user, "news", "status"))
    client = await connected(clients, user)
    news, status = f"news:{user.workspace}", f"status:{user.workspace}"
    for channel in (news, status):
        assert "subscribe" in await client.ask(subscribe={"channel": channel})

    await put(office, provision(user, "status"))

    over = {"code": 2000, "reason": "server unsubscribe"}
    assert await client.next() == {"push": {"channel": news, "unsubscribe": over}}
    assert (await client.ask(subscribe={"channel": news}))["error"]["code"] == 103
    assert (await client.ask(subscribe={"channel": status}))["error"]["code"] == 105


async def test_subscriptions_end_with_the_client_that_issued_their_token(clients: Clients, office: PostOffice) -> None:
    by = issuer()
    await put(office, by)
    channel, kept = some_channel(), some_channel()
    client = await clients.connect(channels=[kept])
    assert "subscribe" in await client.ask(subscribe={"channel": channel, "token": channel_token(channel, iss=by.id)})

    await delete(office, by)

    assert (await client.next())["push"] == {
        "channel": channel,
        "unsubscribe": {"code": 2000, "reason": "server unsubscribe"},
    }
    assert (await client.ask(subscribe={"channel": kept}))["error"]["code"] == 105


async def test_a_refreshed_subscription_is_worth_no_more_than_the_issuer_of_its_token(
    clients: Clients, office: PostOffice
) -> None:
    by = issuer()
    await put(office, by)
    channel = some_channel()
    client, _ = await clients.subscribe(channel)

    unknown = await client.ask(sub_refresh={"channel": channel, "token": channel_token(channel, iss="nobody")})
    known = await client.ask(sub_refresh={"channel": channel, "token": channel_token(channel, iss=by.id)})
    await delete(office, by)

    assert unknown["error"]["code"] == 103
    assert "sub_refresh" in known
    assert (await client.next())["push"]["unsubscribe"]["code"] == 2000


async def test_a_token_does_not_outlive_its_users_move_to_another_organisation(
    clients: Clients, office: PostOffice
) -> None:
    user, elsewhere = issuer(Realm("envoy")), issuer(Realm("envoy"))
    await put(office, user, provision(user), provision(elsewhere))
    client = await connected(clients, user)

    await put(office, msgspec.structs.replace(user, workspace=elsewhere.workspace))

    assert (await client.closed())[0] == 3507
    assert await refused(clients, token(iss=user.id, sub=user.id, workspace=user.workspace)) == 3500


async def test_a_refreshed_token_changes_what_the_server_subscribes_to(clients: Clients, office: PostOffice) -> None:
    endpoint = await office.endpoint("http://unused")
    kept, old, new, own = (some_channel() for _ in range(4))
    client = await clients.connect(channels=[kept, old])
    await client.ask(subscribe={"channel": own, "token": channel_token(own)})

    await client.say({"id": 7, "refresh": {"token": token(channels=[kept, new, own])}})

    assert await client.next() == {
        "push": {"channel": old, "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}
    }
    subscribed = await client.next()
    assert subscribed["push"]["channel"] == new
    assert subscribed["push"]["subscribe"]["recoverable"] is True
    assert "refresh" in await client.next()
    for channel in (old, kept, new, own):
        await publish(office, endpoint, channel, range(1, 2))
    assert sorted([(await client.next())["push"]["channel"] for _ in range(3)]) == sorted([kept, new, own])


async def test_a_refreshed_token_may_not_name_too_many_channels(clients: Clients) -> None:
    client = await clients.connect(channels=["a"])

    answer = await client.ask(refresh={"token": token(channels=[f"channel-{number}" for number in range(129)])})

    assert answer["error"]["code"] == 106
    assert "unsubscribe" in await client.ask(unsubscribe={"channel": "a"})
