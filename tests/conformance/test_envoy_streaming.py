"""What the Envoy document says of tokens, shown by Centrifugo's own SDK on a running realtime node."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler

from tests.support.envoy_organisation import MANAGE, MINE, OWN_API, SHIPMENTS, Organisation, User, organisation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from centrifuge import (
        DisconnectedContext,
        PublicationContext,
        ServerPublicationContext,
        ServerSubscribedContext,
        UnsubscribedContext,
    )

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_installation import Installation

_SECONDS = 120


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


class Channel(SubscriptionEventHandler):  # type: ignore[misc]  # the SDK's base class is untyped
    """What a subscription of the client's own got, and how it ended."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.joined = False
        self.refused: int | None = None

    async def on_subscribed(self, _: object) -> None:
        self.joined = True

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self.refused = ctx.code

    async def on_publication(self, ctx: PublicationContext) -> None:
        self.numbers.append(ctx.pub.data["data"]["number"])


class Stream(ClientEventHandler):  # type: ignore[misc]  # likewise
    """A connection: what the server subscribed it to, what came of that, and how it ended."""

    def __init__(self, installation: Installation, token: str) -> None:
        self.channels: list[str] = []
        self.numbers: dict[str, list[int]] = {}
        self.closed: int | None = None
        self.client = Client(f"{installation.realtime_url}/connection/websocket", events=self, token=token)

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        self.channels.append(ctx.channel)
        self.numbers[ctx.channel] = []

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.numbers[ctx.channel].append(ctx.pub.data["data"]["number"])

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self.closed = ctx.code

    async def connected(self) -> Stream:
        await self.client.connect()
        await self.client.ready(_SECONDS)
        return self

    async def refused(self) -> int | None:
        """The code with which the connection is refused."""
        await self.client.connect()
        await until(lambda: self.closed is not None, "refused")
        return self.closed

    async def join(self, channel: str, token: str | None = None) -> Channel:
        """Subscribe, and wait for the answer."""
        events = Channel()
        token_of = {} if token is None else {"token": token}
        await self.client.new_subscription(channel, events, **token_of).subscribe()
        await until(lambda: events.joined or events.refused is not None or self.closed is not None, "answered")
        return events


