"""What the commands print of topics and groups, on an API that answers as told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from operations.commands import figures

GROUP = {"ours": False, "state": "STABLE", "members": 1, "topics": ["t"], "approximate": False}
GROUPS = [
    GROUP | {"group": "well", "lag": 0, "lag_seconds": 0.0},
    GROUP | {"group": "behind", "lag": 12_345, "lag_seconds": 95.0, "ours": True},
    GROUP | {"group": "further", "lag": 2, "lag_seconds": 900.0, "approximate": True},
    GROUP | {"group": "new", "lag": None, "lag_seconds": None},
]
PARTITION = {"partition": 0, "first_offset": 0, "end_offset": 9, "events_per_second": 4.0, "share": 0.5, "bytes": 1_500}
TOPIC = {
    "partition_list": [PARTITION | {"leader": None, "replicas": 3, "in_sync": 2}],
    "groups": [GROUP | {"group": "behind", "lag": 3, "lag_seconds": 5.0}],
    "hot_keys": [{"key": "customer-1", "share": 0.18}],
    "advice": {"partitions": 12, "because": "3 → 12: measured"},
}


class Api:
    """Has these figures."""

    def __init__(self, age: float | None = 3.0) -> None:
        self._age = age
        self.asked: list[str] = []

    async def items(self, path: str, _most: int, **_query: str) -> list[msgspec.Raw]:
        self.asked.append(path)
        return [msgspec.Raw(json.dumps(each).encode()) for each in GROUPS]

    async def text(self, path: str) -> bytes:
        self.asked.append(path)
        return json.dumps(TOPIC).encode()

    async def get(self, _path: str) -> dict[str, Any]:
        return {"age_seconds": self._age}


def run(command: Any, api: Api, *arguments: str, **options: Any) -> None:
    asyncio.run(command.__wrapped__(api, *arguments, as_json=options.pop("as_json", False), **options))


def test_lag_lists_who_is_behind_the_furthest_first(capsys: pytest.CaptureFixture[str]) -> None:
    run(figures.lag, Api(), group=None, topic=None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["group", "further", "behind", "new"]
    assert lines[1][-3:] == ["about", "15", "min"]
    assert lines[2] == ["behind", "Headrace", "STABLE", "1", "1", "12,345", "95", "s"]


def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    run(figures.lag, Api(), group=None, topic=None, as_json=True)
    assert [each["group"] for each in json.loads(capsys.readouterr().out)] == ["further", "behind", "new"]


def test_partitions_shows_readers_hot_keys_and_the_advice(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api()
    run(figures.partitions, api, "events/a")
    said = capsys.readouterr().out
    assert api.asked == ["/operations/topics/events%2Fa"]
    assert ["0", "0", "9", "4.0", "50%", "1.5", "kB", "none", "2/3"] in [line.split() for line in said.splitlines()]
    for text in ("customer-1", "18%", "Advice: 3 → 12: measured", "behind"):
        assert text in said


@pytest.mark.parametrize(("age", "told"), [(3.0, ""), (600.0, "10 min old"), (None, "There are no figures yet")])
def test_old_figures_are_told(capsys: pytest.CaptureFixture[str], age: float | None, told: str) -> None:
    run(figures.groups, Api(age), topic=None, limit=10)
    error = capsys.readouterr().err
    assert (told in error) if told else error == ""
