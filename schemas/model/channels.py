"""Realtime channels: their names, and which one a WEB_SOCKET endpoint's events go to.

A channel is a name that clients of one workspace subscribe to. Its *key*, on ``deliveries.websocket``, is unique over
all workspaces: an endpoint's own channel is its key as it is, for endpoint ids are unique; any other name is prefixed
with the workspace, so that no template of one tenant can reach the clients of another.
"""

from __future__ import annotations

import functools
import re
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from schemas.model import numbers
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.topics import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.model.endpoint import Endpoint

TEMPLATE = "channel"
"""The endpoint option that holds the template."""

MAX_LENGTH = 255
"""Characters, as in the Centrifugo protocol's default."""

_OWN = "endpoint:"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FIELDS = {
    "namespace": "namespace",
    "type": "code",
    "source": "clientid",
    "clientid": "clientid",
    "subject": "subject",
}
"""A placeholder's name to what it reads: a stored template means what it meant before events had other sources."""


class EventView(Protocol):
    """What a template can look at."""

    @property
    def namespace(self) -> str | None:
        """The event type's namespace."""

    @property
    def code(self) -> str:
        """The event type's code."""

    @property
    def clientid(self) -> str:
        """Id of the client that published it."""

    @property
    def subject(self) -> str | None:
        """CloudEvents subject."""

    def identifier_values(self) -> dict[str, list[str]]:
        """Whom or what it is about: identifiers by name, each with all of its values."""

    def data_value(self) -> Any:
        """The data as Python values."""


def own_channel(endpoint_id: str) -> str:
    """The channel of an endpoint without a template."""
    return f"{_OWN}{endpoint_id}"


def endpoint_of(channel: str) -> str | None:
    """The id of the endpoint whose own channel this is; None for any other channel."""
    return channel[len(_OWN) :] if channel.startswith(_OWN) else None


def channel_key(workspace: str, channel: str) -> bytes:
    """The key of a channel's records, from the name that the clients of a workspace know."""
    return (channel if channel.startswith(_OWN) else f"{escape(workspace)}/{channel}").encode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that librdkafka's default partitioner gives a key: where a channel's records will be."""
    return zlib.crc32(key) % partitions


class ChannelTemplate:
    """A channel name with placeholders for what an event says.

    There is ``{namespace}``, ``{type}`` (the code), ``{clientid}`` or ``{source}`` (the client that published),
    ``{subject}``, ``{identifiers.<name>}`` (CloudEvents extensions too) and ``{data.<path>}``.

    Raises:
        InvalidRequest: an unknown placeholder, an unmatched brace, nothing at all, or a name that is reserved for the
            endpoints' own channels.
    """

    def __init__(self, text: str) -> None:
        literal = _PLACEHOLDER.sub("", text)
        if not text or len(text) > MAX_LENGTH or "{" in literal or "}" in literal:
            raise _invalid(f"must be 1 to {MAX_LENGTH} characters, with every brace part of a placeholder")
        if text.startswith(_OWN):
            raise _invalid(f"must not begin with {_OWN!r}, the endpoints' own channels")
        # Literal text and placeholders by turns.
        parts = _PLACEHOLDER.split(text)
        self._literals = parts[::2]
        self._values = [_reader(name) for name in parts[1::2]]

    def render(self, event: EventView) -> str | None:
        """The channel of an event; None when a value is missing, is no scalar, or makes an unusable name."""
        name = self._literals[0]
        for read, literal in zip(self._values, self._literals[1:], strict=True):
            value = _text(read(event))
            if value is None:
                return None
            name += value + literal
        return None if len(name) > MAX_LENGTH or name.startswith(_OWN) else name


def delivery_channel(endpoint: Endpoint, event: EventView) -> bytes:
    """The key of an event's delivery to a WEB_SOCKET endpoint.

    An event that the endpoint's template cannot name a channel for goes to the endpoint's own: nothing is lost.
    """
    text = endpoint.options.get(TEMPLATE)
    template = None if text is None else _template(text)
    channel = None if template is None else template.render(event)
    return channel_key(endpoint.workspace, channel or own_channel(endpoint.id))


@functools.lru_cache(maxsize=4_096)
def _template(text: str) -> ChannelTemplate | None:
    try:
        return ChannelTemplate(text)
    except InvalidRequest:
        # Refused when the endpoint was created; one imported from elsewhere must not stop the router.
        return None


def _reader(name: str) -> Callable[[EventView], Any]:
    kind, _, path = name.partition(".")
    if not path and name in _FIELDS:
        member = _FIELDS[name]
        return lambda event: getattr(event, member)
    if kind == "identifiers" and path:
        return lambda event: next(iter(event.identifier_values().get(path, ())), None)
    if kind == "data" and path:
        return functools.partial(_member, path=tuple(path.split(".")))
    raise _invalid(
        f"{{{name}}} is unknown; there is {', '.join(f'{{{field}}}' for field in _FIELDS)}, "
        "{identifiers.<name>} and {data.<path>}"
    )


def _member(event: EventView, *, path: Sequence[str]) -> Any:
    found = event.data_value()
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "" or isinstance(value, dict | list):
        return None
    if isinstance(value, Decimal):
        nearest = float(value)
        return str(nearest) if Decimal(repr(nearest)) == value else numbers.text_of(value)
    return str(value)


def _invalid(message: str) -> InvalidRequest:
    problem = Problem(path=f"$.options.{TEMPLATE}", message=message)
    return InvalidRequest("The channel template cannot be used.", [problem])
