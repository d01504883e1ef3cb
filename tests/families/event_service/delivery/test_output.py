"""What the event service shows of an event, and how its filters are kept."""

from __future__ import annotations

import json

import msgspec
import pytest

from families.event_service.delivery.output import date_text, event_output, places
from families.event_service.model import ConditionFields
from schemas.filters.conditions import compile_condition


def test_dates_have_six_digits_and_an_offset() -> None:
    assert date_text(1_716_368_123_460_103) == "2024-05-22T08:55:23.460103+00:00"
    assert date_text(0) == "1970-01-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"cameraId": "c", "agentId": 7}', ("c", "7")),
        (b'{"cameraId": true, "agentId": 1.5}', (None, None)),
        (b"{}", (None, None)),
        (b"[1]", (None, None)),
        (b"[" * 100_000, (None, None)),
    ],
)
def test_camera_and_agent_are_ids_in_the_data(data: bytes, found: tuple[str | None, str | None]) -> None:
    assert places(data) == found


def test_data_goes_out_as_it_was_published() -> None:
    shown = event_output(event_id="e", code="HAR", time=0, received_at=1, data=b'{"n": 1.50}', workspace_id="w")
    text = msgspec.json.encode(shown)
    assert text.startswith(b'{"id":"e","date":"1970-01-01T00:00:00.000000+00:00","creationDate":')
    assert text.endswith(b'"workspaceId":"w","data":{"n": 1.50}}')


def test_nothing_given_restricts_nothing() -> None:
    fields = ConditionFields(camera_ids=())
    assert fields.condition() is None
    assert [(each.namespace, each.code) for each in fields.selections()] == [("*", "*")]
    assert fields.to_json() == {}


def test_conditions_are_in_the_filter_language() -> None:
    fields = ConditionFields(camera_ids=("c",), agent_ids=("a", "b"), profile_group_ids=("g",), event_types=("T", "T"))
    condition = fields.condition() or ""
    compile_condition(condition)
    assert json.loads(condition) == {
        "data": {"cameraId": ["c"], "agentId": ["a", "b"]},
        "$or": [{"data": {"profileGroupIds": ["g"]}}, {"data": {"profileGroupId": ["g"]}}],
    }
    assert [(each.namespace, each.code) for each in fields.selections()] == [("*", "T")]
