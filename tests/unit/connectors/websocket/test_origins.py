from __future__ import annotations

import pytest

from connectors.websocket.server import is_address


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "localhost:8000", "10.1.2.3"])
def test_addresses_are_nobody_elses(host: str) -> None:
    assert is_address(host)


@pytest.mark.parametrize(
    "host", ["attacker.example:8000", "localhost.attacker.example", "127.0.0.1.nip.io", "", "[", "x:y:z"]
)
def test_a_name_may_lead_anywhere(host: str) -> None:
    assert not is_address(host)
