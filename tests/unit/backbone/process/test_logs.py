from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from backbone.process.logs import REDACTED, JsonFormatter
from backbone.process.request_id import REQUEST_ID


def line(message: str, *args: object, **extra: object) -> dict[str, Any]:
    record = logging.getLogger("a.module").makeRecord(
        "a.module", logging.INFO, "file", 1, message, args, None, extra=extra
    )
    rendered = JsonFormatter("ingest").format(record)
    assert "\n" not in rendered
    parsed: dict[str, Any] = json.loads(rendered)
    return parsed


def test_a_line_names_what_where_and_when() -> None:
    found = line("routed %d events", 3, topic="events.w.events.Offer", offset=7)
    assert found["message"] == "routed 3 events"
    assert (found["plane"], found["logger"], found["level"]) == ("ingest", "a.module", "info")
    assert (found["topic"], found["offset"]) == ("events.w.events.Offer", 7)
    assert found["time"].endswith("+00:00")


@pytest.mark.parametrize(
    "name", ["authorization", "api_key", "Set-Cookie", "signing_secrets", "access-key", "password"]
)
def test_fields_named_like_secrets_are_redacted_at_any_depth(name: str) -> None:
    assert line("x", **{name: "value"})[name] == REDACTED
    assert line("x", request={"headers": {name: "value"}})["request"]["headers"][name] == REDACTED


@pytest.mark.parametrize(
    "text", ["whsec_c2VjcmV0c2VjcmV0", "hrk_abcdefghijkl", "Bearer abcdefgh.ijkl", "eyJhbGciOiJIUzI1NiJ9.e30.abc"]
)
def test_text_that_looks_like_a_credential_is_redacted(text: str) -> None:
    found = line("got %s from a client", text, detail=[text])
    assert found["message"] == f"got {REDACTED} from a client"
    assert found["detail"] == [REDACTED]


def test_a_url_loses_its_password() -> None:
    assert line("at postgresql://me:secret@host/db")["message"] == f"at postgresql://{REDACTED}@host/db"


def test_values_without_json_form_are_printed_as_text() -> None:
    assert line("x", key=b"bytes", error=ValueError("wrong"))["error"] == "wrong"


def test_an_exception_is_one_field() -> None:
    try:
        int("wrong")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "file", 1, "failed", None, sys.exc_info())
    assert "ValueError: invalid literal" in json.loads(JsonFormatter("ingest").format(record))["exception"]


def test_a_line_that_is_written_for_a_request_has_its_id() -> None:
    assert "request_id" not in line("x")
    token = REQUEST_ID.set("r-1")
    try:
        assert line("x")["request_id"] == "r-1"
    finally:
        REQUEST_ID.reset(token)
