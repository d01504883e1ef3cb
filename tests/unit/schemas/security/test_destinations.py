from __future__ import annotations

import pytest

from schemas.security.destinations import ANYWHERE, Destinations

LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.0.0.1:8080",
    "user:pass@127.0.0.1",
    "8.8.8.8@127.0.0.1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]:80",
    "localhost",
    "LOCALHOST.",
    "api.localhost",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
]
OTHERS = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:a9fe:a9fe::]",
    "[2001::1]",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[ff02::1]",
    "0",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "255.255.255.255",
    "224.0.0.1",
]
NEITHER = [
    "256.256.256.256",
    "1.2.3.4.5",
    "09.1.1.1",
    "4294967296",
    "127..1",
    "a.b.1",
    "a..b",
    ".example.com",
    "...",
    "[v1.x]",
    "%zz.example.com",
    "ex%2fample.com",
    "127.0.0.1%00.example.com",
    "127.0.0.1%23.example.com",
    "\uff0531",
    f"{'a' * 64}.com",
]
PUBLIC = [
    "8.8.8.8",
    "134744072",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "example.com",
    "EXAMPLE.com.",
    "x1",
    "_srv.example.com",
    f"{'a' * 63}.com",
    "ex\u00e4mple.com",
    "1e1.com",
]


@pytest.mark.parametrize("host", LOOPBACK + OTHERS)
def test_an_address_that_is_not_public_is_refused_in_every_spelling(host: str) -> None:
    refusal = Destinations().refusal(f"http://{host}/x")
    assert refusal is not None
    assert "is not a public address, and HEADRACE_WEBHOOK_ALLOW does not allow it" in refusal
    assert "pass" not in refusal


@pytest.mark.parametrize("host", NEITHER)
def test_what_looks_like_an_address_and_is_none_is_refused(host: str) -> None:
    for destinations in (Destinations(), Destinations(ANYWHERE)):
        assert "neither a host name nor an address" in (destinations.refusal(f"http://{host}/x") or "")


@pytest.mark.parametrize("host", PUBLIC)
def test_public_addresses_and_names_are_not_refused(host: str) -> None:
    assert Destinations().refusal(f"https://{host}/x") is None


@pytest.mark.parametrize("host", LOOPBACK)
def test_what_the_operator_allows_is_not_refused_in_any_spelling(host: str) -> None:
    assert Destinations(["127.0.0.0/8"]).refusal(f"http://{host}/x") is None


@pytest.mark.parametrize("host", LOOPBACK + OTHERS)
def test_a_writer_that_allows_all_allows_all(host: str) -> None:
    assert Destinations(ANYWHERE).refusal(f"http://{host}/x") is None
