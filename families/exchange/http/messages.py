"""The three forms of ``POST /v1/event`` as one list of events, and problems with the JSON paths of the request.

Individual and simple batch have ``events`` at the root, a compound batch has ``eventbatch`` entries with ``events``.
Channel and identifiers stand at exactly one level above or on each event: root, entry or event. What stands *inside* an
identifier beside name and value says something about that identifier only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from families.exchange.http.event_types import ATTRIBUTE_TYPES
from ingest_api.batches import check_number
from ingest_api.http import LARGE, MOST_OF_ONE_EVENT
from ingest_api.text import split_place
from schemas.avro.attributes import member
from schemas.model import timestamps
from schemas.model.errors import MOST_PROBLEMS, InvalidEvent, InvalidRequest, MalformedBody, PayloadTooLarge, Problem
from schemas.model.event import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backbone.slices import Slices

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Channel = _Text | msgspec.UnsetType
_Identifiers = tuple[Identifier, ...] | msgspec.UnsetType
_Raws = tuple[msgspec.Raw, ...]


class _Attribute(msgspec.Struct, gc=False):
    name: _Text
    value: str
    type: str | None = None


class _Event(msgspec.Struct, gc=False):
    code: _Text
    timestamp: str | msgspec.UnsetType = msgspec.UNSET
    channel: _Channel = msgspec.UNSET
    identifiers: _Identifiers = msgspec.UNSET
    attributes: tuple[_Attribute, ...] = ()
    namespace: str | None = None


class _Entry(msgspec.Struct, gc=False):
    events: _Raws
    channel: _Channel = msgspec.UNSET
    identifiers: _Identifiers = msgspec.UNSET


class _Body(msgspec.Struct):
    channel: _Channel = msgspec.UNSET
    identifiers: _Identifiers = msgspec.UNSET
    events: _Raws | msgspec.UnsetType = msgspec.UNSET
    eventbatch: _Raws | msgspec.UnsetType = msgspec.UNSET


_MOST_REPEATED = 16_777_216
"""Characters of identifiers and channels: a level above may have megabytes, which each of its events would repeat."""

_AROUND = 24
"""Characters that an identifier takes beside its name and value."""

_BODY = msgspec.json.Decoder(_Body)
_ENTRY = msgspec.json.Decoder(_Entry)
_EVENT = msgspec.json.Decoder(_Event)
_ANY = msgspec.json.Decoder(msgspec.Raw)

_TOO_MANY = "A request may have at most {} events."

_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_EXPECTED = re.compile(r"Expected `(?P<wanted>\w+)[^`]*`, got `(?P<found>\w+)`")
_TYPES = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
}
_OF_PUBLISHER = re.compile(r"\$(?:\[(?P<index>\d+)\])?(?P<rest>.*)", re.DOTALL)


class PostedEvent(NamedTuple):
    """One event with what its levels say.

    Attributes:
        path: where it is in the request.
        code, namespace: of its event type; the namespace only where it was named.
        time: microseconds since the epoch; None means the time of receipt.
        time_text: as sent, where the time does not print back so.
        channel, identifiers: of the level that has them.
        identifiers_path: that level's.
        attributes: name to text, in the order sent.
    """

    path: str
    code: str
    namespace: str | None
    time: int | None
    time_text: str | None
    channel: str
    identifiers: tuple[Identifier, ...]
    identifiers_path: str
    attributes: dict[str, str]


class _Level(NamedTuple):
    path: str
    said: _Body | _Entry | _Event


async def read_events(body: bytes, most: int, slices: Slices) -> list[PostedEvent]:
    """Read a request, in slices; one bad event refuses them all.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRequest: it has more than ``most`` events; no more of them are looked at.
        PayloadTooLarge: what its levels say is too much for so many events.
        InvalidEvent: it breaks the document; of every event its problems are listed.
    """
    root = _root(body, most)
    problems: list[Problem] = []
    events = []
    sizes: dict[str, int] = {}
    left = _MOST_REPEATED
    work = slices.begin()
    for number, (levels, raw) in enumerate(_events_of(root, problems, most)):
        if number == most:
            raise InvalidRequest(_TOO_MANY.format(most))
        await work.pause()
        if len(problems) >= MOST_PROBLEMS:
            break
        posted = _posted(levels, raw, problems, sizes)
        if posted is None:
            continue
        left -= sizes[posted.identifiers_path] + len(posted.channel)
        if left < 0:
            raise PayloadTooLarge("The events' identifiers and channels are too much together.")
        events.append(posted)
    if problems:
        raise _refused(problems)
    return events


def _root(body: bytes, most: int) -> _Level:
    if len(body) > LARGE:
        wrong = check_number(body, _counting, most, _TOO_MANY.format(most))
        if wrong is not None:
            raise _refused([_misread("$", wrong)])
    try:
        _ANY.decode(body)
        return _Level("$", _BODY.decode(body))
    except msgspec.ValidationError as error:
        raise _refused([_misread("$", error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(f"The body is not JSON: {error}") from None


def in_request(error: InvalidRequest, events: Sequence[PostedEvent]) -> InvalidRequest:
    """The publisher's refusal of these events, with the paths and attribute names of the request."""
    places = _Places(events)
    placed = [places.of(problem) for problem in error.problems]
    # Clients of the document look at the message only.
    return _refused(placed) if type(error) is InvalidEvent else type(error)(str(error), placed)


