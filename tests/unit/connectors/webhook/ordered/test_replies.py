"""Which answers become events, and which do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.view import CatalogView
from connectors.webhook.ordered.replies import MAX_DEPTH, Replies
from connectors.webhook.transport import Response
from schemas.model.access import Client
from schemas.model.contract_call import ReceivedRequest, read_request
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import InvalidEvent, Unavailable
from schemas.model.event_type import EventType, Registration
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from schemas.model.event import EventDraft

ASKED, REPLY = event_topic("w", "eventhos", "asked"), event_topic("w", "eventhos", "reply")


class World:
    """A catalog with two event types; keeps what is published. ``troubles`` are raised first."""

    def __init__(self) -> None:
        self.view = CatalogView()
        for code in ("asked", "reply"):
            self.view.put(self.kind(code), 0)
        self.published: list[EventDraft] = []
        self.troubles: list[Exception] = []
        self.replies = Replies(self, self)  # type: ignore[arg-type]
        self.register("publisher")

    def kind(self, code: str, workspace: str = "w") -> EventType:
        return EventType(
            workspace=workspace,
            namespace="eventhos",
            code=code,
            open=True,
            effective_partitions=1,
            schema_id=1,
            created_at=0,
            updated_at=0,
        )

    def register(self, client: str) -> Registration:
        made = Registration(
            client=client, workspace="w", namespace="eventhos", code="reply", created_at=0, updated_at=0
        )
        self.view.put(made, 0)
        return made

    async def publish(self, drafts: list[EventDraft], *, final: bool) -> None:
        assert final, "published again, it would be there twice"
        if self.troubles:
            raise self.troubles.pop()
        self.published += drafts

    async def reply(self, *, to: str = REPLY, asked: ReceivedRequest | None = None, **answer: Any) -> str | None:
        endpoint = Endpoint(
            id="e",
            workspace="w",
            name="e",
            type=EndpointType.WEB_HOOK,
            url="http://there/?api_key=secret",
            reply_to=to,
            created_at=0,
            updated_at=0,
        )
        delivery = Delivery(
            id="d",
            event="e1",
            endpoint="e",
            workspace="w",
            source=SourceOffset(ASKED, 0, 1),
            subscriptions=("s",),
            routed_at=0,
        )
        headers = [] if asked is None else [("hr_request", asked.to_header())]
        return await self.replies.publish(endpoint, headers, delivery, Response(status=200, duration=0.1, **answer))


async def test_an_answer_becomes_an_event_of_the_type_replied_to() -> None:
    world = World()

    refusal = await world.reply(body='{"price":125.50}', headers={"X-A": "1", "Set-Cookie": "secret"})

    assert refusal is None
    (draft,) = world.published
    assert (draft.workspace, draft.namespace, draft.code, draft.client) == ("w", "eventhos", "reply", "publisher")
    assert draft.data == b'{"price":125.50}'
    assert read_request(draft.request or b"") == ReceivedRequest(
        url="http://there/?api_key=***", headers={"x-a": "1", "set-cookie": "***"}, reply_from="asked", depth=1
    )


@pytest.mark.parametrize(
    ("body", "data"), [(None, b"{}"), (" ", b"{}"), ("[1]", b"[1]"), ("hello", b'"hello"'), ('{"a":', b'"{\\"a\\":"')]
)
async def test_an_answer_that_is_no_json_is_published_as_text(body: str | None, data: bytes) -> None:
    world = World()

    await world.reply(body=body)

    assert world.published[0].data == data


async def test_replies_in_a_row_are_counted_and_bounded() -> None:
    world = World()

    assert await world.reply(asked=ReceivedRequest(depth=MAX_DEPTH - 1)) is None
    refusal = await world.reply(asked=ReceivedRequest(depth=MAX_DEPTH))

    assert [read_request(each.request or b"").depth for each in world.published] == [MAX_DEPTH]  # type: ignore[union-attr]
    assert refusal is not None
    assert "at most 8" in refusal


async def test_answers_that_cannot_be_events() -> None:
    world = World()
    world.view.put(world.kind("other", "elsewhere"), 0)

    assert "too large" in str(await world.reply(body="{}", truncated=True))
    assert "there is no event type" in str(await world.reply(to="events.w.eventhos.gone"))
    assert "there is no event type" in str(await world.reply(to=event_topic("elsewhere", "eventhos", "other")))
    world.troubles.append(InvalidEvent("it has another shape", []))
    assert "another shape" in str(await world.reply())
    world.view.remove(world.register("publisher").key)
    assert "nobody publishes" in str(await world.reply())
    assert world.published == []


async def test_a_reply_waits_for_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backbone.kafka.retrying.PAUSE", 0)
    world = World()
    world.troubles += [Unavailable("not now"), Unavailable("not now")]

    assert await world.reply() is None
    assert len(world.published) == 1


async def test_the_publisher_is_the_client_of_the_workspace() -> None:
    world = World()
    for workspace, identity in (("w", "i"), ("elsewhere", "j")):
        made = Client(id="publisher", workspace=workspace, identity=identity, name="p", created_at=0, updated_at=0)
        world.view.put(made, 0)
    assert await world.reply() is None
    assert [(draft.client, draft.publisher) for draft in world.published] == [("publisher", "i")]
