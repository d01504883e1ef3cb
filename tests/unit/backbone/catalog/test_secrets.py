from __future__ import annotations

import pytest

from backbone.catalog.secrets import SecretBox
from schemas.model.errors import Misconfigured


def test_what_is_sealed_opens_and_no_two_tokens_are_equal() -> None:
    box = SecretBox(["a key"])
    one, two = box.seal("secret"), box.seal("secret")
    assert box.open(one) == box.open(two) == "secret"
    assert one != two
    assert "secret" not in one


def test_any_key_opens_and_the_first_seals() -> None:
    old, both, new = SecretBox(["old"]), SecretBox(["new", "old"]), SecretBox(["new"])
    before, after = old.seal("secret"), both.seal("secret")
    assert both.open(before) == "secret"
    assert new.open(after) == "secret"
    assert (both.is_current(before), both.is_current(after)) == (False, True)
    with pytest.raises(Misconfigured):
        new.open(before)


@pytest.mark.parametrize("token", ["", "garbage", "gAAAAAB"])
def test_a_token_that_nobody_sealed_is_refused(token: str) -> None:
    with pytest.raises(Misconfigured):
        SecretBox(["a key"]).open(token)


def test_a_changed_token_is_refused() -> None:
    box = SecretBox(["a key"])
    token = box.seal("secret")
    with pytest.raises(Misconfigured):
        box.open(token[:20] + ("A" if token[20] != "A" else "B") + token[21:])


def test_a_hash_depends_on_the_key_and_is_found_after_a_rotation() -> None:
    old, both = SecretBox(["old"]), SecretBox(["new", "old"])
    assert old.digest("api key") == old.digest("api key")
    assert both.digests("api key") == (SecretBox(["new"]).digest("api key"), old.digest("api key"))
    assert both.digest("api key") == both.digests("api key")[0]


def test_there_must_be_a_key() -> None:
    with pytest.raises(Misconfigured):
        SecretBox([])
