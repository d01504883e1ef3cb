from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from typing import Any

import pytest

from backbone.slices import Slices
from families.headrace.http.cloudevents import Translator
from schemas.model.access import Client
from schemas.model.errors import InvalidEvent, InvalidRequest, MalformedBody
from schemas.model.event import EventDraft, Identifier

CLIENT = Client(id="client-1", workspace="ws", name="c", created_at=0, updated_at=0)


def translator(**options: Any) -> Translator:
    return Translator("ws", CLIENT, lambda name: ("events", name), Slices(), **options)


def batch_of(body: bytes, reader: Translator | None = None) -> list[EventDraft]:
    return asyncio.run((reader or translator()).batch(body, 10))


def event(**attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "Offer", **attributes}


def structured(**attributes: Any) -> bytes:
    return json.dumps(event(**attributes)).encode()


def test_the_data_is_kept_as_sent() -> None:
    draft = translator().structured(b'{"specversion":"1.0","type":"Offer","data":{"a": 125.50}}')

    assert draft.data == b'{"a": 125.50}'
    assert (draft.workspace, draft.namespace, draft.code, draft.client) == ("ws", "events", "Offer", "client-1")
    assert (draft.time, draft.producer_id, draft.identifiers) == (None, None, ())


def test_attributes_find_their_places() -> None:
    draft = translator().structured(
        structured(
            id="7", source="/shop", subject="s", time="2021-03-04T16:36:54.5+01:00", channel="Web", region="eu", n=5
        )
    )

    assert (draft.producer_id, draft.subject, draft.channel) == ("7", "s", "Web")
    assert (draft.time, draft.time_text) == (1_614_872_214_500_000, "2021-03-04T16:36:54.5+01:00")
    assert (draft.source, draft.identifiers) == ("/shop", ())
    assert draft.extensions == {"channel": "Web", "region": "eu", "n": 5}
    assert draft.known_identifiers == (
        Identifier(name="source", value="/shop"),
        Identifier(name="region", value="eu"),
        Identifier(name="n", value="5"),
    )


def test_the_requests_trace_context_is_that_of_events_without_one() -> None:
    traced = translator(traceparent="of-the-request")

    assert traced.structured(structured()).traceparent == "of-the-request"
    assert traced.structured(structured(traceparent="its-own")).traceparent == "its-own"
    two = batch_of(json.dumps([event()] * 2).encode(), traced)
    assert [draft.traceparent for draft in two] == ["of-the-request"] * 2


def test_attributes_that_are_null_are_not_set() -> None:
    draft = translator().structured(structured(region=None, n=0, subject=None, id=None))

    assert draft.extensions == {"n": 0}
    assert (draft.subject, draft.producer_id) == (None, None)


def test_base64_data_is_decoded() -> None:
    assert translator().structured(structured(data_base64=base64.b64encode(b'{"a":1}').decode())).data == b'{"a":1}'


