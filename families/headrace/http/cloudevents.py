"""CloudEvents 1.0 over HTTP as event drafts: structured, batched and binary mode.

An event that is posted here needs ``specversion`` and ``type``. ``id`` may be left out (the gateway makes one), and so
may ``source`` (it is then the id of the client that posts the event). Every attribute comes out as it went in.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from families.headrace.http import cloudevent_attributes as rules
from families.headrace.http.repeated_attributes import is_whole, refuse_repeated
from ingest_api.batches import check_number
from ingest_api.http import LARGE
from ingest_api.text import split_place
from schemas.model import timestamps
from schemas.model.errors import MOST_PROBLEMS, InvalidEvent, InvalidRequest, MalformedBody, Problem
from schemas.model.event import PLACED, EventDraft, ExtensionValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbone.slices import Slices
    from schemas.model.access import Client

    Resolve = Callable[[str], tuple[str, str]]
    """A CloudEvents ``type`` to namespace and code."""

T = TypeVar("T")

STRUCTURED = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"

_LONGEST_TYPE = 511
"""Characters of a namespace, a slash and a code."""

_MANY = 1_000_000
"""Bytes of a body whose events are counted before they are read: it may have thirty thousand small ones."""

_TOO_MANY = "A batch may have at most {} events."

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class CloudEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The attributes that the specification names, two extensions, and the data as JSON text (empty: none).

    Written again it has what it was read from; see ``is_whole``.
    """

    specversion: str
    type: str
    id: str | None = None
    source: str | None = None
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None
    channel: str | None = None
    traceparent: str | None = None


class _PlainCloudEvent(CloudEvent, frozen=True, forbid_unknown_fields=True, gc=False):
    """One without extension attributes: the common case, which is read in one pass."""


