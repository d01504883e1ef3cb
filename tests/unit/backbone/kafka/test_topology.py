"""What is said at a start about how Kafka keeps records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka import admin as admin_module
from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics_now

if TYPE_CHECKING:
    from collections.abc import Sequence


class Asked:
    """An admin that has every topic."""

    def __init__(self, copies: int, brokers: int, *, unrestricted: bool = False) -> None:
        self.settings = KafkaSettings()
        self._least = (copies, brokers)
        self._unrestricted = unrestricted

    def is_unrestricted_now(self) -> bool:
        return self._unrestricted

    def ensure_topics_now(self, _specs: Sequence[Any]) -> frozenset[str]:
        return frozenset()

    def least_copies_now(self, _topic: str) -> tuple[int, int]:
        return self._least


@pytest.mark.parametrize("unrestricted", [True, False])
def test_who_starts_is_warned_of_a_kafka_that_takes_everything_from_everybody(
    caplog: pytest.LogCaptureFixture, *, unrestricted: bool
) -> None:
    ensure_internal_topics_now(Asked(1, 1, unrestricted=unrestricted))  # type: ignore[arg-type]  # as much of it as is used
    assert ("no authorizer" in caplog.text) == unrestricted


@pytest.mark.parametrize(("copies", "brokers", "warns"), [(1, 3, True), (2, 3, False), (1, 1, False)])
def test_who_starts_is_warned_when_acknowledged_by_all_can_be_one_copy(
    copies: int, brokers: int, *, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_internal_topics_now(Asked(copies, brokers))  # type: ignore[arg-type]  # as much of it as is used
    assert ["min.insync.replicas is 1" in each.message for each in caplog.records] == [True] * warns


@pytest.mark.parametrize(("copies", "expected"), [(0, {}), (2, {"min.insync.replicas": "2"})])
def test_new_topics_have_as_many_copies_as_the_installation_says(
    copies: int, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Client:
        def __init__(self, _config: Any) -> None: ...

        def create_topics(self, new: list[Any], **_options: Any) -> dict[str, Any]:
            made.extend(new)
            return {}

    monkeypatch.setattr(admin_module, "AdminClient", Client)
    admin = Admin(KafkaSettings(HEADRACE_KAFKA_MIN_INSYNC_REPLICAS=copies))
    monkeypatch.setattr(admin, "partition_counts_now", dict)
    monkeypatch.setattr(admin, "_wait_for_leaders", dict)
    admin.ensure_topics_now([admin_module.TopicSpec("t", 1)])
    assert [each.config for each in made] == [expected]