def test_an_event_without_data_has_none() -> None:
    assert translator().structured(structured()).data is None
    assert translator().structured(structured(data=None)).data == b"null"


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"specversion": "0.3"}, "$.specversion"),
        ({"type": ""}, "$.type"),
        ({"type": 7}, "$.type"),
        ({"type": "x" * 512}, "$.type"),
        ({"id": ""}, "$.id"),
        ({"dataschema": ""}, "$.dataschema"),
        ({"time": "yesterday"}, "$.time"),
        ({"time": "2021-03-04T16:36:54"}, "$.time"),
        ({"datacontenttype": "text/xml"}, "$.datacontenttype"),
        ({"data_base64": "%"}, "$.data_base64"),
        ({"data_base64": "e30=", "data": {}}, "$.data_base64"),
        ({"Bad_Name": "x"}, "$.Bad_Name"),
        ({"extension": {"no": "object"}}, "$.extension"),
        ({"extension": 1.5}, "$.extension"),
        ({"extension": 2**31}, "$.extension"),
        ({"extension": -(2**31) - 1}, "$.extension"),
        ({"extension": "a\tb"}, "$.extension"),
        ({"data_base65": "x"}, "$.data_base65"),
        ({"ext1": "x", "ext-2": "x"}, "$.ext-2"),
        ({"": "x"}, "$."),
        ({"clientid": "somebody"}, "$.clientid"),
        ({"subject": ""}, "$.subject"),
        ({"subject": "a\nb"}, "$.subject"),
        ({"subject": "\x7f"}, "$.subject"),
        ({"subject": "\x85"}, "$.subject"),
        ({"subject": "\ufdd0"}, "$.subject"),
        ({"id": "\uffff"}, "$.id"),
        ({"id": "\U0001fffe"}, "$.id"),
        ({"type": "a\0b"}, "$.type"),
        ({"channel": "\r"}, "$.channel"),
        ({"traceparent": "\x00"}, "$.traceparent"),
        ({"source": ""}, "$.source"),
        ({"source": "a b"}, "$.source"),
        ({"source": "ö"}, "$.source"),
        ({"source": "1a:b"}, "$.source"),
        ({"source": "/a%2"}, "$.source"),
        ({"source": "/a\n"}, "$.source"),
        ({"dataschema": "/relative"}, "$.dataschema"),
        ({"dataschema": "http://x/y#z"}, "$.dataschema"),
        ({"datacontenttype": "json"}, "$.datacontenttype"),
        ({"datacontenttype": "application/json; charset"}, "$.datacontenttype"),
        ({"time": 5}, "$.time"),
    ],
)
def test_what_is_wrong_is_named(attributes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        translator().structured(structured(**attributes))

    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_missing_type_is_named() -> None:
    with pytest.raises(InvalidEvent) as refused:
        translator().structured(b'{"specversion":"1.0"}')

    assert [(problem.path, problem.message) for problem in refused.value.problems] == [("$.type", "is required")]


def test_a_batch_names_every_wrong_event() -> None:
    batch = json.dumps([event(), event(time="no"), event(extension="x"), event(specversion="2")]).encode()

    with pytest.raises(InvalidEvent) as refused:
        batch_of(batch)

    assert [problem.path for problem in refused.value.problems] == ["$[1].time", "$[3].specversion"]


def test_a_batch_keeps_its_order() -> None:
    drafts = batch_of(json.dumps([event(id="1"), event(id="2", region="eu")]).encode())

    assert [draft.producer_id for draft in drafts] == ["1", "2"]
    assert [draft.extensions for draft in drafts] == [{}, {"region": "eu"}]


@pytest.mark.parametrize("one", [event(), event(region="eu"), event(time="yesterday"), event(REGION=[]), {}, 7])
def test_of_a_batch_that_is_too_long_nothing_but_its_length_is_looked_at(one: object) -> None:
    with pytest.raises(InvalidRequest, match="at most 10 events") as refused:
        batch_of(json.dumps([one] * 11).encode())

    assert [problem.path for problem in refused.value.problems] == ["$"]


def test_binary_mode_takes_attributes_from_headers() -> None:
    headers = {
        b"ce-specversion": b"1.0",
        b"ce-type": b"Offer",
        b"ce-subject": b"caf%C3%A9",
        b"ce-region": b"eu",
        b"content-type": b"application/json",
    }

    draft = translator().binary(headers, b'{"a":1}')

    assert (draft.subject, draft.data) == ("café", b'{"a":1}')
    assert (draft.extensions, draft.datacontenttype) == ({"region": "eu"}, "application/json")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Z%C3%BCrich%20%22%E2%98%83%22%20100%25%20%2541", 'Zürich "☃" 100% %41'),
        (b'"Z%C3%BCrich"', "Zürich"),
        (rb'"a \"b\" \\ %25"', 'a "b" \\ %'),
        (rb'a "b" \"', r'a "b" \"'),
        ("Zürich ☃".encode(), "Zürich ☃"),
        ("Zürich".encode("latin-1"), "Zürich"),
        (b"100% 5%", "100% 5%"),
    ],
)
def test_a_headers_value_is_what_its_producer_meant(value: bytes, text: str) -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-type": b"Offer", b"ce-subject": value, b"ce-region": value}

    draft = translator().binary(headers, b"{}")

    assert (draft.subject, draft.extensions) == (text, {"region": text})


@pytest.mark.parametrize("value", [b"%ff", b"%C3", b"\xfc%20", b"%ed%a0%80"])
def test_a_headers_value_that_is_no_text_is_refused(value: bytes) -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-type": b"Offer", b"ce-region": value}

    with pytest.raises(InvalidEvent) as refused:
        translator().binary(headers, b"{}")

    assert [problem.path for problem in refused.value.problems] == ["$.region"]


def test_the_schema_of_the_data_is_kept() -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-type": b"Offer", b"ce-dataschema": b"http://x/y"}

    assert translator().binary(headers, b"{}").dataschema == "http://x/y"
    assert translator().structured(structured(dataschema="http://x/y")).dataschema == "http://x/y"


