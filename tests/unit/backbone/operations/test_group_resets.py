"""Whose groups an operator of one workspace can ask about: those that read a topic of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka.group_questions import KnownGroup, Member
from backbone.kafka.our_groups import OurGroups
from backbone.kafka.settings import KafkaSettings
from backbone.operations import group_resets
from backbone.operations.group_resets import GroupResets, Target
from schemas.model.errors import Conflict, NotFound, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Collection

MINE, FOREIGN = "events.mine.n.c", "events.others.n.c"
MEMBER = Member(id="m", client="billing", host="/10.1.2.3")
READS_FOREIGN = KnownGroup("payroll", "STABLE", [MEMBER], [(FOREIGN, 0, 5)])
READS_BOTH = KnownGroup("payroll", "STABLE", [MEMBER], [(FOREIGN, 0, 5), (MINE, 0, 7)])
NOT_COMMITTED = KnownGroup("payroll", "STABLE", [Member(id="m", client="c", host="/h", partitions=[(MINE, 0)])])


def plan(monkeypatch: pytest.MonkeyPatch, known: KnownGroup, visible: Collection[str] | None) -> None:
    monkeypatch.setattr(group_resets, "known_groups", lambda *_, **__: [known])
    resets = GroupResets(KafkaSettings(), OurGroups())
    resets.plan(known.group, Target(earliest=True), topics=[MINE], visible=visible, seconds=1)


@pytest.mark.parametrize("known", [READS_FOREIGN, KnownGroup("payroll", "DEAD"), KnownGroup("payroll", "EMPTY")])
def test_nothing_is_told_of_a_group_that_reads_no_topic_of_the_workspace(
    monkeypatch: pytest.MonkeyPatch, known: KnownGroup
) -> None:
    with pytest.raises(NotFound) as refused:
        plan(monkeypatch, known, [MINE])
    assert "10.1.2.3" not in str(refused.value)


@pytest.mark.parametrize("known", [READS_BOTH, NOT_COMMITTED])
def test_a_group_that_reads_a_topic_of_the_workspace_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, known: KnownGroup
) -> None:
    with pytest.raises(Conflict, match="has members"):
        plan(monkeypatch, known, [MINE])


def test_the_ledgers_group_is_for_administrators(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownGroup(OurGroups().ledger, "STABLE", [MEMBER], [(MINE, 0, 7)])
    with pytest.raises(PermissionDenied, match="Only an administrator"):
        plan(monkeypatch, known, [MINE])
    with pytest.raises(Conflict, match="has members"):
        plan(monkeypatch, known, None)
