"""How pages call our own API."""

from __future__ import annotations

from typing import Any

import pytest

from families.console.http.own_api import OwnApi, Refused
from families.console.http.rendering import render_error


async def broken(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_of_an_error_of_ours_nobody_knows_what_was_done() -> None:
    with pytest.raises(Refused) as refused:
        await OwnApi(broken, "key", None).post("/runs/x/cancel")
    page = render_error(refused.value).body.decode()
    assert "Nothing was changed" not in page
    assert "that is not known" in page


async def away(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"Retry-After", b"7"), (b"x-request-id", b"r")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"detail": "Kafka does not answer."}'})


async def test_a_page_says_when_to_ask_again_and_not_that_nothing_was_done() -> None:
    with pytest.raises(Refused) as refused:
        await OwnApi(away, "key", None).post("/runs/x/cancel")
    answer = render_error(refused.value)
    assert answer.status == 503
    assert [value for name, value in answer.headers if name.lower() == b"retry-after"] == [b"7"]
    assert not any(name == b"x-request-id" for name, _ in answer.headers)
    page = answer.body.decode()
    assert "Kafka does not answer." in page
    assert "Nothing was changed" not in page
    assert "look first whether it was done" in page