class Streams:
    """Opens connections, for as long as a test runs."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._opened: list[Stream] = []

    def of(self, token: str) -> Stream:
        stream = Stream(self._installation, token)
        self._opened.append(stream)
        return stream

    async def connect(self, user: User) -> Stream:
        return await self.of(user.connection_token()).connected()

    async def close(self) -> None:
        for stream in self._opened:
            await stream.client.disconnect()
        # The SDK closes its sockets in tasks of its own, which must not outlive the loop.
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=_SECONDS)


@pytest.fixture
async def streams(installation: Installation) -> AsyncIterator[Streams]:
    opened = Streams(installation)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def envoy(installation: Installation) -> Organisation:
    """A provisioned organisation, which stays so."""
    return organisation(installation.gateway)


async def test_V_05_connecting_subscribes(envoy: Organisation, streams: Streams) -> None:
    stream = await streams.connect(envoy.user(SHIPMENTS))

    assert stream.channels == [envoy.channel()]


async def test_V_06_connecting_subscribes_by_scope(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(SHIPMENTS, "orders:read", MINE)

    stream = await streams.connect(user)

    assert sorted(stream.channels) == sorted(
        [envoy.channel(), envoy.channel(namespace="orders"), envoy.channel(user.id)]
    )
    assert (await streams.connect(envoy.user())).channels == []


async def test_V_07_events_arrive_on_the_channel_that_connecting_subscribed_to(
    envoy: Organisation, streams: Streams
) -> None:
    stream = await streams.connect(envoy.user(SHIPMENTS))
    other = await streams.connect(envoy.user("orders:read"))

    envoy.publish([1, 2, 3])

    await until(lambda: stream.numbers[envoy.channel()] == [1, 2, 3], "events arrive")
    assert other.numbers == {envoy.channel(namespace="orders"): []}


async def test_V_10_a_subscription_token_lets_into_the_users_channel(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(SHIPMENTS)
    stream = await streams.connect(user)
    own = await stream.join(envoy.channel(user.id), user.subscription_token(envoy.channel(user.id)))
    assert own.joined

    envoy.publish([1], subject=user.id)
    envoy.publish([2], subject="usr_OTHER")
    envoy.publish([3], subject="shipment 3")
    envoy.publish([4], subject=user.id)

    await until(lambda: own.numbers == [1, 4], "the user's events arrive")
    await until(lambda: stream.numbers[envoy.channel()] == [3], "the organisation's events arrive")


async def test_V_10_several_users_share_a_channel(envoy: Organisation, streams: Streams) -> None:
    users = [envoy.user(MINE), envoy.user(SHIPMENTS)]
    channel = envoy.channel(*(user.id for user in users))
    joined = []
    for user in users:
        stream = await streams.connect(user)
        joined.append(await stream.join(channel, user.subscription_token(channel)))

    envoy.publish([5], subject=",".join(user.id for user in users))

    await until(lambda: [each.numbers for each in joined] == [[5], [5]], "the event arrives at both")


async def test_V_11_private_channels_need_a_token(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(MINE)
    stream = await streams.connect(user)

    for channel in (envoy.channel("usr_OTHER"), envoy.channel(), envoy.channel(namespace="orders")):
        refused = await stream.join(channel)
        assert (refused.joined, refused.refused) == (False, 103)
    assert stream.closed is None


async def test_V_12_public_channels_need_none(installation: Installation, streams: Streams) -> None:
    made = organisation(installation.gateway, provisioned=False)
    made.register("news")
    made.user(MANAGE).call("provision", json={"public_namespaces": ["news"]}).raise_for_status()
    stranger = await streams.connect(organisation(installation.gateway).user())
    user = made.user()
    stream = await streams.connect(user)

    news = await stream.join(made.channel(namespace="news"))
    made.publish([7], namespace="news")

    assert news.joined
    await until(lambda: news.numbers == [7], "the event arrives")
    assert (await stream.join(made.channel())).refused == 103
    assert (await stream.join(made.channel(user.id, namespace="news"))).refused == 103
    assert (await stranger.join(made.channel(namespace="news"))).refused == 103
    with_token = await streams.connect(user)
    channel = made.channel(namespace="news")
    assert (await with_token.join(channel, user.subscription_token(channel))).joined


async def test_V_13_a_subscription_token_is_for_one_channel(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(SHIPMENTS)
    stream = await streams.connect(user)

    other = await stream.join(envoy.channel("usr_OTHER"), user.subscription_token(envoy.channel(user.id)))

    assert not other.joined
    assert stream.closed == 3500


async def test_V_13_a_subscription_token_is_for_one_user(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(SHIPMENTS)
    stream = await streams.connect(envoy.user(SHIPMENTS))

    stolen = await stream.join(envoy.channel(user.id), user.subscription_token(envoy.channel(user.id)))

    assert not stolen.joined
    assert stream.closed == 3500


async def test_V_13_each_token_is_for_its_purpose(envoy: Organisation, streams: Streams) -> None:
    user = envoy.user(SHIPMENTS)
    stream = await streams.connect(user)

    assert (await stream.join(envoy.channel(user.id), user.connection_token())).refused == 103
    assert await streams.of(user.subscription_token(envoy.channel(user.id))).refused() == 3500
    assert await streams.of(user.token).refused() == 3500


async def test_V_24_deprovisioning_closes_connections(installation: Installation, streams: Streams) -> None:
    user = organisation(installation.gateway).user(SHIPMENTS, MANAGE)
    bystander = await streams.connect(organisation(installation.gateway).user(SHIPMENTS))
    connections = [await streams.connect(user) for _ in range(2)]

    user.call("deprovision").raise_for_status()

    await until(lambda: [each.closed for each in connections] == [3507, 3507], "connections are closed")
    assert bystander.closed is None


async def test_V_25_a_deprovisioned_organisation_gets_nothing(
    installation: Installation, streams: Streams, mailbox: Mailbox
) -> None:
    made = organisation(installation.gateway)
    user = made.user(SHIPMENTS, MANAGE)
    add_webhook(made, mailbox)
    made.publish([1])
    await until(lambda: len(mailbox.received) == 1, "the webhook is called")

    user.call("deprovision").raise_for_status()
    made.publish([2])

    # What comes after it shows that it did not come.
    user.call("provision").raise_for_status()
    add_webhook(made, mailbox)
    stream = await streams.connect(user)
    made.publish([3])
    await until(lambda: stream.numbers[made.channel()] == [3], "streaming works again")
    await until(lambda: len(mailbox.received) == 2, "the new webhook is called")
    assert [json.loads(each.body)["data"]["number"] for each in mailbox.received] == [1, 3]
    history = await stream.client.history(made.channel(), limit=10)
    assert [each.data["data"]["number"] for each in history.publications] == [1, 3]


async def test_V_26_provisioned_again_it_streams_again_without_its_webhooks(
    installation: Installation, streams: Streams, mailbox: Mailbox
) -> None:
    made = organisation(installation.gateway)
    user = made.user(SHIPMENTS, MANAGE)
    add_webhook(made, mailbox)
    for operation in ("deprovision", "provision"):
        user.call(operation).raise_for_status()

    stream = await streams.connect(user)
    made.publish([1])

    await until(lambda: stream.numbers[made.channel()] == [1], "streaming works again")
    with made.admin() as admin:
        endpoints = admin.get(f"{OWN_API}/endpoints").raise_for_status().json()["items"]
    assert [each["type"] for each in endpoints] == ["WEB_SOCKET", "WEB_SOCKET"]
    assert mailbox.received == []


async def test_V_27_tokens_are_refused_while_their_organisation_is_not_provisioned(
    installation: Installation, streams: Streams
) -> None:
    made = organisation(installation.gateway)
    user = made.user(SHIPMENTS, MANAGE)
    token = user.connection_token()

    user.call("deprovision").raise_for_status()

    assert await streams.of(token).refused() == 3500
    assert user.call("connection_token").status_code == 403
    assert user.call("subscription_token", json={"channel": made.channel()}).status_code == 403
    user.call("provision").raise_for_status()
    assert (await streams.of(token).connected()).channels == [made.channel()]


def add_webhook(to: Organisation, mailbox: Mailbox) -> None:
    """A webhook for all of the organisation's events."""
    with to.admin() as admin:

        def make(path: str, **body: Any) -> str:
            return str(admin.post(f"{OWN_API}/{path}", json=body).raise_for_status().json()["id"])

        hook = make("endpoints", name="hook", type="WEB_HOOK", url=mailbox.url, options={"organisation": to.name})
        every = make("filters", name="all", types=[{"namespace": "*", "code": "*"}])
        make("subscriptions", filter=every, endpoint=hook)


