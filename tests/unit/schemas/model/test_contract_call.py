from __future__ import annotations

import pytest

from schemas.model.contract_call import (
    HIDDEN,
    MAX_BODY,
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


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("ce_id", b"x")],
        [("hr_request", b"?")],
        [("hr_request", b"\xff")],
        [("hr_request", b'{"more": ' + b"[" * 5_000 + b"]" * 5_000 + b"}")],
    ],
)
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
    credentials = ["Authorization", "ACCESS-KEY", "Set-Cookie", "token", "access_token", "X-Auth-Token", "X-Api-Key"]
    credentials += ["X-Api-Token", "apikey", "password", "client_secret", "clientSecret", "x-secret", "private-key"]
    credentials += ["X-Vault-Token", "X-Shopify-Access-Token", "x-amz-security-token", "PRIVATE-TOKEN", "csrfToken"]
    credentials += [
        "x-functions-key",
        "X-Parse-Master-Key",
        "Ocp-Apim-Subscription-Key",
        "X-RapidAPI-Key",
        "dd-api-key",
        "acme_client_secret",
        "db.password",
    ]
    credentials += ["x" * 100_000 + "-token"]
    others = ["color", "key", "page_token", "monkey", "id", "secretary", "x-request-id", "tokens", "Idempotency-Key"]
    others += ["nextPageToken", "continuation-token", "partition_key", "token-type", "-" * 100_000]

    assert without_credentials(dict.fromkeys(credentials, "x")) == dict.fromkeys(credentials, HIDDEN)
    assert without_credentials(dict.fromkeys(others, "x")) == dict.fromkeys(others, "x")


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
    assert len(kept_values({f"x-{number}": "v" for number in range(500)})) == 100
    kept = kept_values({f"x-{number}": "v" * 5_000 for number in range(500)})
    assert {len(value) for value in kept.values()} == {1_024}
    assert sum(len(name) + len(value) for name, value in kept.items()) <= 16_384
    assert kept_values({"cookie": "secret"}) == {"cookie": HIDDEN}


def test_an_account_fits_into_a_record() -> None:
    named = kept_values({f"p{number}": "\0" * 5_000 for number in range(500)})
    text = "\0" * MAX_BODY
    execution = Execution(
        request=Call(method="POST", url=kept_url("h" * 10_000), params=named, headers=named, body=text),
        response=CallAnswer(status=200, headers=named, body=text, start_time="", end_time=""),
    )

    # Sealed, it is base64.
    assert len(execution.to_json()) * 4 // 3 < 900_000


def test_credentials_are_known_by_their_looks() -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N"
    assert kept_values({"x-acme": jwt, "x-jwt": "1", "x-color": "red"}) == {
        "x-acme": HIDDEN,
        "x-jwt": HIDDEN,
        "x-color": "red",
    }
    assert kept_url(f"http://there/?v={jwt}&pin=1&b=c") == "http://there/?v=***&pin=***&b=c"
    assert without_credentials({"v": [jwt, "a"], "n": 7}) == {"v": HIDDEN, "n": 7}