_NAMED = frozenset(CloudEvent.__struct_fields__)
_CONTENT_TYPE = "datacontenttype"
_BODY = frozenset(("data", "data_base64", _CONTENT_TYPE))
"""What the body and its media type say in binary mode."""
_NO_EXTENSIONS: dict[str, ExtensionValue] = {}
_PLAIN = msgspec.json.Decoder(_PlainCloudEvent)
_PLAIN_BATCH = msgspec.json.Decoder(list[_PlainCloudEvent])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_RAW_BATCH = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(CloudEvent)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Translator:
    """Turns the events of one request into drafts.

    Args:
        workspace: where they are published.
        client: that publishes them.
        resolve: finds the event type that a CloudEvents ``type`` names.
        slices: in which it reads a batch.
        traceparent: W3C trace context of the request, for events that carry none of their own.

    Attributes:
        passed: of a batch that was refused, the events that are valid so far, by their index.
    """

    def __init__(
        self, workspace: str, client: Client, resolve: Resolve, slices: Slices, *, traceparent: str | None = None
    ) -> None:
        self._workspace = workspace
        self._client = client.id
        self._publisher = client.unique_id
        self._resolve = resolve
        self._slices = slices
        self._traceparent = traceparent
        self._resolved: dict[str, tuple[str, str]] = {}
        self.passed: dict[int, EventDraft] = {}

    def structured(self, body: bytes) -> EventDraft:
        """One event as a JSON object.

        Raises:
            MalformedBody: the body is not JSON.
            InvalidEvent: it is not a CloudEvent that can be published; every problem is named.
        """
        try:
            event: CloudEvent = _PLAIN.decode(body)
        except _UNREADABLE:
            return self._only(body, self._any_draft)
        return self._only(event, self._plain_draft if is_whole(body, event) else lambda _: self._any_draft(body))

    async def batch(self, body: bytes, most: int) -> list[EventDraft]:
        """Several events as a JSON array.

        Raises:
            MalformedBody: the body is not JSON.
            InvalidRequest: there are more than ``most``; they are counted before anything else is made of them.
            InvalidEvent: at least one event cannot be published; every problem is named with the event's index.
        """
        if len(body) > _MANY:
            _check_number(body, most)
        try:
            events: Sequence[CloudEvent] = _PLAIN_BATCH.decode(body)
        except _UNREADABLE:
            if len(body) > LARGE:
                _check_number(body, most)
            raws = _read(_RAW_BATCH, body)
            if len(raws) > most:
                raise InvalidRequest(_TOO_MANY.format(most)) from None
            return await self._collect(raws, self._any_draft)
        if len(events) > most:
            raise InvalidRequest(_TOO_MANY.format(most))
        if not is_whole(body, events):
            return await self._collect(_RAW_BATCH.decode(body), self._any_draft)
        return await self._collect(events, self._plain_draft)

    def binary(self, headers: Mapping[bytes, bytes], body: bytes) -> EventDraft:
        """One event whose attributes are ``ce-*`` headers and whose data is the body.

        Raises:
            InvalidEvent: an attribute is missing or wrong.
        """
        attributes = {
            name[3:].decode("latin-1"): _header(name, value)
            for name, value in headers.items()
            if name.startswith(b"ce-")
        }
        missing = [name for name in ("specversion", "type") if name not in attributes]
        if missing:
            raise InvalidEvent(
                "This is not a CloudEvent: send application/cloudevents+json, or ce-* headers.",
                [Problem(path=f"ce-{name}", message="the header is missing") for name in missing],
            )
        named = {name: value for name, value in attributes.items() if name in _NAMED and name not in _BODY}
        event = CloudEvent(**named, data=msgspec.Raw(body), datacontenttype=_content_type(headers))
        extensions = {name: value for name, value in attributes.items() if name not in named and name != _CONTENT_TYPE}
        return self._only(event, lambda event: self._draft(event, extensions))

    def _only(self, event: T, draft_of: Callable[[T], EventDraft]) -> EventDraft:
        try:
            return draft_of(event)
        except InvalidEvent as error:
            raise _refusal({0: error}, "$") from None

    async def _collect(self, events: Sequence[T], draft_of: Callable[[T], EventDraft]) -> list[EventDraft]:
        """The drafts of a batch, unless one of its events is not valid."""
        wrong: dict[int, InvalidEvent] = {}
        work = self._slices.begin()
        for index, event in enumerate(events):
            await work.pause()
            try:
                self.passed[index] = draft_of(event)
            except InvalidEvent as error:
                wrong[index] = error
                if len(wrong) == MOST_PROBLEMS:
                    break
        if wrong:
            raise _refusal(wrong, "$[{}]")
        return list(self.passed.values())

    def _any_draft(self, text: bytes | msgspec.Raw) -> EventDraft:
        event, members = _read(_ANY, text), _read(_MEMBERS, text)
        refuse_repeated(text, members)
        return self._draft(event, _extensions(members))

    def _plain_draft(self, event: CloudEvent) -> EventDraft:
        return self._draft(event, None)

    def _draft(self, event: CloudEvent, extensions: dict[str, Any] | None) -> EventDraft:
        resolved = self._resolved.get(event.type)
        if resolved is None:
            if len(event.type) > _LONGEST_TYPE:
                message = f"is no event type: its name has more than {_LONGEST_TYPE} characters"
                raise InvalidEvent("The event is not valid.", [Problem(path="$.type", message=message)])
            resolved = self._resolved[event.type] = self._resolve(event.type)
        time, time_text = None, event.time
        has_placed = event.channel is not None or event.traceparent is not None
        problems = list(_problems(event, extensions)) if extensions or has_placed or _needs_a_look(event) else []
        if event.time is not None:
            try:
                time, prints_back = timestamps.parse_spelling(event.time)
                time_text = None if prints_back else event.time
            except ValueError:
                problems.append(Problem(path="$.time", message="must be an RFC 3339 date and time with an offset"))
        if problems:
            raise InvalidEvent("The event is not valid.", problems)
        return EventDraft(
            workspace=self._workspace,
            namespace=resolved[0],
            code=resolved[1],
            client=self._client,
            publisher=self._publisher,
            data=_data(event),
            subject=event.subject,
            time=time,
            time_text=time_text,
            channel=event.channel,
            type=None if event.type == resolved[1] else event.type,
            source=event.source or self._client,
            dataschema=event.dataschema,
            datacontenttype=event.datacontenttype,
            extensions=_all_extensions(event, extensions) if extensions or has_placed else _NO_EXTENSIONS,
            producer_id=event.id,
            traceparent=event.traceparent or self._traceparent,
        )


def _refusal(wrong: Mapping[int, InvalidEvent], path: str) -> InvalidEvent:
    problems = [
        Problem(path=path.format(index) + found.path[1:], message=found.message)
        for index, error in wrong.items()
        for found in error.problems
    ]
    return InvalidEvent("The request is not valid: nothing was published.", problems)


def _check_number(body: bytes, most: int) -> None:
    """Refuse a body with too many events, or one so large with something else among them."""
    wrong = check_number(body, _list_of, most, _TOO_MANY.format(most))
    if wrong is not None:
        raise _unreadable(wrong)


def _list_of(event: Any) -> Any:
    return list[event]


