from __future__ import annotations

from typing import Any

import jwt
import pytest

from backbone.realtime_tokens import AUDIENCE, ExpiredToken, InvalidToken, RealtimeTokens

SECRET = "a token secret of more than sixty-four bytes, as long as HS512 asks for"
NOW = 1_800_000_000


def signed(**claims: Any) -> str:
    return jwt.encode({"aud": AUDIENCE, **claims}, SECRET, algorithm="HS256")


@pytest.fixture
def tokens() -> RealtimeTokens:
    return RealtimeTokens(SECRET, clock=lambda: NOW)


def test_a_connection_token_is_read_back(tokens: RealtimeTokens) -> None:
    token, expires_at = tokens.issue_connection(
        user="u1", workspace="shop", issuer="c1", lifetime=60, channels=["endpoint:e1"]
    )

    claims = tokens.connection(token)

    assert (claims.user, claims.workspace, claims.issuer) == ("u1", "shop", "c1")
    assert (claims.channels, claims.expires_at) == (("endpoint:e1",), expires_at) == (("endpoint:e1",), NOW + 60)


def test_a_subscription_token_is_read_back(tokens: RealtimeTokens) -> None:
    token, _ = tokens.issue_subscription(user="u1", workspace="shop", issuer="c1", lifetime=60, channel="orders")

    claims = tokens.subscription(token)

    assert (claims.user, claims.workspace, claims.channel, claims.expires_at) == ("u1", "shop", "orders", NOW + 60)


def test_neither_kind_passes_for_the_other(tokens: RealtimeTokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.subscription(signed(sub="u1"))
    with pytest.raises(InvalidToken):
        tokens.connection(signed(sub="u1", channel="orders"))


def test_the_claims_of_centrifugo(tokens: RealtimeTokens) -> None:
    assert tokens.connection(signed()).user == ""
    assert tokens.connection(signed(exp=NOW + 5, expire_at=NOW + 900)).expires_at == NOW + 900
    assert tokens.connection(signed(exp=NOW + 5, expire_at=0)).expires_at is None
    assert tokens.connection(signed(subs={"a": {}}, channels=["b"])).channels == ("a",)


def test_an_audience_may_be_one_of_several(tokens: RealtimeTokens) -> None:
    assert tokens.connection(signed(sub="u1", aud=["other", AUDIENCE])).user == "u1"


def test_an_expired_token_is_told_from_an_invalid_one(tokens: RealtimeTokens) -> None:
    with pytest.raises(ExpiredToken):
        tokens.connection(signed(exp=NOW))
    with pytest.raises(ExpiredToken):
        tokens.subscription(signed(exp=NOW - 1, channel="orders"))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "rubbish",
        jwt.encode({"sub": "u"}, SECRET, algorithm="HS256"),
        jwt.encode({"sub": "u", "aud": "other"}, SECRET, algorithm="HS256"),
        jwt.encode({"sub": "u", "aud": AUDIENCE}, SECRET[::-1], algorithm="HS256"),
        jwt.encode({"sub": "u", "aud": AUDIENCE}, None, algorithm="none"),
        signed(sub=7),
        signed(channels="all"),
        signed(nbf=NOW + 86_400),
        signed(aud=["other"]),
        jwt.encode({"sub": "u", "aud": AUDIENCE}, SECRET, algorithm="HS512"),
        jwt.encode({"sub": "u", "aud": AUDIENCE}, SECRET, algorithm="HS256", headers={"crit": ["x"], "x": 1}),
        signed(sub="u") + "=",
        signed(sub="u") + ".",
        "." + signed(sub="u"),
        signed(sub="u").replace(".", "", 1),
        signed(sub="u").rpartition(".")[0] + ".",
        signed(sub="u").rpartition(".")[0] + ".ü",
    ],
)
def test_what_we_did_not_sign_for_this_is_refused(token: str, tokens: RealtimeTokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.connection(token)


def test_without_an_audience_tokens_of_the_crmls_family_are_still_refused() -> None:
    lenient = RealtimeTokens(SECRET, audience="", clock=lambda: NOW)

    assert lenient.connection(jwt.encode({"sub": "42"}, SECRET, algorithm="HS256")).user == "42"
    with pytest.raises(InvalidToken):
        lenient.connection(jwt.encode({"nameid": "c1"}, SECRET, algorithm="HS256"))
