"""Who sees a run, and what a repeat of a request for one is."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from backbone.catalog.view import CatalogView
from backbone.runs.view import KnownRun
from families.headrace.http.dead_letters import LetterSelection
from families.headrace.http.replays import identity
from families.headrace.http.retried_runs import check_complement
from families.headrace.http.runs import RunOutput, may_read
from families.headrace.http.subscriptions import backfill_id
from schemas.model.access import Client, Role
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription
from schemas.model.errors import Conflict
from schemas.model.run import Matched, OffsetRange, Run, RunKind, RunProgress, RunState
from schemas.security.permissions import owner_in
from schemas.security.reading import ReadScope

ADMIN = Client(id="x", workspace="default", name="x", roles=(Role.ADMIN,), created_at=0, updated_at=0)


def test_an_idempotency_key_is_one_in_each_workspace() -> None:
    first, second = (identity(ADMIN, workspace, "key", "DISCARD", "{}") for workspace in ("one", "two"))
    assert first[0] != second[0]
    assert first == identity(ADMIN, "one", "key", "DISCARD", "{}")


def test_a_run_of_an_administrator_is_not_that_of_a_client_with_its_id() -> None:
    """It ran over the dead letters of all of the workspace."""
    client = msgspec.structs.replace(ADMIN, workspace="acme", roles=(Role.SUBSCRIBER,))

    def run_of(caller: Client) -> Run:
        owner = owner_in("acme", caller)
        return Run(id="r", kind=RunKind.REDRIVE, workspace="acme", requested_by=caller.id, owner=owner, created_at=0)

    scope = ReadScope.of(client, [])
    assert may_read(scope, run_of(client))
    assert not may_read(scope, run_of(ADMIN))
    assert may_read(ReadScope(workspace="acme"), run_of(ADMIN))


def test_dead_letters_are_selected_by_a_span_of_time() -> None:
    early, late = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+00:30"
    assert LetterSelection(since=early, until=late).until == late
    for since, until in ((late, early), (early, early)):
        with pytest.raises(ValidationError, match="until must be later than since"):
            LetterSelection(since=since, until=until)


def test_how_many_records_others_have_is_not_shown() -> None:
    def shown(run: Run) -> tuple[int, int, int]:
        progress = RunProgress(
            run="r", state=RunState.RUNNING, looked_at=7, total=21, lost=1, started_at=0, changed_at=0
        )
        found = RunOutput.of(KnownRun(run, progress=progress))
        return found.total, found.looked_at, found.lost

    own = Run(id="r", kind=RunKind.REPLAY, workspace="acme", requested_by="x", created_at=0)
    assert shown(own) == (21, 7, 1)
    assert shown(msgspec.structs.replace(own, matched=Matched.THEN)) == (1_000, 333, 48)
    assert shown(msgspec.structs.replace(own, kind=RunKind.REDRIVE)) == (1_000, 333, 48)
    one = OffsetRange("dead-letters", 0, 3, 4)
    asked = RunOutput.of(KnownRun(msgspec.structs.replace(own, kind=RunKind.DISCARD, ranges=(one,))))
    assert (asked.total, asked.looked_at) == (1_000, 0)


def test_a_backfill_whose_subscription_counts_from_another_time_is_not_gone_on_with() -> None:
    common = {"workspace": "acme", "created_at": 0, "updated_at": 0}
    subscription = Subscription(id="s", event_filter="f", endpoint="hook", **common)
    view = CatalogView()
    view.put(Endpoint(id="hook", name="hook", type=EndpointType.WEB_HOOK, **common), 1)
    view.put(EventFilter(id="f", name="f", types=(), **common), 1)
    view.put(subscription, 100)
    linked = view.subscription("s")
    assert linked is not None
    run = Run(
        id=backfill_id(linked, "earliest"),
        kind=RunKind.BACKFILL,
        workspace="acme",
        endpoint="hook",
        subscriptions=("s",),
        requested_by="x",
        origin="earliest",
        created_at=50,  # by a clock that is behind
    )
    held = msgspec.structs.replace(run, id="held", subscriptions=(), held_since=120, created_at=150)

    check_complement(view, run)
    check_complement(view, held)

    view.put(subscription, 200)
    for each in (run, held):
        with pytest.raises(Conflict, match="Replay the endpoint hook from earliest"):
            check_complement(view, each)
