"""What asks for no credential is shown by our own names only: a web page may come from another that leads here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from pathlib import Path

REBOUND = {"Host": "attacker.example:8080"}
SUBJECTS = "/schema-registry/subjects"


async def test_an_open_registry_asks_for_a_key_by_the_name_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    async with local.client(None) as http:
        assert (await http.get(SUBJECTS)).status_code == 200
        refused = await http.get(SUBJECTS, headers=REBOUND)
    async with local.client() as http:
        with_key = await http.get(SUBJECTS, headers=REBOUND)
    assert (refused.status_code, with_key.status_code) == (401, 200)
    assert "HEADRACE_HTTP_HOSTS" in refused.text


@pytest.mark.parametrize(("path", "status"), [("/metrics", 421), ("/healthz", 200), ("/openapi.json", 200)])
async def test_only_what_shows_something_of_ours_looks_at_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    async with local.client(None) as http:
        assert (await http.get(path)).status_code == 200
        assert (await http.get(path, headers=REBOUND)).status_code == status


async def test_a_name_that_is_listed_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = await local_gateway(tmp_path, monkeypatch, HEADRACE_HTTP_HOSTS="gateway.example, attacker.example").begin()
    async with local.client(None) as http:
        for path in (SUBJECTS, "/metrics"):
            assert (await http.get(path, headers=REBOUND)).status_code == 200
