from __future__ import annotations

import pytest

from operations.errors import CallFailed, Unreachable
from operations.telling import telling

PROBLEM = (
    '{"type":"about:blank","title":"Bad Request","status":400,"detail":"The endpoint is not valid.",'
    '"errors":[{"path":"$.url","message":"is for webhooks, not for FILE"}]}'
)


def test_a_refusal_tells_the_problem_and_its_places() -> None:
    error = CallFailed("POST http://x/headrace/v1/endpoints", 400, PROBLEM)
    assert str(error).splitlines() == [
        "POST http://x/headrace/v1/endpoints was answered 400: The endpoint is not valid.",
        "  $.url: is for webhooks, not for FILE",
    ]


def test_a_refusal_that_is_no_problem_document_is_told_as_it_is() -> None:
    for text in ("<html>", "[]", '{"detail":1,"errors":[1]}', ""):
        assert str(CallFailed("GET x", 502, text)) == f"GET x was answered 502: {text}"
    assert len(str(CallFailed("GET x", 502, "x" * 10_000))) < 600


def test_a_key_that_is_not_good_says_where_keys_are_given() -> None:
    assert "--key" in str(CallFailed("GET x", 401, '{"detail":"Unknown."}')).splitlines()[-1]


@pytest.mark.parametrize(("error", "status"), [(CallFailed("GET x", 404, "{}"), 1), (Unreachable("http://x"), 3)])
def test_exit_codes(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, telling():
        raise error
    assert ended.value.code == status
    assert capsys.readouterr().err.strip() == str(error)
