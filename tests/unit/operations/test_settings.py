from __future__ import annotations

import contextlib
import socket

import pytest

from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor.ports import free_port, is_free


def has_ipv6() -> bool:
    """What Python was built for says nothing: many containers have no IPv6."""
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = OperationsSettings()
    for name in ("HEADRACE_DATA_DIR", "HEADRACE_HTTP_HOST", "HEADRACE_HTTP_PORT"):
        monkeypatch.setenv(name, "")
    assert OperationsSettings() == unset


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


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_port_of_an_ipv6_address_is_looked_at_there() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"Port {port} "):
            OperationsSettings(http_host="::1", http_port=port).with_free_ports()
        assert OperationsSettings(http_port=port).with_free_ports().http_port == port


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(_host: str, port: int, **_of: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_a_port_is_free_where_it_is_on_every_address_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        assert not is_free(port, "localhost")
        assert free_port(port, "localhost") != port


def test_a_port_that_was_found_free_is_kept_for_who_asks_for_it() -> None:
    """Until its server has started, others who look for a port must not be given it."""
    port = free_port()
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port


def test_an_address_that_this_machine_does_not_have_does_not_count_beside_one_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, "192.0.2.1", "127.0.0.1")
    assert is_free(free_port(), "localhost")
    assert free_port(None, "localhost")
