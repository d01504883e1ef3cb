"""Copies as the server gets them."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp

from operations.listen.forwarding import Forwarded, Forwarder
from operations.listen.stream import _ENCODER, _ExactJson
from operations.receiver.server import Arrival, ScriptedReceiver
from operations.receiver.signatures import Verifier
from operations.receiver.steps import Script

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = b'{"id":"1","source":"/shop","type":"order","data":{"total":125.50,"big":123456789012345678.90}}'
ENDPOINT = {"id": "endpoint-1", "method": "PUT", "headers": {"X-Team": "sales", "X-Key": "[hidden]"}}


async def forwarded(script: str, times: int = 1) -> tuple[list[Arrival], list[Forwarded]]:
    arrivals: list[Arrival] = []
    copies: list[Forwarded] = []
    receiver = ScriptedReceiver(
        Script(script), host="127.0.0.1", port=0, verifier=Verifier(SECRET), on_arrival=arrivals.append
    )
    async with receiver, aiohttp.ClientSession() as session:
        to = Forwarder(session, f"{receiver.url}hooks", endpoint=ENDPOINT, secret=SECRET, show=copies.append)
        for _ in range(times):
            await to.take(json.loads(BODY), BODY)
        await to.finish()
    return arrivals, copies


async def test_a_copy_is_signed_and_has_the_headers_of_a_webhook() -> None:
    (arrival,), (copy,) = await forwarded("204")
    assert (arrival.method, arrival.target, arrival.body, arrival.signature) == ("PUT", "/hooks", BODY, "valid")
    assert arrival.headers["content-type"].startswith("application/cloudevents+json")
    assert arrival.headers["x-team"] == "sales"
    assert "x-key" not in arrival.headers
    assert (copy.status, copy.error, copy.id, copy.source) == (204, None, "1", "/shop")
    assert arrival.headers["webhook-id"] == copy.webhook_id


async def test_a_repeat_of_an_event_has_the_same_webhook_id() -> None:
    arrivals, _ = await forwarded("204", times=2)
    assert len({each.headers["webhook-id"] for each in arrivals}) == 1


async def test_what_fails_is_told_and_not_tried_again() -> None:
    arrivals, copies = await forwarded("500,reset,302", times=1)
    assert ([each.status for each in copies], len(arrivals)) == ([500], 1)
    _, (copy,) = await forwarded("reset")
    assert copy.status is None
    assert copy.error
    assert (await forwarded("redirect:http://127.0.0.1:1/"))[1][0].status == 302


async def test_more_than_there_is_place_for_waits() -> None:
    arrivals, copies = await asyncio.wait_for(forwarded("hang:0.05", times=40), 30)
    assert (len(arrivals), len(copies)) == (40, 40)


def test_numbers_stay_as_they_were_written() -> None:
    (decoded,) = _ExactJson.decode_replies(BODY.decode())
    assert _ENCODER.encode(decoded) == BODY
