"""Event types whose topic is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from operations.doctor.type_topics import of_types


def catalog(*codes: str) -> Any:
    """A catalog with one workspace that has types of these codes."""
    types = [
        SimpleNamespace(workspace="acme", namespace="events", code=code, topic=f"events.acme.events.{code}")
        for code in codes
    ]
    return SimpleNamespace(workspaces=lambda: [SimpleNamespace(name="acme")], event_types=lambda _workspace: types)


def test_types_that_have_their_topics_are_fine() -> None:
    assert list(of_types(catalog("a", "b"), {"events.acme.events.a", "events.acme.events.b", "catalog"})) == []


def test_a_topic_that_was_deleted_is_named_with_the_command_that_makes_it() -> None:
    (found,) = of_types(catalog("a", "b"), {"events.acme.events.a"})
    assert (found.cause, found.severity) == ("missing-topic", "fault")
    assert "events.acme.events.b" in found.what
    assert "events.acme.events.a" not in found.what
    assert "headrace types create events/b --workspace acme" in found.cure


def test_of_many_a_few_are_named() -> None:
    (found,) = of_types(catalog(*(f"t{number}" for number in range(8))), set())
    assert "topic: 8." in found.what
    assert found.what.endswith("t4 ….")
