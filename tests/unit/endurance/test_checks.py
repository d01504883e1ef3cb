"""The verdict of the endurance programs: each kind of damage is found, and a seed decides the plan."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.endurance import soak
from tests.endurance.chaos import plan
from tests.endurance.checks import Evidence, verdict
from tests.endurance.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = ("events.default.events.Load", 0)
PLACES = ("socket", "files", "ledger", "webhook steady", "webhook poor", "webhook gone")


def evidence(**changes: Any) -> Evidence:
    """Of two accepted events that arrived everywhere, unless told otherwise."""
    found: dict[str, Any] = {
        "accepted": {"a", "b"},
        "refused": {"c"},
        "topic": Counter("ab"),
        "ends": {PLACE: 2},
        "receipts": {PLACE: [(0, 1), (1, 2)]},
        "places": {name: Counter("ab") for name in PLACES},
        "deliveries": {("steady", "a"): {"msg_1"}},
    }
    return Evidence(**found | changes)


def place(name: str, tokens: str) -> Callable[[], Evidence]:
    return lambda: evidence(places={each: Counter(tokens if each == name else "ab") for each in PLACES})


@pytest.mark.parametrize(
    "harmless",
    [
        evidence,
        place("webhook steady", "aab"),
        place("webhook gone", "a"),
        lambda: evidence(
            topic=Counter("abc"),
            places={name: Counter("abc") for name in PLACES},
        ),
    ],
)
def test_what_is_promised_to_happen_is_no_damage(harmless: Callable[[], Evidence]) -> None:
    assert verdict(harmless()) == []


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (lambda: evidence(topic=Counter("a")), "1 missing in the topic: ['b']"),
        (lambda: evidence(topic=Counter("aab")), "1 several times in the topic: ['a']"),
        (
            lambda: evidence(topic=Counter("abcc"), places={name: Counter("abc") for name in PLACES}),
            "1 several times in the topic: ['c']",
        ),
        (lambda: evidence(topic=Counter("abc")), "1 missing in socket: ['c']"),
        (lambda: evidence(receipts={PLACE: [(1, 2)]}), "gap at 0..1"),
        (lambda: evidence(receipts={PLACE: [(0, 2), (1, 2)]}), "overlap at 2..1"),
        (lambda: evidence(receipts={PLACE: [(0, 1)]}), "end at 1, its records at 2"),
        (lambda: evidence(receipts={}), "end at 0, its records at 2"),
        (place("webhook poor", "a"), "1 missing in webhook poor: ['b']"),
        (place("files", "aab"), "1 several times in files: ['a']"),
        (place("socket", "b"), "1 missing in socket: ['a']"),
        (place("ledger", ""), "2 missing in ledger"),
        (lambda: evidence(deliveries={("steady", "a"): {"msg_1", "msg_2"}}), "came with several ids: ['steady a']"),
        (lambda: evidence(after_gone=3), "3 requests after a 410"),
        (lambda: evidence(unrecovered=1), "1 subscriptions were not recovered"),
        (lambda: evidence(unbalanced=["1 more"]), "the_balance_is_zero: 1 more"),
        (lambda: evidence(server_errors={"own 500": 2}), "answered own 500: 2 times"),
        (lambda: evidence(troubles=["files does not start"]), "files does not start"),
    ],
)
def test_damage_is_found(damaged: Callable[[], Evidence], said: str) -> None:
    assert any(said in line for line in verdict(damaged())), verdict(damaged())


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_seed_decides_the_plan(brokers: int) -> None:
    assert plan(7, 30, brokers=brokers) == plan(7, 30, brokers=brokers)
    assert plan(7, 30, brokers=brokers) != plan(8, 30, brokers=brokers)
    kinds = {type(each.fault) for faults in plan(7, 300, brokers=brokers) for each in faults}
    assert kinds == {each for each in FAULTS if brokers in each.brokers}


def test_no_two_faults_of_a_round_have_one_target() -> None:
    for faults in plan(7, 300):
        targets = [each.fault.target for each in faults]
        assert len(targets) == len(set(targets))


def test_growth_and_waiting_are_found() -> None:
    calm = soak.Sample({"ingest": 100 * soak.MIB}, {"ingest": 50}, {}, 0.5)
    grown = soak.Sample({"ingest": 158 * soak.MIB}, {"ingest": 83}, {"files": 1}, 61.0)
    assert [line for limit in soak.LIMITS for line in limit([calm, calm])] == []
    assert [line for limit in soak.LIMITS for line in limit([calm, grown])] == [
        "ingest grew from 100 to 158 MiB",
        "ingest: 50 to 83 open files",
        "an event waited 61 s",
    ]
