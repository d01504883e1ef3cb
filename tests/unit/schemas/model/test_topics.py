from __future__ import annotations

import pytest

from schemas.model import topics
from schemas.model.topics import MAX_TOPIC_LENGTH, event_topic, namespace_of


@pytest.mark.parametrize("namespace", ["shipments", "a.b_c", "Größe", "x-1", "雪", "_5f"])
def test_a_topic_tells_its_namespace(namespace: str) -> None:
    assert namespace_of(event_topic("org_1", namespace, "updated")) == namespace
    assert namespace_of(event_topic("org_1", namespace, "x" * MAX_TOPIC_LENGTH)) == namespace


def test_a_topic_that_was_cut_off_before_it_said_its_namespace_tells_none() -> None:
    assert namespace_of(event_topic("org_1", "x" * MAX_TOPIC_LENGTH, "updated")) is None
    assert namespace_of("") is None


def test_names_that_no_event_type_can_have_are_not_remembered() -> None:
    # Callers choose what they ask for: texts of megabytes must not stay in memory.
    event_topic("w", "events", "asked for")
    before = topics._event_topic.cache_info().currsize

    assert event_topic("w", "events", "x" * 1_000) == event_topic("w", "events", "x" * 1_000)
    assert topics._event_topic.cache_info().currsize == before