def _counting(event: type) -> type:
    """The type of a body whose events are counted."""
    entry = msgspec.defstruct("Entry", [("events", list[event], [])])  # type: ignore[valid-type]  # made at run time
    return msgspec.defstruct("Body", [("events", list[event], []), ("eventbatch", list[entry], [])])  # type: ignore[valid-type]


def _events_of(root: _Level, problems: list[Problem], most: int) -> Iterator[tuple[list[_Level], msgspec.Raw]]:
    """Every event as sent, with the levels above it; the last level is a place for the event itself."""
    body = root.said
    assert isinstance(body, _Body)  # noqa: S101  # the root's level holds nothing else
    if body.events is not msgspec.UNSET and body.eventbatch is not msgspec.UNSET:
        problems.append(Problem(path="$.eventbatch", message="must not stand beside events: use one of the two"))
    elif body.events is not msgspec.UNSET:
        for path, raw in _each("$.events", body.events, problems):
            yield [root, _Level(path, body)], raw
    elif body.eventbatch is not msgspec.UNSET:
        if len(body.eventbatch) > most:
            raise InvalidRequest(_TOO_MANY.format(most))
        for path, raw in _each("$.eventbatch", body.eventbatch, problems):
            try:
                entry = _ENTRY.decode(raw)
            except msgspec.ValidationError as error:
                problems.append(_misread(path, error))
                continue
            for event_path, event in _each(f"{path}.events", entry.events, problems):
                yield [root, _Level(path, entry), _Level(event_path, entry)], event
    else:
        problems.append(Problem(path="$", message="must have events or eventbatch"))


def _each(path: str, raws: _Raws, problems: list[Problem]) -> Iterator[tuple[str, msgspec.Raw]]:
    if not raws:
        problems.append(Problem(path=path, message="must not be empty"))
    for index, raw in enumerate(raws):
        yield f"{path}[{index}]", raw


def _posted(
    levels: list[_Level], raw: msgspec.Raw, problems: list[Problem], sizes: dict[str, int]
) -> PostedEvent | None:
    """One event; ``sizes`` has the characters of the identifiers at each place that was looked at."""
    path = levels[-1].path
    if len(raw) > MOST_OF_ONE_EVENT:
        raise PayloadTooLarge("An event is too large.", [Problem(path=path, message=f"has {len(raw)} bytes")])
    try:
        event = _EVENT.decode(raw)
    except msgspec.ValidationError as error:
        problems.append(_misread(path, error))
        return None
    levels[-1] = _Level(path, event)
    found: list[Problem] = []
    channel_at = _only_level(levels, "channel", found)
    identifiers_at = _only_level(levels, "identifiers", found)
    time, time_text = _time(event, path, found, required=len(levels) == 2)  # noqa: PLR2004  # no compound batch
    attributes = _attributes(event, path, found)
    if identifiers_at is not None:
        place = f"{identifiers_at.path}.identifiers"
        if place not in sizes:
            sizes[place] = _check_identifiers(identifiers_at, found)
    problems += found
    if found or channel_at is None or identifiers_at is None:
        return None
    return PostedEvent(
        path=path,
        code=event.code,
        namespace=event.namespace,
        time=time,
        time_text=time_text,
        channel=str(channel_at.said.channel),
        identifiers=identifiers_at.said.identifiers or (),
        identifiers_path=place,
        attributes=attributes,
    )


