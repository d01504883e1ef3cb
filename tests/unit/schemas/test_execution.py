from __future__ import annotations

import pytest

from schemas.execution import (
    HIDDEN,
    Call,
    CallAnswer,
    Execution,
    ReceivedRequest,
    kept_url,
    kept_values,
    received_request,
    without_credentials,
)


def test_a_request_is_read_back_from_its_header() -> None:
    request = ReceivedRequest(method="PUT", url="http://here", headers={"a": "b"}, query={"c": ["d", "e"]}, depth=2)

    assert received_request([("ce_id", b"x"), ("hr_request", request.to_header())]) == request


@pytest.mark.parametrize("headers", [None, [], [("ce_id", b"x")], [("hr_request", b"?")], [("hr_request", b"\xff")]])
def test_records_without_a_request(headers: list[tuple[str, bytes]] | None) -> None:
    assert received_request(headers) is None


def test_an_execution_is_read_back_from_its_text() -> None:
    execution = Execution(
        request=Call(method="GET", url="http://there", params={"a": "b"}),
        response=CallAnswer(status=200, status_text="OK", body="{}", start_time="1", end_time="2"),
        reply="too deep",
    )

    assert Execution.from_json(execution.to_json()) == execution


def test_credentials_are_known_by_their_names() -> None:
    named = {"Authorization": "Bearer x", "ACCESS-KEY": "y", "Set-Cookie": "z", "color": "red"}

    assert without_credentials(named) == {
        "Authorization": HIDDEN,
        "ACCESS-KEY": HIDDEN,
        "Set-Cookie": HIDDEN,
        "color": "red",
    }


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://there:1/a?b=c&b=%20d#e", "http://there:1/a?b=c&b=%20d#e"),
        ("http://me:secret@there/", "http://***@there/"),
        ("http://there/?api_key=secret&b=c&b=", "http://there/?api_key=***&b=c&b="),
        ("http://[there/", "http://[there/"),
        ("http://there/" + "a" * 10_000, "http://there/" + "a" * 4_083),
    ],
)
def test_a_url_is_kept_without_credentials(url: str, kept: str) -> None:
    assert kept_url(url) == kept


def test_what_is_kept_of_headers_has_bounds() -> None:
    kept = kept_values({f"x-{number}": "v" * 5_000 for number in range(500)} | {"cookie": "secret"})

    assert len(kept) == 100
    assert {len(value) for value in kept.values()} == {1_024}
    assert kept_values({"cookie": "secret"}) == {"cookie": HIDDEN}
