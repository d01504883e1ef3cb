from __future__ import annotations

import socket

import pytest

from operations.errors import CannotStart
from operations.settings import OperationsSettings


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(CannotStart, match=f"cannot listen on {host}"):
        OperationsSettings(http_host=host).with_free_ports()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),  # noqa: S104 - not bound
        ("::", "http://[::1]:81"),
        ("::1", "http://[::1]:81"),
        ("gateway.example", "http://gateway.example:81"),
    ],
)
def test_where_it_is_reached_from_this_machine(host: str, url: str) -> None:
    assert OperationsSettings(http_host=host, http_port=81).base_url == url


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_port_of_an_ipv6_address_is_looked_at_there() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"Port {port} "):
            OperationsSettings(http_host="::1", http_port=port).with_free_ports()
        assert OperationsSettings(http_port=port).with_free_ports().http_port == port