def test_binary_mode_without_attributes_is_refused() -> None:
    with pytest.raises(InvalidEvent) as refused:
        translator().binary({}, b"{}")

    assert [problem.path for problem in refused.value.problems] == ["ce-specversion", "ce-type"]


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xff", b"[" * 100_000, b'{"data":' * 50_000])
def test_broken_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        translator().structured(body)
    with pytest.raises(MalformedBody):
        batch_of(body)


def test_a_batch_that_is_no_array_is_refused() -> None:
    with pytest.raises(InvalidEvent) as refused:
        batch_of(structured())

    assert [problem.path for problem in refused.value.problems] == ["$"]


@pytest.mark.parametrize("member", ["ext", "namespace"])
def test_a_number_beyond_all_numbers_is_no_extension(member: str) -> None:
    body = f'{{"specversion":"1.0","type":"Offer","{member}":1e400}}'.encode()

    for read in (lambda: translator().structured(body), lambda: batch_of(b"[" + body + b"]")):
        with pytest.raises(InvalidEvent) as refused:
            read()
        assert [each.path.rsplit(".", 1)[1] for each in refused.value.problems] == [member]


@pytest.mark.parametrize(
    "source",
    [
        "/sensor/1",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "https://user@example.com:8080/a;b?c=%20#d",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "1-555-123-4567",
        "a/b:c",
        "#fragment",
        "//[::1]/x",
        "/" + "a" * 300,
    ],
)
def test_any_uri_reference_is_a_source(source: str) -> None:
    assert translator().structured(structured(source=source)).source == source


@pytest.mark.parametrize("text", ["\u00a0", "\u2028", "\ue000", "\U0001f600", "a b", "\ufffd"])
def test_other_characters_are_allowed_however_rare(text: str) -> None:
    draft = translator().structured(structured(id=text, subject=text, extension=text))
    assert (draft.producer_id, draft.subject, draft.extensions) == (text, text, {"extension": text})


@pytest.mark.parametrize("attribute", ["subject", "id", "type", "extension"])
def test_a_lone_surrogate_is_refused(attribute: str) -> None:
    members = json.dumps(event(**{attribute: "\ud800"}), ensure_ascii=True).encode()
    with pytest.raises(InvalidRequest):
        translator().structured(members)
    assert translator().structured(members.replace(b"ud800", b"ud83d\\ude00")) is not None


def test_an_event_without_a_source_has_its_client_as_source() -> None:
    assert translator().structured(structured()).source == "client-1"


def test_the_type_is_kept_as_sent() -> None:
    of_shop = Translator("ws", CLIENT, lambda name: tuple(name.split("/")), Slices())  # type: ignore[arg-type, return-value]
    draft = of_shop.structured(structured(type="shop/Order"))
    assert (draft.namespace, draft.code, draft.type) == ("shop", "Order", "shop/Order")
    assert translator().structured(structured()).type is None


@pytest.mark.parametrize("name", ["data", "data_base64", "clientid", "some_name"])
def test_headers_with_other_names_than_attributes_are_refused(name: str) -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-type": b"Offer", f"ce-{name}".encode(): b"x"}
    with pytest.raises(InvalidEvent) as refused:
        translator().binary(headers, b"{}")
    assert [problem.path for problem in refused.value.problems] == [f"$.{name}"]


def test_a_binary_events_content_type_is_that_of_its_data() -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-type": b"Offer", b"content-type": b"application/vnd.x+json; a=b"}
    assert translator().binary(headers, b"{}").datacontenttype == "application/vnd.x+json; a=b"
    assert translator().binary(headers | {b"content-type": b"application/json; bad"}, b"{}").datacontenttype == (
        "application/json"
    )
    del headers[b"content-type"]
    assert translator().binary(headers, b"{}").datacontenttype is None


TWICE = b'{"specversion":"1.0","type":"Offer","id":"a",%s"data":{"n":1.50}}'


@pytest.mark.parametrize(
    ("again", "path"),
    [
        (b'"id":"b",', "$.id"),
        (b' "id" :"a" , ', "$.id"),
        (b'"\\u0069d":"\\u0022\\u0022\\u0022\\u0022",', "$.id"),
        (b'"data":null,', "$.data"),
        (b'"region":"eu","region":"us",', "$.region"),
        (b'"type":"Offer","id":null,', "$.type"),
    ],
)
def test_an_attribute_that_is_there_twice_is_refused(again: bytes, path: str) -> None:
    body = TWICE % again

    with pytest.raises(InvalidEvent) as one:
        translator().structured(body)
    with pytest.raises(InvalidEvent) as many:
        batch_of(b"[%s, %s]" % (TWICE % b"", body))
    assert [(each.path, each.message) for each in one.value.problems][:1] == [(path, "is there twice")]
    assert many.value.problems[0].path == f"$[1]{path[1:]}"


def test_data_that_is_read_twice_may_be_odd() -> None:
    """An escaped quote takes the closer look, whose reader must not fail at what the first one takes."""
    looked_at = b'{"specversion":"1.0","type":"Offer","region":"\\u0022", "data":%s}'
    for number in (b"1" * 5_000, b"1e999"):
        assert translator().structured(looked_at % number).data == number
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit()):
        with contextlib.suppress(MalformedBody):
            translator().structured(looked_at % (b"[" * depth + b"]" * depth))


@pytest.mark.parametrize(
    "options",
    [{"separators": (",", ":")}, {"ensure_ascii": False}, {"separators": (" ,\n ", " :\t")}],
    ids=["compact", "spaced", "odd"],
)
@pytest.mark.parametrize("subject", ['"', "\\u0022", '\\"', "ä/€", "\U0001f600", "a:\",{}'", None])
def test_an_event_is_read_once_however_it_is_spelled(options: dict[str, Any], subject: str | None) -> None:
    sent = event(subject=subject, data={"subject": subject, "id": [{"id": "\n"}]})
    for attributes in (sent, sent | {"region": '"'}):
        body = json.dumps(attributes, **options).encode()
        draft = translator().structured(body.replace(b'\\"', b"\\u0022"))
        assert (draft.subject, json.loads(draft.data or b"")) == (subject, sent["data"])
        assert [each.subject for each in batch_of(b"[%s,%s]\n" % (body, body))] == [subject] * 2
