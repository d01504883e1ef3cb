from __future__ import annotations

import socket

import pytest

from connectors.webhook.destination_guard import DestinationGuard, ForbiddenDestination
from connectors.webhook.in_memory_transport import InMemoryTransport
from connectors.webhook.main import transport_over
from connectors.webhook.settings import WebhookSettings
from connectors.webhook.transport import HttpRequest
from schemas.model.errors import Misconfigured
from schemas.security.destinations import NOT_HTTPS, Destinations

FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "localhost",
    "example.org",
    "2130706433",
    "127.1",
    "0x7f.1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_only_public_addresses_are_permitted(address: str) -> None:
    assert not DestinationGuard().permits(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700::1111", "172.32.0.1"])
def test_public_addresses_are_permitted(address: str) -> None:
    assert DestinationGuard().permits(address)


def test_the_allow_list_opens_exactly_its_networks() -> None:
    guard = DestinationGuard(["10.1.0.0/16", " 127.0.0.1", "fd00::/8"])
    assert guard.permits("10.1.2.3")
    assert guard.permits("127.0.0.1")
    assert guard.permits("::ffff:10.1.2.3")
    assert guard.permits("fd12::1")
    assert not guard.permits("10.2.0.1")
    assert not guard.permits("127.0.0.2")


def test_an_allow_list_entry_that_is_no_network_says_what_to_set() -> None:
    with pytest.raises(Misconfigured, match="HEADRACE_WEBHOOK_ALLOW"):
        DestinationGuard(["localhost"])


def test_no_socket_is_made_for_a_forbidden_address() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("169.254.169.254", 80))
    with pytest.raises(ForbiddenDestination, match=r"169\.254\.169\.254"):
        DestinationGuard().connect_socket(info)


def test_the_socket_of_a_permitted_address_does_not_block() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 443))
    with DestinationGuard().connect_socket(info) as made:
        assert made.gettimeout() == 0


@pytest.mark.parametrize(("url", "told"), [("http://example.com", NOT_HTTPS), ("HTTPS://example.com", None)])
async def test_plain_http_is_refused_and_not_sent_where_only_https_is_wanted(url: str, told: str | None) -> None:
    below, settings = InMemoryTransport(), WebhookSettings(https_only=True)

    response = await transport_over(below, settings, None).send(HttpRequest("POST", url, {}, b""), 1.0)

    assert Destinations(https_only=True).refusal(url) == told
    assert (response.error, response.forbidden, len(below.sent)) == (told, told is not None, told is None)
    assert Destinations().refusal(url) is None
    await transport_over(below, WebhookSettings(), None).send(HttpRequest("POST", url, {}, b""), 1.0)
    assert below.sent[-1].url == url
