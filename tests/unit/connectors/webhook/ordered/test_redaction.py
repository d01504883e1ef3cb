from __future__ import annotations

import json
import time
from urllib.parse import quote, quote_plus

import pytest

from connectors.webhook.ordered.redaction import Redaction, credentials_in, handed_out

SECRET = 'a/"B +ü='


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        "a/%22B%20+%C3%BC=",
    ],
)
def test_a_secret_is_found_however_it_is_spelled(spelled: str) -> None:
    assert Redaction([SECRET])(f"<{spelled}>") == "<***>"


def test_a_long_secret_goes_whole_and_takes_no_longer_to_find() -> None:
    secret = "eyJ" + "a" * 8_000 + ".b/" + "c" * 100
    hide = Redaction([secret, "a" * 8_000 + "b"])
    assert hide(f'{{"token":"{secret}","x":1}}') == '{"token":"***","x":1}'
    assert hide(f"?t={quote(secret, safe='')}&x=1") == "?t=***&x=1"
    started = time.thread_time()
    for _ in range(40):
        hide("a" * 16_384)
    # Each took a quarter of a second.
    assert time.thread_time() - started < 2


def test_without_secrets_nothing_is_replaced() -> None:
    assert Redaction()("anything") == "anything"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redaction(["abc", "abcdef"])("abcdef abc") == "*** ***"
    assert Redaction(["abc"]).named({"x": "1abc2"}) == {"x": "1***2"}


def test_what_the_secrets_of_a_call_are() -> None:
    assert handed_out({"access_token": "a", "refresh_token": "", "id_token": 3, "scope": "s"}) == ["a"]
    headers = {
        "Authorization": "Bearer the-token",
        "X-Auth-Token": "keep-me",
        "Cookie": "short",
        "X-Color": "redredred",
    }
    assert list(credentials_in(headers | {"X-Secret": "x" * 10_000})) == ["the-token", "keep-me"]
