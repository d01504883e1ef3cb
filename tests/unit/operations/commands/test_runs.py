"""What the commands that send again say and ask, on an API that answers as told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import typer

from operations.commands import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {
    "id": "run-1",
    "kind": "REPLAY",
    "state": "DONE",
    "dry_run": False,
    "deliveries": 1_200,
    "looked_at": 5_000,
    "total": 5_000,
    "skipped": {"disabled": 3},
    "lost": 0,
    "reason": None,
}


class Api:
    """Answers each call with the next of the given states."""

    def __init__(self, *states: str, **members: Any) -> None:
        self._states: Iterator[str] = iter(states)
        self._members = members
        self.posted: list[tuple[str, Any]] = []

    async def post(self, path: str, body: Any = None, **_query: str) -> dict[str, Any]:
        self.posted.append((path, body))
        return self._next(body)

    async def items(self, _path: str, _limit: int, **_query: str) -> list[msgspec.Raw]:
        return [msgspec.Raw(msgspec.json.encode(self._next({})))]

    async def get(self, _path: str) -> dict[str, Any]:
        return self._next({})

    def _next(self, body: Any) -> dict[str, Any]:
        return RUN | self._members | {"state": next(self._states), "dry_run": bool(body and body.get("dry_run"))}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_POLL", 0)


def replay(api: Api, **options: bool) -> None:
    given = {"dry_run": False, "yes": False, "follow": False, "as_json": False}
    asyncio.run(runs.asked_first(api, "/replay", {"from": "earliest"}, **given | options))  # type: ignore[arg-type]  # a double


def test_it_counts_and_asks_before_it_sends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(runs, "confirm", asked.append)
    api = Api("RUNNING", "DONE", "WAITING")
    replay(api)
    assert api.posted == [
        ("/replay", {"from": "earliest", "dry_run": True}),
        ("/replay", {"from": "earliest", "dry_run": False}),
    ]
    (question,) = asked
    assert question.endswith("Send them?")
    said = capsys.readouterr()
    assert "Run run-1 is WAITING" in said.out
    assert "headrace runs follow run-1" in said.err


def test_without_an_answer_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_question: str) -> None:
        raise typer.Abort

    monkeypatch.setattr(runs, "confirm", no)
    api = Api("DONE")
    with pytest.raises(typer.Abort):
        replay(api)
    assert [body["dry_run"] for _, body in api.posted] == [True]


def test_a_dry_run_only_counts(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api("RUNNING", "RUNNING", "DONE")
    replay(api, dry_run=True)
    assert [body["dry_run"] for _, body in api.posted] == [True]
    assert "1,200, and looked at 5,000 of 5,000. 3 left out: disabled." in capsys.readouterr().out


def test_of_topics_that_all_share_it_tells_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    replay(Api("DONE", "DONE", kind="REDRIVE", looked_at=500, total=1_000, lost=1), dry_run=True)
    assert "and looked at 50 % of its range. 3 left out: disabled. Retention took some" in capsys.readouterr().out


def test_a_list_tells_it_likewise_and_json_as_the_api_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    list_runs = runs.list_runs.__wrapped__  # type: ignore[attr-defined]  # of the command
    asyncio.run(list_runs(Api("RUNNING", kind="REDRIVE", looked_at=500, total=1_000)))
    asyncio.run(list_runs(Api("DONE")))
    told = capsys.readouterr().out
    assert "50 % of its range" in told
    assert "5,000 of 5,000" in told
    asyncio.run(list_runs(Api("DONE"), as_json=True))
    assert '"looked_at": 5000' in capsys.readouterr().out


def test_who_says_yes_is_not_asked() -> None:
    api = Api("RUNNING", "RUNNING", "DONE")
    replay(api, yes=True, follow=True)
    assert [body["dry_run"] for _, body in api.posted] == [False]


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED"])
def test_a_run_that_did_not_come_to_its_end_fails(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        replay(Api("RUNNING", state, reason="retention"), yes=True, follow=True)
    assert ended.value.exit_code == 1
    assert f"did not come to its end: {state}. retention" in capsys.readouterr().err


def test_a_count_that_failed_is_not_gone_on_with() -> None:
    api = Api("FAILED")
    with pytest.raises(typer.Exit):
        replay(api)
    assert len(api.posted) == 1
