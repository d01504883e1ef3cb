"""Answers that their clients do not read take no more than a bounded part of a worker's memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backbone.workspace_queue import WORKSPACE
from ingest_api import problems
from ingest_api.large_answers import PART, LargeAnswers

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LARGE = b"0123456789abcdef" * (PART // 4)
"""Four parts."""


class Client:
    """Reads what it is sent once it is told to."""

    def __init__(self, *, reads: bool = True) -> None:
        self.reading = asyncio.Event()
        self.messages: list[MutableMapping[str, Any]] = []
        if reads:
            self.reading.set()

    async def take(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            await self.reading.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(each["body"] for each in self.messages[1:])


async def answer(answers: LargeAnswers, client: Client, workspace: str, body: bytes = LARGE) -> None:
    WORKSPACE.set(workspace)
    send = answers.bounded(client.take, problems.render)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def begun(answers: LargeAnswers, workspace: str, body: bytes = LARGE) -> tuple[Client, asyncio.Task[None]]:
    client = Client(reads=False)
    task = asyncio.create_task(answer(answers, client, workspace, body))
    await asyncio.sleep(0)
    return client, task


async def test_a_large_body_is_sent_whole_part_by_part() -> None:
    client = Client()
    await answer(LargeAnswers(), client, "w")
    assert (client.status, client.body) == (200, LARGE)
    assert [(len(each["body"]), each["more_body"]) for each in client.messages[1:]] == [
        (PART, True),
        (PART, True),
        (PART, True),
        (PART, False),
    ]


async def test_a_workspace_that_does_not_read_gets_no_more_large_answers_and_others_do() -> None:
    answers = LargeAnswers(most=100 * len(LARGE), of_workspace=2 * len(LARGE))
    waiting = [await begun(answers, "slow") for _ in range(2)]
    assert [client.status for client, _ in waiting] == [200, 200]
    refused, small, other = Client(), Client(), Client()
    await answer(answers, refused, "slow")
    await answer(answers, small, "slow", b"{}")
    await answer(answers, other, "other")
    assert (refused.status, small.status, other.status) == (503, 200, 200)
    assert b"smaller page" in refused.body
    for client, task in waiting:
        client.reading.set()
        await task
        assert client.body == LARGE
    again = Client()
    await answer(answers, again, "slow")
    assert again.status == 200


async def test_all_workspaces_together_are_bounded_and_one_answer_goes_out_however_large_it_is() -> None:
    answers = LargeAnswers(most=2 * len(LARGE), of_workspace=len(LARGE))
    huge, task = await begun(answers, "a", LARGE * 2)
    assert huge.status == 200
    other = Client()
    await answer(answers, other, "b")
    assert other.status == 503
    huge.reading.set()
    await task


async def test_a_client_that_goes_gives_its_room_back() -> None:
    answers = LargeAnswers(of_workspace=len(LARGE))
    _, task = await begun(answers, "w")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    client = Client()
    await answer(answers, client, "w")
    assert client.status == 200


async def test_a_stream_that_has_begun_is_not_refused() -> None:
    answers = LargeAnswers(most=1, of_workspace=1)
    _, task = await begun(answers, "w")
    client = Client()
    WORKSPACE.set("w")
    send = answers.bounded(client.take, problems.render)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begins", "more_body": True})
    await send({"type": "http.response.body", "body": LARGE, "more_body": False})
    assert (client.status, client.body) == (200, b"begins" + LARGE)
    task.cancel()
