"""The fields of an event that filter conditions can look at, by the version of the filter language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from schemas.filters.operators import MISSING
from schemas.model import timestamps

LATEST_VERSION: Literal[2] = 2
"""Of the language; what a new filter of our own API is written in."""


class FilterView(Protocol):
    """What a condition looks at; a decoded event is one. ``time`` is in microseconds since the epoch."""

    @property
    def clientid(self) -> str:
        """The client that published it."""

    @property
    def code(self) -> str:
        """The event type's code."""

    @property
    def id(self) -> str:
        """The producer's id."""

    @property
    def source(self) -> str:
        """CloudEvents source."""

    @property
    def type(self) -> str:
        """CloudEvents type."""

    @property
    def subject(self) -> str | None:
        """CloudEvents subject."""

    @property
    def channel(self) -> str | None:
        """The device or method it happened on."""

    @property
    def time(self) -> int:
        """When it happened."""

    @property
    def dataschema(self) -> str | None:
        """CloudEvents dataschema."""

    @property
    def datacontenttype(self) -> str | None:
        """CloudEvents datacontenttype."""

    def identifier_values(self) -> dict[str, list[str]]:
        """Identifiers by name, each with all of its values."""

    def extension_values(self) -> dict[str, Any]:
        """CloudEvents extensions by name."""

    def data_value(self) -> Any:
        """The data as Python values, as a subscriber would read them from JSON."""


Read = Callable[["FilterView"], Any]
"""Reads one field of an event."""


def _or_missing(value: str | None) -> Any:
    return MISSING if value is None else value


FIELDS: dict[str, Read] = {
    "data": lambda event: event.data_value(),
    "identifiers": lambda event: event.identifier_values(),
    "id": lambda event: event.id,
    "source": lambda event: event.source,
    "type": lambda event: event.type,
    "subject": lambda event: _or_missing(event.subject),
    "channel": lambda event: _or_missing(event.channel),
    "time": lambda event: timestamps.to_text(event.time),
    "dataschema": lambda event: _or_missing(event.dataschema),
    "datacontenttype": lambda event: _or_missing(event.datacontenttype),
    "extensions": lambda event: event.extension_values(),
    "clientid": lambda event: event.clientid,
    "code": lambda event: event.code,
}
"""How a condition reads each field of an event. An index of terms goes by these names, whatever the version."""

OLDER_NAMES = {"source": "clientid", "type": "code"}
"""What a field of version 1 is called in ``FIELDS``."""

VERSIONS: dict[int, dict[str, Read]] = {
    1: {
        name: FIELDS[OLDER_NAMES.get(name, name)]
        for name in ("data", "identifiers", "source", "type", "subject", "channel", "time")
    },
    LATEST_VERSION: {name: read for name, read in FIELDS.items() if name != "code"},
}
"""The fields that a condition may name, by the version of the language."""

FIELDS_IN_VALUE = frozenset({"data", "identifiers", "channel", "extensions"})
"""Those that only the record's value holds; the others are in its headers too."""
