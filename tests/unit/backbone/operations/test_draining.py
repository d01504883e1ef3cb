"""Which groups a growth waits for, and how far they are behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from backbone.catalog.view import CatalogView
from backbone.kafka.group_questions import KnownGroup, Member
from backbone.kafka.our_groups import OurGroups
from backbone.operations import draining
from backbone.operations.draining import Draining
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.event_type import EventType

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin

TIMES: dict[str, Any] = {"created_at": 0, "updated_at": 0}
OFFER = EventType(workspace="w", namespace="n", code="Offer", effective_partitions=2, schema_id=1, **TIMES)
ENDS = {(OFFER.topic, 0): 10, (OFFER.topic, 1): 5}
READER = Member("m", "c", "h", [(OFFER.topic, 0), (OFFER.topic, 1)])


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> dict[Any, bool]:
    """Partitions that have nothing but marks of transactions where a group stands."""
    found: dict[Any, bool] = {}
    monkeypatch.setattr(draining, "readable", lambda _config, places: {each: found.get(each, True) for each in places})
    return found


def behind(monkeypatch: pytest.MonkeyPatch, router: KnownGroup, ledger: KnownGroup, *, subscribed: bool) -> Any:
    monkeypatch.setattr(draining, "known_groups", lambda _settings, _names: [router, ledger])
    view = CatalogView()
    view.put(OFFER, 0)
    if subscribed:
        view.put(Endpoint(id="e", workspace="w", name="e", type=EndpointType.FILE, **TIMES), 0)
        types = (TypeSelection(namespace="n", code="Offer"),)
        view.put(EventFilter(id="f", workspace="w", name="f", types=types, **TIMES), 0)
        view.put(Subscription(id="s", workspace="w", event_filter="f", endpoint="e", **TIMES), 0)
    admin = type("Admin", (), {"settings": type("Settings", (), {"client_config": dict})})
    groups = OurGroups(router="headrace-router", ledger="headrace-ledger")
    return Draining(cast("Admin", admin), groups).behind(view, OFFER, ENDS)


def group(name: str, *offsets: int, members: list[Member] | None = None) -> KnownGroup:
    placed = [(OFFER.topic, number, offset) for number, offset in enumerate(offsets)]
    return KnownGroup(f"headrace-{name}", "STABLE", members or [], placed)


@pytest.mark.usefixtures("readable")
def test_the_router_is_waited_for_where_it_has_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    router, ledger = group("router", 10, 2), group("ledger")
    assert behind(monkeypatch, router, ledger, subscribed=True) == {"headrace-router": 3}
    assert behind(monkeypatch, router, ledger, subscribed=False) == {}
    assert behind(monkeypatch, group("router", 10, 5), ledger, subscribed=True) == {}


@pytest.mark.usefixtures("readable")
def test_who_reads_the_topic_is_waited_for_without_subscriptions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    router, ledger = group("router", 10, 2, members=[READER]), group("ledger", 9, 5, members=[READER])
    assert behind(monkeypatch, router, ledger, subscribed=False) == {"headrace-router": 3, "headrace-ledger": 1}


@pytest.mark.usefixtures("readable")
def test_a_router_that_never_committed_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert behind(monkeypatch, group("router"), group("ledger"), subscribed=True) == {"headrace-router": 15}


def test_marks_of_transactions_are_not_waited_for(monkeypatch: pytest.MonkeyPatch, readable: dict[Any, bool]) -> None:
    readable[OFFER.topic, 1] = False
    assert behind(monkeypatch, group("router", 10, 4), group("ledger"), subscribed=True) == {}
