"""Signing the records of before, with a writer that holds everything in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone.catalog.authenticity import Authenticity
from backbone.catalog.macs import MacKeys
from backbone.catalog.takeover import take_over
from backbone.catalog.view import CatalogView
from schemas.model.access import Client
from schemas.model.errors import PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from backbone.catalog.writer import Changes

LARGE = "large"


class Installation:
    """A catalog, and the writer that changes it at once."""

    def __init__(self, *names: str) -> None:
        self.view = CatalogView()
        self.authenticity = Authenticity(MacKeys(["a secret key of some length"]))
        self.writes: list[int] = []
        for name in names:
            client = Client(id=name, workspace="acme", name=name, created_at=0, updated_at=0)
            self.view.put(client, 0)
            self.authenticity.unsigned[client.key] = None

    async def caught_up(self) -> None: ...

    async def write(self, decide: Callable[[CatalogView], Changes[Any]]) -> Any:
        changes = decide(self.view)
        if any(each.key == f"client/{LARGE}" for each in changes.put):
            raise PayloadTooLarge("too large")
        self.writes.append(len(changes.put))
        for each in changes.put:
            self.authenticity.sequence += 1
            self.view.put(each, 0)
            self.authenticity.unsigned.pop(each.key, None)
            self.authenticity.apply_marker(each if each.key.startswith("family_record") else None)
        return changes.result


async def take_over_with(installation: Installation) -> None:
    await take_over(installation, installation)  # type: ignore[arg-type]  # as much of both as is used


async def test_everything_is_signed_between_two_markers() -> None:
    installation = Installation("alice", "bob")
    await take_over_with(installation)
    assert installation.writes == [1, 2, 1]
    assert installation.authenticity.complete
    await take_over_with(installation)
    assert installation.writes == [1, 2, 1]


async def test_a_record_that_is_too_large_with_a_mac_holds_up_nothing_and_counts_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    installation = Installation("alice", LARGE, "bob")
    await take_over_with(installation)
    assert list(installation.authenticity.unsigned) == [f"client/{LARGE}"]
    assert not installation.authenticity.complete
    assert "too large to be signed" in caplog.text
