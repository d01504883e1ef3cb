from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.webhook.ordered.templates import Context, fill, fill_text, fill_url, fill_value
from schemas.model.endpoint import Endpoint, EndpointType, NameValue, RequestTemplate
from schemas.model.errors import Misconfigured

BODY = (
    b'{"name":"Mo & Co/7","price":125.50,"big":123456789012345678901234567890,"ok":true,"none":null,"tags":["a","b"],\
"who":{"first-name":"Ann","a.b":1},"nested":[{"id":5}]}'
)
CONTEXT = Context(
    body=BODY,
    headers={"x-caller": "me"},
    query={"color": "red", "size": ["s", "m"]},
    token_body={"access_token": "t-1"},
    token_headers={"X-Kind": "short"},
)
VALUES = CONTEXT.values()


def endpoint(url: str = "http://there/", **headers: str) -> Endpoint:
    return Endpoint(
        id="e",
        workspace="w",
        name="e",
        type=EndpointType.WEB_HOOK,
        url=url,
        headers=headers,
        created_at=0,
        updated_at=0,
    )


def pairs(**members: str) -> tuple[NameValue, ...]:
    return tuple(NameValue(name=name, value=value) for name, value in members.items())


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${.body.name}", "Mo & Co/7"),
        ("a ${.body.name} b ${.query.color}", "a Mo & Co/7 b red"),
        ("${.body.price}", "125.50"),
        ("${.body.big}", "123456789012345678901234567890"),
        ("${.body.ok} ${.body.none}", "true null"),
        ("${.body.tags}", '["a","b"]'),
        ("${.body.tags[1]}${.body.tags.0}", "ba"),
        ("${.body.who.first-name}", "Ann"),
        ('${.body.who["a.b"]}', "1"),
        ("${.body.who['a.b']}", "1"),
        ("${.body.nested[0].id}", "5"),
        ("${.headers.X-Caller}", "me"),
        ("${.query.size[1]}", "m"),
        ("${.oauthResponse.body.access_token} ${.oauthResponse.headers.x-kind}", "t-1 short"),
        # What is not there is empty.
        ("<${.body.missing}>", "<>"),
        ("<${.body.name.length}${.body.tags[9]}${.body.tags.x}${.body.who[0]}>", "<>"),
        ("<${.unknown.x}${.body.who[}${..}>", "<>"),
        # What is no variable stays.
        ("${body.name} $.body {.body} ${.body.name", "${body.name} $.body {.body} ${.body.name"),
    ],
)
def test_variables_in_a_text(text: str, filled: str) -> None:
    assert fill_text(text, VALUES) == filled


def test_what_a_value_holds_is_not_filled_in_again() -> None:
    values = Context(body=b'{"a":"${.body.b}","b":"secret"}').values()

    assert fill_text("${.body.a}", values) == "${.body.b}"


@pytest.mark.parametrize(
    ("url", "filled"),
    [
        ("http://there/${.body.name}/x", "http://there/Mo%20%26%20Co%2F7/x"),
        ("http://there/?q=${.body.name}", "http://there/?q=Mo%20%26%20Co%2F7"),
    ],
)
def test_a_value_stays_within_its_part_of_a_url(url: str, filled: str) -> None:
    assert fill_url(url, VALUES) == filled


@pytest.mark.parametrize("url", ["http://there/users/${.body[0]}", "http://there/a/${.body[1]}${.body[1]}/b?c"])
def test_a_value_does_not_climb_out_of_the_path(url: str) -> None:
    with pytest.raises(Misconfigured, match="dots"):
        fill_url(url, Context(body=b'["..","."]').values())
    assert fill_url("http://there/?a=../${.body[0]}/b", Context(body=b'[".."]').values()) == "http://there/?a=../../b"


def test_a_whole_value_keeps_its_type_and_a_missing_one_is_left_out() -> None:
    template = {
        "price": "${.body.price}",
        "text": "costs ${.body.price}",
        "gone": "${.body.missing}",
        "deep": [{"tags": "${.body.tags}"}, "${.body.missing}", 1, None, False],
    }

    assert fill_value(template, VALUES) == {
        "price": VALUES["body"]["price"],
        "text": "costs 125.50",
        "deep": [{"tags": ["a", "b"]}, 1, None, False],
    }


