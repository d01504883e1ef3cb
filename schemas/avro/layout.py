"""The attributes of a typed event type, prepared for turning their values back into JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.avro import original_text
from schemas.avro.attributes import AttributeKind
from schemas.model import numbers, timestamps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.avro.attributes import AttributeType

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_NUMERIC = frozenset((AttributeKind.NUMBER, AttributeKind.INTEGER, AttributeKind.DECIMAL))


class Member(msgspec.Struct, frozen=True):
    """One attribute.

    Attributes:
        label: its name as JSON, with the colon.
        key: its key in ``lexical``.
        print_json: a value as JSON.
        read_json: a value as JSON would give it, where that is another.
    """

    name: str
    kind: AttributeKind
    label: str
    key: str
    print_json: Callable[[Any], str]
    read_json: Callable[[Any], Any] | None

    def as_sent(self, value: Any, text: str) -> str:
        """Its ``lexical`` text as JSON where JSON can say it (``.5`` and ``TRUE`` it cannot), else the value."""
        if value is None:
            return original_text.NULL
        if self.kind is AttributeKind.TIME:
            return _json_text(text)
        if self.kind in _NUMERIC and original_text.JSON_NUMBER.fullmatch(text):
            return text
        return self.print_json(value)


class Layout(msgspec.Struct, frozen=True):
    """All attributes in the schema's order; ``converted`` are name and ``read_json`` of those that have one."""

    members: tuple[Member, ...]
    converted: tuple[tuple[str, Callable[[Any], Any]], ...]

    def json_values(self, data: dict[str, Any], sent: dict[str, str] | None) -> dict[str, Any]:
        """The data as a subscriber would read it from JSON, absent what is null and was not sent as null.

        Args:
            data: attribute name to value.
            sent: ``lexical``: field to text, where a value does not print back as it was sent.

        Raises:
            ValueError: a json attribute's text is none.
            RecursionError: it is nested too deeply.
        """
        found = {name: value for name, value in data.items() if value is not None}
        for name, read_json in self.converted:
            if name in found:
                found[name] = read_json(found[name])
        if sent:
            for member in self.members:
                text = sent.get(member.key)
                if text is not None:
                    found[member.name] = parse_json(member.as_sent(data[member.name], text))
        return found


def layout_of(attributes: Sequence[tuple[str, AttributeType]]) -> Layout:
    """The layout of attributes given as name and type."""
    members = tuple(
        Member(
            name=name,
            kind=of.kind,
            label=f"{_json_text(name)}:",
            key=original_text.key(name),
            print_json=_PRINTERS[of.kind],
            read_json=_READERS.get(of.kind),
        )
        for name, of in attributes
    )
    return Layout(members, tuple((each.name, each.read_json) for each in members if each.read_json is not None))


def parse_json(text: str) -> Any:
    """JSON text as Python values; numbers with a point or an exponent are Decimals, so that no digit is lost.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, InvalidOperation):
        return json.loads(text, parse_float=numbers.decimal, parse_int=numbers.read)


def _json_text(text: str) -> str:
    return msgspec.json.encode(text).decode()


_PRINTERS: dict[AttributeKind, Callable[[Any], str]] = {
    **original_text.PRINTERS,
    AttributeKind.STRING: _json_text,
    AttributeKind.TIME: lambda micros: f'"{timestamps.to_text(micros)}"',
}

_READERS: dict[AttributeKind, Callable[[Any], Any]] = {
    AttributeKind.TIME: timestamps.to_text,
    AttributeKind.JSON: parse_json,
}
