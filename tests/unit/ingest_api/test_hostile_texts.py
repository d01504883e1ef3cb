"""No text makes a pattern take longer than its length deserves: while one is read, all other requests wait.

Each of these took between three seconds and for ever.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from backbone.process.logs import _SECRET_TEXT
from families.headrace.http.cloudevent_attributes import (
    datacontenttype_problem,
    dataschema_problem,
    extension_problems,
    source_problem,
)
from ingest_api.text import split_place
from schemas.avro import attributes
from schemas.model import numbers
from schemas.model.contract_call import without_credentials
from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 2.0
"""Of the CPU; what its length does not bound takes minutes."""
LONGEST_NUMBER = b"1" * 4_300
V1 = "/headrace/v1"

READ: dict[str, Callable[[], object]] = {
    "a number of many digits that is none": lambda: attributes._NUMBER_TEXT.fullmatch("1" * 100_000 + "x"),
    "numbers as long as may be": lambda: numbers.has_too_many_digits(
        b'"' + b"0" * 4_301 + b'",' + b",".join([LONGEST_NUMBER] * 400)
    ),
    "a media type of blanks": lambda: datacontenttype_problem("application/json" + " ;" * 28 + "x"),
    "a media type of many blanks": lambda: datacontenttype_problem("application/json" + " ;" * 100_000 + "x"),
    "a media type of quotes": lambda: datacontenttype_problem('application/json;a="' + '\\"' * 100_000),
    "URIs": lambda: (source_problem("//" + "a:@" * 100_000 + " "), dataschema_problem("a:" + "%41" * 100_000 + "%")),
    "what begins like tokens": lambda: without_credentials({f"x-{n}-n": "eyJ-" * 2_048 for n in range(100)}),
    "what a decoder says of a text that looks like it": lambda: split_place(f"Invalid '{' - at `$' * 100_000}'"),
    "a URL that looks like one with a password": lambda: _SECRET_TEXT.search("://" + "a:" * 50_000),
}


@pytest.mark.parametrize("name", READ)
def test_a_text_is_read_in_a_time_that_its_length_bounds(name: str) -> None:
    started = time.thread_time()
    READ[name]()
    assert time.thread_time() - started < SECONDS


@pytest.mark.parametrize(
    ("media_type", "good"),
    [
        ("application/json", True),
        ('application/cloudevents+json ; charset="utf-8" ;a=b; ', True),
        ('application/json;a="\\""', True),
        ("application/json;;", True),
        ("application/json;a", False),
        ('application/json;a="', False),
        ("application/json x", False),
        ("text/plain", False),
    ],
)
def test_media_types_are_what_they_were(media_type: str, good: bool) -> None:  # noqa: FBT001  # a column
    assert (datacontenttype_problem(media_type) is None) is good


@pytest.mark.parametrize("text", ["1", "+1", "-1.5", "1.", ".5", "1e3", "1.5E-3", "00"])
def test_numbers_are_what_they_were(text: str) -> None:
    assert attributes._NUMBER_TEXT.fullmatch(text)
    assert not any(attributes._NUMBER_TEXT.fullmatch(each) for each in ("", ".", "e1", f"{text}x", f"{text}e"))


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("eyJhbGciOi.eyJzdWIi.c2ln", True),
        ("see a.eyJhbGciOi.eyJzdWIi.c2ln", True),
        ("long-prefix.eyJhbGciOi.eyJzdWIi.c2ln", True),
        ("x-eyJhbGciOi.eyJzdWIi.c2ln", True),
        ("a.b.c", False),
        ("eyJhbGciOi.only-two", False),
    ],
)
def test_tokens_are_found_where_they_were(value: str, hidden: bool) -> None:  # noqa: FBT001  # a column
    assert (without_credentials({"note": value})["note"] != value) is hidden


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        ("Expected `str`, got `int` - at `$.a[0]`", ("Expected `str`, got `int`", "$.a[0]")),
        ("Expected `object`, got `int`", ("Expected `object`, got `int`", "$")),
        ("Invalid 'x - at `$.b`' - at `$.a`", ("Invalid 'x - at `$.b`'", "$.a")),
        ("Invalid 'x - at `$.b'", ("Invalid 'x - at `$.b'", "$")),
    ],
)
def test_the_place_of_an_error_is_its_last_one(error: str, parts: tuple[str, str]) -> None:
    assert split_place(error) == parts


def test_the_extension_attributes_of_one_event_are_bounded() -> None:
    def problems(count: int) -> list[str]:
        return [each.path for each in extension_problems({f"x{number}": "v" for number in range(count)})]

    assert problems(1_000) == []
    assert problems(1_001) == ["$"]


async def test_what_would_take_long_to_look_through_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    _, key = await local.new_client("default", "subscriber")
    _, graphql = await local.new_client("default", "viewer", realm="graphql")
    client, secret = await local.new_client("default", realm="eventhos", scopes=["OAUTH2_global:*"])
    fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    async with local.client(None) as http:
        token = (await http.post("/auth/token", data=fields)).raise_for_status().json()["content"]["jwt_token"]
        answers = [await http.post("/auth/token", data=fields | {"more": "x" * 65_536})]
    document = '{ endpoints(filters: {id: {exact: "' + "\\u0041" * 20_000 + '"}}) { totalCount } }'
    async with local.client(graphql) as http:
        answers.append(await http.post("/event-service/graphql", json={"query": document}))
    async with local.client(key) as http:
        hook = {"name": "e", "url": "https://example.com/"}
        answers += [
            await http.post(f"{V1}/endpoints", json=hook | {"headers": headers})
            for headers in ({"x": "a1B2" * 20_000}, {f"x-{n}": "" for n in range(201)})
        ]
    async with local.client(token) as http:
        body = {"identifier": "s", "name": "n", "systemClass": "hybrid"}
        system = (await http.post("/system", json=body)).raise_for_status().json()["content"]["systemId"]
        action = {"system_id": system, "identifier": "a", "name": "n", "url": "https://example.com/", "method": "POST"}
        answers += [
            await http.post("/action", json=action | more)
            for more in ({"headers": [{"key": "x", "value": "a1B2" * 20_000}]}, {"rawBody": "x" * 1_000_001})
        ]
        assert (await http.post("/action", json=action | {"rawBody": "x" * 100_000})).status_code == 201
    assert [each.status_code for each in answers] == [413, 400, 400, 400, 400, 400]