def test_the_parts_of_a_request() -> None:
    template = RequestTemplate(
        headers=pairs(**{"X-Price": "${.body.price}"}),
        query=(NameValue(name="q", value="${.body.name}"), NameValue(name="q", value="2")),
        body=pairs(price="${.body.price}", who="${.body.who.first-name}!"),
    )

    filled = fill(endpoint("http://there/?a=b#part", **{"X-All": "${.query.color}"}), template, CONTEXT)

    assert filled.url == "http://there/?a=b&q=Mo+%26+Co%2F7&q=2"
    assert filled.headers == {"X-All": "red", "X-Price": "125.50"}
    assert filled.body == b'{"price":125.50,"who":"Ann!"}'


def test_without_a_body_the_event_is_passed_on_as_it_came() -> None:
    assert fill(endpoint(), RequestTemplate(), CONTEXT).body == BODY


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        ('{"n": 1.50, "who": {"name": "${.body.who.first-name}"}}', b'{"n":1.50,"who":{"name":"Ann"}}'),
        ('{"n":1e400,"m":[1E+2,12345678901234567890.10]}', b'{"n":1e400,"m":[1E+2,12345678901234567890.10]}'),
        ('{"n":-0,"m":[ -0 ,-0.50,-0E5,"-0, \\" -0"]}', b'{"n":-0,"m":[-0,-0.50,-0E5,"-0, \\" -0"]}'),
        ('"${.body.tags}"', b'["a","b"]'),
        ('{"tags": ${.body.tags}}', b'{"tags": ["a","b"]}'),
        ("name=${.body.who.first-name}", b"name=Ann"),
        ('"${.body.missing}"', b""),
        ("", b""),
    ],
)
def test_a_raw_body_is_json_or_text(raw: str, sent: bytes) -> None:
    assert fill(endpoint(), RequestTemplate(raw_body=raw), CONTEXT).body == sent


@pytest.mark.parametrize("body", [b"[1,2]", b'"x"', b"null", b"3", b"[" * 5_000 + b"]" * 5_000])
def test_events_that_are_no_objects_have_no_names(body: bytes) -> None:
    filled = fill(endpoint(), RequestTemplate(body=pairs(a="${.body.name}", b="<${.body.name}>")), Context(body=body))

    assert json.loads(filled.body) == {"b": "<>"}


def test_a_whole_body_can_be_named() -> None:
    filled: Any = fill(endpoint(), RequestTemplate(body=pairs(event="${.body}")), Context(body=b"[1.50,2]"))

    assert filled.body == b'{"event":[1.50,2]}'


def test_a_template_cannot_make_a_small_event_huge() -> None:
    context = Context(body=b'["' + b"x" * 900_000 + b'"]')
    many = "${.body}" * 50_000

    for template in (
        RequestTemplate(raw_body=many),
        RequestTemplate(raw_body=json.dumps(["${.body}"] * 50_000)),
        RequestTemplate(body=pairs(a=many)),
        RequestTemplate(query=pairs(a=many)),
        RequestTemplate(headers=pairs(a=many)),
    ):
        with pytest.raises(Misconfigured, match="more than 4000000 characters"):
            fill(endpoint(), template, context)
    with pytest.raises(Misconfigured, match="more than 4000000 characters"):
        fill(endpoint("http://there/" + many), RequestTemplate(), context)
    assert fill(endpoint(), RequestTemplate(raw_body='["${.body}","${.body}"]'), context).body.count(b"x") == 1_800_000


@pytest.mark.parametrize(
    "raw_body",
    [
        pytest.param("${.z}" * 30_000, id="variables that are not there"),
        pytest.param('["${.body.q}"' + ',"${.body.q}"' * 15_000 + "]", id="JSON of variables"),
        pytest.param("[0" + ",0" * 30_000 + "]", id="JSON of values"),
        pytest.param("${.body" + ".a" * 100_000 + "}", id="a long path"),
        pytest.param('"${.b}' * 30_000, id="no JSON"),
    ],
)
def test_a_template_has_so_many_values_and_variables(raw_body: str) -> None:
    template = RequestTemplate(raw_body=raw_body)
    with pytest.raises(Misconfigured, match="more than 20000 values and variables"):
        fill(endpoint(), template, Context(body=b'{"q":1}'))


def test_all_parts_of_a_template_share_the_bound() -> None:
    many = pairs(**{f"n{number}": "${.body.ok}" for number in range(6_000)})
    fill(endpoint(), RequestTemplate(query=many), CONTEXT)
    with pytest.raises(Misconfigured, match="more than 20000"):
        fill(endpoint(), RequestTemplate(query=many, headers=many), CONTEXT)
