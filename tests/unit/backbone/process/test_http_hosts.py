from __future__ import annotations

import pytest

from backbone.process.http_hosts import HttpHosts, is_address

ADDRESSES = ["127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "localhost:8000", "LOCALHOST", "a.localhost", "10.1.2.3"]
NAMES = ["attacker.example:8000", "localhost.attacker.example", "127.0.0.1.nip.io", "notlocalhost", "", "[", "x:y:z"]


@pytest.mark.parametrize("host", ADDRESSES)
def test_addresses_are_nobody_elses(host: str) -> None:
    assert is_address(host)


@pytest.mark.parametrize("host", NAMES)
def test_a_name_may_lead_anywhere(host: str) -> None:
    assert not is_address(host)


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_a_port_of_this_machine_answers_by_its_addresses_alone(bound: str) -> None:
    hosts = HttpHosts(bound)
    assert [each for each in (*ADDRESSES, *NAMES) if hosts.knows(each)] == ADDRESSES
    assert hosts.knows(None), "HTTP/1.0, which no browser speaks"


def test_a_port_of_the_network_answers_by_any_name_unless_some_are_listed() -> None:
    assert HttpHosts("0.0.0.0").knows("gateway.example")  # noqa: S104  # read, not bound
    for bound in ("0.0.0.0", "127.0.0.1"):  # noqa: S104
        listed = HttpHosts(bound, ("Gateway.example",))
        assert listed.knows("gateway.EXAMPLE:8080")
        assert listed.knows("10.1.2.3")
        assert not listed.knows("attacker.example")
    assert HttpHosts("127.0.0.1", ("*",)).knows("attacker.example")