def _only_level(levels: Sequence[_Level], name: str, problems: list[Problem]) -> _Level | None:
    """The one level that has the member."""
    only = None
    for level in levels:
        if getattr(level.said, name) is not msgspec.UNSET:
            if only is not None:
                places = f"{only.path}.{name} and {level.path}.{name}"
                message = f"must be given at one level, not at {places}"
                problems.append(Problem(path=f"{levels[-1].path}.{name}", message=message))
                return None
            only = level
    if only is None:
        message = "is required, on the event or at one level above it"
        problems.append(Problem(path=f"{levels[-1].path}.{name}", message=message))
    return only


def _time(event: _Event, path: str, problems: list[Problem], *, required: bool) -> tuple[int | None, str | None]:
    if isinstance(event.timestamp, str):
        try:
            time, prints_back = timestamps.parse_spelling(event.timestamp)
        except ValueError:
            message = "must be an ISO 8601 date and time with an offset"
            problems.append(Problem(path=f"{path}.timestamp", message=message))
        else:
            return time, None if prints_back else event.timestamp
    elif required:
        problems.append(Problem(path=f"{path}.timestamp", message="is required"))
    return None, None


def _attributes(event: _Event, path: str, problems: list[Problem]) -> dict[str, str]:
    read = {one.name: one.value for one in event.attributes}
    if len(read) < len(event.attributes):
        seen: set[str] = set()
        for index, one in enumerate(event.attributes):
            if one.name in seen:
                where = f"{path}.attributes[{index}].name"
                problems.append(Problem(path=where, message=f"{one.name} is listed twice"))
            seen.add(one.name)
    for index, one in enumerate(event.attributes):
        if one.type is not None and one.type.lower() not in ATTRIBUTE_TYPES:
            message = f"must be one of {', '.join(ATTRIBUTE_TYPES.values())}"
            problems.append(Problem(path=f"{path}.attributes[{index}].type", message=message))
    return read


def _check_identifiers(level: _Level, problems: list[Problem]) -> int:
    """How many characters they take."""
    identifiers = level.said.identifiers
    if not identifiers:
        problems.append(Problem(path=f"{level.path}.identifiers", message="must not be empty"))
        return 0
    for index, one in enumerate(identifiers):
        if not (one.name and one.value):
            where = f"{level.path}.identifiers[{index}].{'value' if one.name else 'name'}"
            problems.append(Problem(path=where, message="must not be empty"))
    return sum(len(one.name) + len(one.value) + _AROUND for one in identifiers)


def _misread(path: str, error: msgspec.ValidationError) -> Problem:
    """What the decoder found, in the document's words."""
    message, place = split_place(str(error))
    path += place[1:]
    if missing := _MISSING.fullmatch(message):
        return Problem(path=f"{path}.{missing['name']}", message="is required")
    if expected := _EXPECTED.fullmatch(message):
        wanted, found = (_TYPES.get(expected[name], expected[name]) for name in ("wanted", "found"))
        message = f"must be {wanted}, not {found}"
    elif message.endswith("of length >= 1"):
        message = "must not be empty"
    return Problem(path=path, message=message)


class _Places:
    """Where the publisher's problems are in the request."""

    def __init__(self, events: Sequence[PostedEvent]) -> None:
        self._events = events
        self._attributes: dict[str, dict[str, tuple[int, str]]] = {}

    def of(self, problem: Problem) -> Problem:
        """The problem with the path and the attribute name of the request."""
        found = _OF_PUBLISHER.fullmatch(problem.path)
        rest: Any = found["rest"] if found else ""
        event = self._events[int(found["index"] or 0)] if found else self._events[0]
        if rest == ".type":
            return Problem(path=f"{event.path}.code", message=problem.message)
        attribute = self._attributes_of(event).get(rest)
        if attribute is not None:
            index, name = attribute
            return Problem(path=f"{event.path}.attributes[{index}]", message=f"{name}: {problem.message}")
        if rest.startswith(".data"):
            return Problem(path=f"{event.path}.attributes", message=f"{rest[len('.data.') :]}: {problem.message}")
        return Problem(path=event.path + rest, message=problem.message)

    def _attributes_of(self, event: PostedEvent) -> dict[str, tuple[int, str]]:
        """The attributes of an event by the publisher's paths: made once, for an event may have very many."""
        found = self._attributes.get(event.path)
        if found is None:
            names = {member(".data", name): (index, name) for index, name in enumerate(event.attributes)}
            found = self._attributes[event.path] = names
        return found


def _refused(problems: Sequence[Problem]) -> InvalidEvent:
    first = problems[0]
    return InvalidEvent(f"Nothing was published: {first.path} {first.message}", problems)
