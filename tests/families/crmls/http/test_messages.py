from __future__ import annotations

import json

import jwt
import pytest

from families.crmls.http import messages
from ingest_api.tokens import Tokens
from schemas.model.access import Realm
from schemas.model.errors import InvalidRequest, MalformedBody
from schemas.model.timestamps import parse

SEED_BODY = b"""{
"eventName": "Offer1234",
"eventTime": "2021-03-04T16:36:54.591Z",
"messageType": "Offer",
"message": {
"ListingId":"#####",
"OfferId":"#####",
"OfferAmount":"#####",
}
}"""


def test_the_printed_body_is_read_although_it_has_a_trailing_comma() -> None:
    post = messages.read_post(SEED_BODY)

    assert (post.event_name, post.message_type) == ("Offer1234", "Offer")
    assert json.loads(post.message) == {"ListingId": "#####", "OfferId": "#####", "OfferAmount": "#####"}


def test_strict_json_refuses_the_trailing_comma() -> None:
    with pytest.raises(MalformedBody):
        messages.read_post(SEED_BODY, strict=True)


@pytest.mark.parametrize(
    "message",
    [b'{"a":",}","b":[1,2,],}', b'{"a":"\\",}" , }', b'{"a":[{},],"b":true,}', b'{"a":"x,\\\\",}'],
)
def test_commas_in_strings_are_kept(message: bytes) -> None:
    body = b'{"eventName":"n","eventTime":"2021-03-04T16:36:54Z","messageType":"t","message":' + message + b"}"

    read = json.loads(messages.read_post(body).message)

    assert read == eval(message.replace(b"true", b"True"))  # noqa: S307 - Python literals allow trailing commas


@pytest.mark.parametrize("message", [b'{"a":,}', b"{,}", b'{"a":1,,}'])
def test_only_trailing_commas_are_forgiven(message: bytes) -> None:
    body = b'{"eventName":"n","eventTime":"2021-03-04T16:36:54Z","messageType":"t","message":' + message + b"}"

    with pytest.raises(MalformedBody):
        messages.read_post(body)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 499_000, b'{"a":' * 199_000 + b'"', b'"a\\'])
def test_a_text_without_end_is_looked_at_once(body: bytes) -> None:
    # If each quote began another search for the end, the first of these would take hours.
    with pytest.raises(MalformedBody):
        messages.read_post(body)


def test_trailing_commas_are_forgiven_in_what_fits_a_record() -> None:
    body = SEED_BODY + b" " * 1_000_000

    with pytest.raises(MalformedBody):
        messages.read_post(body)


@pytest.mark.parametrize(
    "rest", [b',"\xff":1}', b"", b',"message":}', b',"message":{', b',"more":' + b"[" * 100_000, b"]", b"}}", b"x}"]
)
def test_what_is_no_json_after_a_wrong_member_is_refused_as_such(rest: bytes) -> None:
    with pytest.raises(MalformedBody):
        messages.read_post(b'{"eventName":7' + rest)


def test_wrong_members_are_named_although_there_is_a_trailing_comma() -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages.read_post(SEED_BODY.replace(b'"Offer1234"', b"1234"))

    assert [problem.path for problem in refused.value.problems] == ["$.eventName"]


def test_every_wrong_member_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages.read_post(b'{"eventTime":7,"messageType":null,"message":[]}')

    assert {problem.path: problem.message for problem in refused.value.problems} == {
        "$.eventName": "is required",
        "$.eventTime": "must be a string",
        "$.messageType": "is required",
        "$.message": "must be a JSON object",
    }


@pytest.mark.parametrize("message_type", ["", "x" * 201])
def test_a_message_type_has_one_to_200_characters(message_type: str) -> None:
    time = "2021-03-04T16:36:54Z"
    body = json.dumps({"eventName": "n", "eventTime": time, "messageType": message_type, "message": {}}).encode()

    with pytest.raises(InvalidRequest) as refused:
        messages.read_post(body)

    assert [problem.path for problem in refused.value.problems] == ["$.messageType"]


@pytest.mark.parametrize("time", ["yesterday", "2021-03-04T16:36:54", "2021-13-04T16:36:54Z", ""])
def test_a_time_without_offset_or_sense_is_refused(time: str) -> None:
    body = json.dumps({"eventName": "n", "eventTime": time, "messageType": "t", "message": {}}).encode()

    with pytest.raises(InvalidRequest) as refused:
        messages.read_post(body)

    assert [problem.path for problem in refused.value.problems] == ["$.eventTime"]


@pytest.mark.parametrize("body", [b"{", b"", b'"x"', b"[]", b"\xff", b"[" * 100_000, b'{"message":' * 20_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        messages.read_post(body)


@pytest.mark.parametrize(
    ("sent", "printed"),
    [
        ("2021-03-04T16:36:54.591Z", "2021-03-04T16:36:54.591+00:00"),
        ("2021-03-04T16:36:54Z", "2021-03-04T16:36:54+00:00"),
        ("2021-03-04T16:36:54.5000000Z", "2021-03-04T16:36:54.5+00:00"),
        ("2021-03-04T16:36:54.1234567+00:00", "2021-03-04T16:36:54.1234567+00:00"),
        ("2021-03-04T18:36:54.12345678+02:00", "2021-03-04T16:36:54.1234567+00:00"),
        ("2021-03-04T16:36:54.000-05:30", "2021-03-04T22:06:54+00:00"),
    ],
)
def test_event_time_is_spelt_as_dotnet_does(sent: str, printed: str) -> None:
    assert messages.event_time(parse(sent), sent) == printed


def test_created_on_always_has_seven_digits() -> None:
    assert messages.seven_digits(1_614_876_441_970_889) == "2021-03-04T16:47:21.9708890+00:00"
    assert messages.seven_digits(1_614_876_441_000_000) == "2021-03-04T16:47:21.0000000+00:00"


def test_the_answer_keeps_the_documents_order_and_the_message_as_sent() -> None:
    body = messages.answer(
        event_name="é",
        event_time="2021-03-04T16:36:54.591+00:00",
        source="s",
        message=b'{"big": 12345678901234567890.10, "z":1,"a":2}',
        message_type="Offer",
        created_at=0,
        event_id="i",
    )

    assert b'"message":{"big": 12345678901234567890.10, "z":1,"a":2}' in body
    assert list(json.loads(body)) == [
        "eventName",
        "eventTime",
        "sourceAccount",
        "message",
        "messageType",
        "createdBy",
        "createdOn",
        "id",
        "modifiedBy",
        "modifiedOn",
    ]


def test_a_token_has_the_claims_of_the_documents_sample() -> None:
    client = "9c076df8-a80d-4e24-26c8-08d8dd522c11"
    tokens = Tokens("a secret of at least thirty-two bytes", unnamed=Realm("crmls"), clock=lambda: 1_614_874_082.7)
    issued = tokens.issue(Realm("crmls"), client, messages.TOKEN_LIFETIME, **messages.token_claims(client))

    assert jwt.decode(issued.text, options={"verify_signature": False}) == {
        "nameid": client,
        "unique_name": client,
        "role": ["user", "user"],
        "nbf": 1_614_874_082,
        "exp": 1_615_478_882,
        "iat": 1_614_874_082,
    }
