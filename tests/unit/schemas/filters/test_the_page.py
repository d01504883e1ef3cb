"""Every example of ``docs/filters.md`` does what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from schemas.avro.layout import parse_json
from schemas.filters.conditions import compile_condition
from schemas.filters.fields import LATEST_VERSION, VERSIONS
from schemas.model import timestamps
from schemas.model.errors import InvalidFilter

PAGE = (Path(__file__).parents[4] / "docs" / "filters.md").read_text(encoding="utf-8")

_CORE = {"specversion", "id", "type", "source", "subject", "time", "channel", "data", "dataschema", "datacontenttype"}


class Sample:
    """An event of the page, as conditions see it."""

    def __init__(self, clientid: str, text: str) -> None:
        members: dict[str, Any] = parse_json(text)
        self.clientid = clientid
        self.id: str = members["id"]
        self.source: str = members["source"]
        self.type = self.code = members["type"]
        self.subject: str | None = members.get("subject")
        self.channel: str | None = members.get("channel")
        self.time = timestamps.parse(members["time"])
        self.dataschema: str | None = members.get("dataschema")
        self.datacontenttype: str | None = members.get("datacontenttype")
        self._data = members["data"]
        self._extensions = {name: value for name, value in members.items() if name not in _CORE}

    def identifier_values(self) -> dict[str, list[str]]:
        return {}

    def extension_values(self) -> dict[str, Any]:
        return self._extensions

    def data_value(self) -> Any:
        return self._data


class Example(NamedTuple):
    number: int
    condition: str
    matches: set[str]


SAMPLES = {
    name: Sample(client, text)
    for name, client, text in re.findall(
        r"^`(\w+)`, published by the client `(\w+)`:\n\n```json\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL
    )
}
EXAMPLES = [
    Example(int(number), condition, {name.strip() for name in matches.split(",") if name.strip()})
    for number, condition, matches in re.findall(r"^\| (\d+) \| .+? \| `(\{.*\})` \| (.*?) ?\|$", PAGE, re.MULTILINE)
]
REFUSED = re.findall(r"^\| `(\{.*\})` \| (\$.*?) \|$", PAGE, re.MULTILINE)


def test_the_examples_are_numbered_without_a_gap() -> None:
    assert [each.number for each in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
    assert len(EXAMPLES) >= 30
    assert len(REFUSED) >= 9
    assert set(SAMPLES) == {"paid", "new", "refund", "ping"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"example {example.number}")
def test_an_example_matches_what_the_page_says_and_nothing_else(example: Example) -> None:
    condition = compile_condition(example.condition)
    assert {name for name, sample in SAMPLES.items() if condition.matches(sample)} == example.matches


@pytest.mark.parametrize(("condition", "told"), REFUSED)
def test_what_is_refused_is_told_so(condition: str, told: str) -> None:
    with pytest.raises(InvalidFilter) as refused:
        compile_condition(condition)
    assert str(refused.value).startswith(told)


def test_every_operator_and_every_field_is_on_the_page() -> None:
    used = set(re.findall(r'"(in|prefix|suffix|anything-but|numeric|exists|\$and|\$or|\$not)":', PAGE))
    assert used == {"in", "prefix", "suffix", "anything-but", "numeric", "exists", "$and", "$or", "$not"}
    listed = re.findall(r"`(\w+)`", PAGE.partition("There are `data`")[2].partition("`identifiers` are those")[0])
    assert {"data", *listed} == set(VERSIONS[LATEST_VERSION])


def test_the_examples_are_json_that_people_can_paste() -> None:
    for example in EXAMPLES:
        json.loads(example.condition)
