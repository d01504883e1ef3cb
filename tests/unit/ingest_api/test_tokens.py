from __future__ import annotations

import base64
import functools
import json
import time

import jwt
import pytest

from ingest_api.tokens import Token
from ingest_api.tokens import Tokens as AnyTokens
from schemas.model.access import Realm
from schemas.model.errors import Unauthenticated
from schemas.security.binding import Binding

SECRET = "a secret of at least thirty-two bytes"
Tokens = functools.partial(AnyTokens, unnamed=Realm("crmls"))
CLIENT = "9c076df8-a80d-4e24-26c8-08d8dd522c11"


def part(token: str, index: int) -> dict[str, object]:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def issue(tokens: AnyTokens, binding: Binding | None = None, *, until: int | None = None) -> Token:
    """A token of the realm that needs no name, for a week."""
    return tokens.issue(Realm("crmls"), CLIENT, 604_800, binding, until=until)


def test_a_token_says_whose_it_is_and_when_it_ends() -> None:
    issued = issue(Tokens(SECRET, clock=lambda: 1_614_874_082.7))

    assert part(issued.text, 0) == {"alg": "HS256", "typ": "JWT"}
    assert part(issued.text, 1) == {
        "nameid": CLIENT,
        "nbf": 1_614_874_082,
        "exp": 1_615_478_882,
        "iat": 1_614_874_082,
    }
    assert issued.expires_at == 1_615_478_882


def test_a_token_that_names_no_realm_is_refused_where_none_is_without() -> None:
    unnamed = issue(Tokens(SECRET)).text

    assert Tokens(SECRET).verify(unnamed).realm == Realm("crmls")
    with pytest.raises(Unauthenticated):
        AnyTokens(SECRET).verify(unnamed)


def test_what_a_token_is_bound_to_signs_it_and_is_not_seen() -> None:
    binding = Binding(workspace="w", generation=7, key="k", key_generation=8)
    others = [
        Binding(workspace="x", generation=7, key="k", key_generation=8),
        Binding(workspace="w", generation=8, key="k", key_generation=8),
        Binding(workspace="w", generation=7, key="l", key_generation=8),
        Binding(workspace="w", generation=7, key="k", key_generation=9),
    ]
    tokens = Tokens(SECRET)
    plain, bound = issue(tokens), issue(tokens, binding)

    assert part(bound.text, 0) == part(plain.text, 0)
    assert part(bound.text, 1).keys() == part(plain.text, 1).keys()
    assert tokens.verify(bound.text, lambda *_: [*others, binding]).binding == binding
    assert tokens.verify(plain.text, lambda *_: [*others, binding]).binding is None
    for candidates in ([], others):
        with pytest.raises(Unauthenticated):
            tokens.verify(bound.text, lambda *_, found=candidates: found)


def test_a_forged_token_of_a_client_with_many_keys_is_read_as_often_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Binding(workspace="w", generation=7, key=f"k{number}", key_generation=8) for number in range(500)]
    tokens, reads = Tokens(SECRET), []
    forged = issue(Tokens("another secret of thirty-two bytes!!")).text
    decode = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *given, **named: (reads.append(given), decode(*given, **named))[1])
    with pytest.raises(Unauthenticated):
        tokens.verify(forged, lambda *_: keys)
    assert len(reads) == 2
    assert tokens.verify(issue(tokens, keys[-1]).text, lambda *_: keys).binding == keys[-1]


def test_a_token_ends_with_its_key() -> None:
    tokens = Tokens(SECRET, clock=lambda: 1_000)

    assert issue(tokens, until=1_100_999_999).expires_at == 1_100
    assert part(issue(tokens, until=1_100_999_999).text, 1)["exp"] == 1_100
    assert tokens.issue(Realm("eventhos"), CLIENT, 60, until=1_100_999_999).expires_at == 1_060


def test_a_genuine_token_is_understood_until_it_expires() -> None:
    now = [2_000_000_000.0 - 604_800]
    tokens = Tokens(SECRET, clock=lambda: now[0])
    claims = Tokens(SECRET).verify(issue(Tokens(SECRET)).text)

    assert claims.client == CLIENT
    assert not tokens.expired(claims._replace(expires_at=2_000_000_000))
    now[0] = 2_000_000_000.0
    assert tokens.expired(claims._replace(expires_at=2_000_000_000))


def test_a_token_is_good_at_once_on_a_machine_whose_clock_is_behind() -> None:
    ahead = time.time() + 30

    assert Tokens(SECRET).verify(issue(Tokens(SECRET, clock=lambda: ahead)).text).client == CLIENT


def test_a_token_of_another_family_says_so_and_carries_its_claims() -> None:
    tokens = Tokens(SECRET, clock=lambda: 1_614_874_082.7)
    issued = tokens.issue(Realm("eventhos"), CLIENT, 60, data={"identifier": "one"})

    assert part(issued.text, 1)["data"] == {"identifier": "one"}
    assert tokens.verify(issued.text) == (CLIENT, 1_614_874_142, Realm("eventhos"), 1_614_874_082, None)
    assert tokens.verify(issue(tokens).text).realm == Realm("crmls")


@pytest.mark.parametrize("realm", [Realm("crmls"), Realm("eventhos")])
def test_bindings_are_sought_among_the_clients_of_the_realm_that_a_token_names(realm: Realm) -> None:
    tokens, asked = Tokens(SECRET), []

    def bindings(client: str, of: Realm) -> tuple[Binding, ...]:
        asked.append((client, of))
        return ()

    issued = issue(tokens) if realm == Realm("crmls") else tokens.issue(realm, CLIENT, 60)
    tokens.verify(issued.text, bindings)
    assert asked == [(CLIENT, realm)]


def forged() -> list[str]:
    claims = {"nameid": CLIENT, "nbf": 1, "iat": 1, "exp": 4_000_000_000}
    genuine = issue(Tokens(SECRET)).text
    return [
        "garbage",
        "",
        "a.b.c",
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, SECRET + "x", algorithm="HS256"),
        jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        jwt.encode({"exp": 4_000_000_000, "nbf": 1, "iat": 1}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "nameid": 7}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "exp": "soon"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "realm": 7}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "nbf": 4_000_000_000}, SECRET, algorithm="HS256"),
        genuine[:-2],
        genuine.rsplit(".", 1)[0] + ".",
    ]


@pytest.mark.parametrize("token", forged(), ids=range(len(forged())))
def test_forged_tokens_are_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        Tokens(SECRET).verify(token)
