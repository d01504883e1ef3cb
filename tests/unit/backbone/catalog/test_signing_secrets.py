"""The secrets of an endpoint: which are taken, how long old ones sign, and how many there may be."""

from __future__ import annotations

import base64

import msgspec
import pytest

from backbone.catalog import signing_secrets
from backbone.catalog.secrets import SecretBox
from backbone.catalog.signing_secrets import LONGEST, MOST_OLD, OVERLAP, SHORTEST
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Conflict, IdempotencyMismatch, InvalidRequest
from schemas.model.resources import decode_resource, encode_resource

BOX = SecretBox(["a key for these tests"])
SECOND = 1_000_000


def secret(number: int, length: int = 24) -> str:
    return "whsec_" + base64.b64encode(bytes([number]) * length).decode()


def endpoint(*secrets: str, expire_at: tuple[int | None, ...] = ()) -> Endpoint:
    return Endpoint(
        id="e",
        workspace="w",
        name="e",
        type=EndpointType.WEB_HOOK,
        url="https://example.com/",
        signing_secrets=tuple(map(BOX.seal, secrets)),
        signing_secrets_expire_at=expire_at,
        created_at=1,
        updated_at=1,
    )


def signing(of: Endpoint, at: int) -> list[str]:
    return [BOX.open(sealed) for sealed in of.secrets_at(at)]


@pytest.mark.parametrize("length", [SHORTEST, 32, LONGEST])
def test_a_secret_of_24_to_64_bytes_is_taken(length: int) -> None:
    assert signing_secrets.problems(secret(1, length)) == []


@pytest.mark.parametrize(
    "text",
    [secret(1, SHORTEST - 1), secret(1, LONGEST + 1), "whsec_", "secret", "whsec_%%%", "whsec_é", f" {secret(1)}"],
)
def test_another_one_is_refused_with_its_place(text: str) -> None:
    assert [each.path for each in signing_secrets.problems(text)] == ["$.signing_secret"]


def test_the_secret_before_signs_until_the_overlap_ends() -> None:
    now = timestamps.now()
    rotated = signing_secrets.rotated(endpoint(secret(1)), secret(2), OVERLAP, BOX)

    assert signing(rotated, now) == [secret(2), secret(1)]
    assert signing(rotated, now + (OVERLAP - 1) * SECOND) == [secret(2), secret(1)]
    assert signing(rotated, now + (OVERLAP + 60) * SECOND) == [secret(2)]


def test_no_overlap_ends_all_others_at_once() -> None:
    twice = signing_secrets.rotated(endpoint(secret(1)), secret(2), OVERLAP, BOX)
    rotated = signing_secrets.rotated(twice, secret(3), 0, BOX)

    assert [BOX.open(sealed) for sealed in rotated.signing_secrets] == [secret(3)]
    assert rotated.shown_secrets == (None,)


def test_an_overlap_never_lengthens_what_an_earlier_one_left() -> None:
    now = timestamps.now()
    first = signing_secrets.rotated(endpoint(secret(1)), secret(2), 60, BOX)
    rotated = signing_secrets.rotated(first, secret(3), 3_600, BOX)

    assert signing(rotated, now + 30 * SECOND) == [secret(3), secret(2), secret(1)]
    assert signing(rotated, now + 120 * SECOND) == [secret(3), secret(2)]


def test_what_has_ended_is_not_kept() -> None:
    past = timestamps.now() - SECOND
    rotated = signing_secrets.rotated(endpoint(secret(1), secret(2), expire_at=(None, past)), secret(3), 60, BOX)
    assert [BOX.open(sealed) for sealed in rotated.signing_secrets] == [secret(3), secret(1)]


def test_a_record_without_expiries_signs_with_all_and_ends_the_old_ones_with_the_next_overlap() -> None:
    stored = encode_resource(endpoint(secret(2), secret(1))).replace(b',"signing_secrets_expire_at":[]', b"")
    old = decode_resource(stored)
    assert isinstance(old, Endpoint)
    later = timestamps.now() + 400 * 86_400 * SECOND

    assert b"expire" not in stored
    assert signing(old, later) == [secret(2), secret(1)]
    rotated = signing_secrets.rotated(old, secret(3), 60, BOX)
    assert signing(rotated, timestamps.now()) == [secret(3), secret(2), secret(1)]
    assert signing(rotated, later) == [secret(3)]


def test_old_secrets_are_bounded_and_a_rotation_without_overlap_makes_room() -> None:
    full = endpoint(secret(0))
    for number in range(1, MOST_OLD + 1):
        full = signing_secrets.rotated(full, secret(number), OVERLAP, BOX)
    assert len(full.signing_secrets) == MOST_OLD + 1

    with pytest.raises(Conflict, match='"overlap": 0'):
        signing_secrets.rotated(full, secret(99), OVERLAP, BOX)
    assert len(signing_secrets.rotated(full, secret(99), 0, BOX).signing_secrets) == 1


def test_a_secret_that_the_endpoint_has_is_refused() -> None:
    rotated = signing_secrets.rotated(endpoint(secret(1)), secret(2), OVERLAP, BOX)
    for known in (secret(1), secret(2)):
        with pytest.raises(InvalidRequest) as raised:
            signing_secrets.rotated(rotated, known, OVERLAP, BOX)
        assert [each.path for each in raised.value.problems] == ["$.signing_secret"]
        assert known not in str(raised.value) + str(raised.value.problems)


def test_a_repeated_key_with_another_secret_is_told_so() -> None:
    signing_secrets.check_repeat(endpoint(secret(1)), secret(1), BOX)
    with pytest.raises(IdempotencyMismatch):
        signing_secrets.check_repeat(endpoint(secret(1)), secret(2), BOX)


def test_expiries_beyond_the_secrets_count_for_nothing() -> None:
    strange = msgspec.structs.replace(endpoint(secret(1)), signing_secrets_expire_at=(None, 1, 2))
    assert strange.shown_secrets == (None,)
