"""Structured logs: one JSON object a line on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from backbone.process.request_id import REQUEST_ID
from backbone.process.variables import unknown

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
"""What is logged at least, in any case (``HEADRACE_LOG_LEVEL``)."""

REDACTED = "[redacted]"

_SECRET_FIELD = re.compile(
    r"authorization|cookie|password|passwd|secret|token|api[-_]?key|access[-_]?key|admin[-_]?key|signature",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"\b(?:whsec_|hrk_|hra_|(?i:bearer|basic)\s+|eyJ)[A-Za-z0-9+/=_.-]{8,}|(?<=://)[^/@\s:]*+:[^/@\s]++(?=@)"
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def start(plane: str, level: LogLevel = "INFO") -> None:
    """Configure the logs of a plane that starts, and warn of variables that it does not know."""
    configure(plane, level)
    for sentence in unknown(os.environ):
        logging.getLogger(__name__).warning(sentence)


def configure(plane: str, level: LogLevel = "INFO") -> None:
    """Send everything logged in this process to standard error as JSON lines that name the plane.

    What a call passes as ``extra`` becomes fields of the line. Fields that are named like a secret, and text that looks
    like one of our credentials, are redacted.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(plane))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, plane, logger, message, request id, the extra fields."""

    def __init__(self, plane: str) -> None:
        super().__init__()
        self._plane = plane

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "plane": self._plane,
            "process": record.process,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = _text(request_id)
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name if name not in line else f"{name}_"] = _redact(name, value)
        if record.exc_info:
            line["exception"] = _text(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _text(record.stack_info)
        return json.dumps(line, default=_fallback, ensure_ascii=False)


def _redact(name: str, value: Any) -> Any:
    if _SECRET_FIELD.search(name) and isinstance(value, str | bytes | list | tuple | set | dict):
        return REDACTED
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {str(key): _redact(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact("", inner) for inner in value]
    return value


def _text(text: str) -> str:
    return _SECRET_TEXT.sub(REDACTED, text)


def _fallback(value: Any) -> str:
    return _text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
