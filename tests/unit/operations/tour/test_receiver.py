from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import aiohttp
from standardwebhooks.webhooks import Webhook

from operations.tour.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = json.dumps({"id": "event-1", "data": {}})


async def send(receiver: Receiver, secret: str) -> int:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("delivery-1", now, BODY)
    headers = {
        "webhook-id": "delivery-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    async with aiohttp.ClientSession() as session, session.post(receiver.url, data=BODY, headers=headers) as answer:
        return answer.status


async def test_a_rightly_signed_request_is_accepted() -> None:
    async with Receiver() as receiver:
        receiver.secret = SECRET
        assert await send(receiver, SECRET) == 204
        arrivals = await receiver.arrivals({"event-1"}, 5)
    assert arrivals["event-1"].verified
    assert arrivals["event-1"].webhook_id == "delivery-1"
    assert arrivals["event-1"].text == BODY


async def test_another_secret_is_refused_and_noted() -> None:
    async with Receiver() as receiver:
        receiver.secret = SECRET
        assert await send(receiver, "whsec_" + base64.b64encode(b"another secret, not ours").decode()) == 401
        assert not (await receiver.arrivals({"event-1"}, 5))["event-1"].verified


async def test_what_does_not_come_is_not_waited_for_longer_than_asked() -> None:
    async with Receiver() as receiver:
        assert await receiver.arrivals({"event-1"}, 0.01) == {}


async def test_a_call_for_an_account_is_kept_as_it_came() -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as session:
        url = f"{receiver.accounts_url}/199"
        async with session.put(url, json={"name": "Ada"}, params={"since": "today"}, headers={"X-Job": "x"}) as answer:
            assert answer.status == 201
        call = await receiver.call("199", 5)
        assert await receiver.call("200", 0.01) is None
    assert call is not None
    assert (call.method, call.query, call.headers["x-job"], call.body) == (
        "PUT",
        {"since": "today"},
        "x",
        {"name": "Ada"},
    )