def _header(name: bytes, value: bytes) -> str:
    """The text that a header's value says: percent-encoded UTF-8, perhaps quoted (CloudEvents HTTP binding, 3.1.3.2).

    Producers that do not encode it, as some libraries do not, send it in UTF-8 or else in HTTP's old Latin-1.

    Raises:
        InvalidEvent: what is percent-encoded is not UTF-8.
    """
    quoted = _QUOTED.fullmatch(value)
    plain = _ESCAPED.sub(rb"\1", quoted[1]) if quoted else value
    encoded = unquote_to_bytes(plain) if b"%" in plain else plain
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        if encoded is plain:
            return plain.decode("latin-1")
    place = Problem(path=f"$.{name[3:].decode('latin-1')}", message="is not percent-encoded UTF-8")
    raise InvalidEvent("The event is not valid.", [place])


def _content_type(headers: Mapping[bytes, bytes]) -> str | None:
    """What ``Content-Type`` says: ``datacontenttype`` in binary mode (CloudEvents HTTP binding, 3.1.1)."""
    text = headers.get(b"content-type", b"").decode("latin-1").strip()
    if not text:
        return None
    return text if rules.datacontenttype_problem(text) is None else text.partition(";")[0].strip()


def _all_extensions(event: CloudEvent, extensions: dict[str, Any] | None) -> dict[str, ExtensionValue]:
    """The extension attributes, with those that the event has a place for besides."""
    found = {name: getattr(event, name) for name in PLACED if getattr(event, name) is not None}
    return found | (extensions or {})


def _needs_a_look(event: CloudEvent) -> bool:
    """Whether anything but data and time could be wrong: cheaper to ask than to go through all rules for each event."""
    return (
        event.specversion != "1.0"
        or not event.type
        or not event.type.isprintable()
        or (event.id is not None and not (event.id and event.id.isprintable()))
        or (event.source is not None and rules.source_problem(event.source) is not None)
        or (event.subject is not None and not (event.subject and event.subject.isprintable()))
        or event.dataschema is not None
        or event.data_base64 is not None
        or (event.datacontenttype is not None and event.datacontenttype != "application/json")
    )


_RULES: tuple[tuple[str, Callable[[str], str | None]], ...] = (
    ("type", rules.required_text_problem),
    ("id", rules.required_text_problem),
    ("source", rules.source_problem),
    ("subject", rules.required_text_problem),
    ("dataschema", rules.dataschema_problem),
    ("datacontenttype", rules.datacontenttype_problem),
    ("channel", rules.text_problem),
    ("traceparent", rules.text_problem),
)


def _problems(event: CloudEvent, extensions: dict[str, Any] | None) -> list[Problem]:
    problems = []
    for name, rule in _RULES:
        value = getattr(event, name)
        message = None if value is None else rule(value)
        if message is not None:
            problems.append(Problem(path=f"$.{name}", message=message))
    if event.specversion != "1.0":
        problems.append(Problem(path="$.specversion", message='must be "1.0"'))
    return [*problems, *_data_problems(event), *rules.extension_problems(extensions or {})]


def _data_problems(event: CloudEvent) -> list[Problem]:
    problems = []
    if event.data_base64 is not None:
        try:
            base64.b64decode(event.data_base64, validate=True)
        except (binascii.Error, ValueError):
            problems.append(Problem(path="$.data_base64", message="is not base64"))
        if bytes(event.data):
            problems.append(Problem(path="$.data_base64", message="contradicts data: send one of them"))
    return problems


def _data(event: CloudEvent) -> bytes | None:
    if event.data_base64 is not None:
        return base64.b64decode(event.data_base64)
    return bytes(event.data) or None


def _read(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Any:
    """Decode on the way that explains: the reader of the common case has refused the body already."""
    try:
        _RAW.decode(body)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _unreadable(error) from None
    except _UNREADABLE as error:
        raise MalformedBody(f"The body is not JSON: {error}") from error


def _unreadable(error: msgspec.ValidationError) -> InvalidEvent:
    message, path = split_place(str(error))
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing:
        path, message = f"{path}.{missing[1]}", "is required"
    return InvalidEvent("The request is not valid.", [Problem(path=path, message=message)])


def _extensions(members: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Those that are set: null stands for one that is not (CloudEvents JSON format, 2.2)."""
    return {name: _value(value) for name, value in members.items() if name not in _NAMED and bytes(value) != b"null"}


def _value(text: msgspec.Raw) -> Any:
    """None, which no extension may be, for what is JSON and no value: a number like 1e400."""
    try:
        return msgspec.json.decode(text)
    except _UNREADABLE:
        return None