async def test_V_31_organisations_see_only_their_own(installation: Installation, streams: Streams) -> None:
    made = [organisation(installation.gateway) for _ in range(2)]
    users = [each.user(SHIPMENTS) for each in made]
    opened = [await streams.connect(user) for user in users]
    foreign = await opened[0].join(made[1].channel(), users[0].subscription_token(made[0].channel()))
    assert not foreign.joined
    opened[0] = await streams.connect(users[0])
    own = [
        await stream.join(each.channel(user.id), user.subscription_token(each.channel(user.id)))
        for stream, each, user in zip(opened, made, users, strict=True)
    ]

    for first in range(0, 250, 50):
        for index, each in enumerate(made):
            numbers = range(first * 2 + index, first * 2 + 100, 2)
            each.publish(numbers)
            # The other's user is nobody here.
            each.publish(numbers, subject=users[0].id)

    await until(lambda: all(len(s.numbers[e.channel()]) == 250 for s, e in zip(opened, made, strict=True)), "all come")
    await until(lambda: len(own[0].numbers) == 250, "all come to the user's channel")
    for index, (stream, each) in enumerate(zip(opened, made, strict=True)):
        assert stream.numbers == {each.channel(): list(range(index, 500, 2))}
    assert own[0].numbers == list(range(0, 500, 2))
    assert own[1].numbers == []
