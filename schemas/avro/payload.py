"""Reading an event's data against a registration: JSON or text in, typed values out, or every problem with its path."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from schemas.avro import original_text
from schemas.avro.attributes import INT64_MAX, INT64_MIN, AttributeKind, from_text, member, parse_type, to_decimal
from schemas.model import numbers, timestamps
from schemas.model.errors import MOST_PROBLEMS, InvalidEvent, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.avro.attributes import AttributeType
    from schemas.model.event_type import Attribute

    Values = Sequence[Any]
    Lexical = dict[str, str] | None

_COLUMNS: dict[AttributeKind, Any] = {
    AttributeKind.STRING: str,
    AttributeKind.NUMBER: float,
    AttributeKind.BOOLEAN: bool,
    AttributeKind.TIME: str,
    AttributeKind.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    AttributeKind.DECIMAL: msgspec.Raw,
    AttributeKind.JSON: msgspec.Raw,
}

_NUMBERS = frozenset((AttributeKind.NUMBER, AttributeKind.INTEGER))
"""Kinds whose column is a number already: how it was written is looked at only when it may not print back."""

_JSON_TYPES: dict[AttributeKind, str] = {
    AttributeKind.STRING: "a string",
    AttributeKind.NUMBER: "a number",
    AttributeKind.BOOLEAN: "a boolean",
    AttributeKind.TIME: "a string",
    AttributeKind.INTEGER: "a number",
    AttributeKind.DECIMAL: "a number",
}
_FIRST_BYTES = {
    ord('"'): "a string",
    ord("{"): "an object",
    ord("["): "an array",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    ord("n"): "null",
}
_NULL = b"null"


class PayloadReader:
    """Reads the data of events that may carry ``attributes``; values come in that order, None where nothing was sent.

    JSON is decoded straight into a type made for the registration. Values are str, float, bool, int, Decimal,
    microseconds for a Time, JSON text for a json attribute.
    """

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self.names = tuple(attribute.name for attribute in attributes)
        self._types: dict[str, AttributeType] = {each.name: parse_type(each.type) for each in attributes}
        self._required = [attribute.name for attribute in attributes if attribute.required]
        self._indexed = [(index, name, self._types[name]) for index, name in enumerate(self.names)]
        self._times = [
            (index, original_text.key(name)) for index, name, of in self._indexed if of.kind is AttributeKind.TIME
        ]
        self._numbers = [
            (index, original_text.key(name), original_text.PRINTERS[of.kind])
            for index, name, of in self._indexed
            if of.kind in _NUMBERS
        ]
        self._raws = [each for each in self._indexed if _COLUMNS[each[2].kind] is msgspec.Raw]
        typed = [(self._types[each.name].kind, each.required) for each in attributes]
        self._decode = _decoder(self.names, [_column(_COLUMNS[kind], required=required) for kind, required in typed])
        self._decode_raw = _decoder(self.names, [_column(msgspec.Raw, required=False)] * len(self.names))
        numbers = [self.names[index] for index, _, _ in self._numbers]
        self._decode_numbers = _decoder(numbers, [_column(msgspec.Raw, required=False)] * len(numbers), alone=False)

    def from_json(self, data: bytes, path: str) -> tuple[Values, Lexical]:
        """The values of a JSON object, and the texts of those that do not print back as sent.

        Raises:
            InvalidEvent: it is not JSON or no object, an attribute is unknown, missing or of another type.
        """
        if len(data) > numbers.MOST_DIGITS:
            _check_digits(data, path)
        try:
            values: Values = msgspec.structs.astuple(self._decode(data))
            texts: dict[str, str] = {}
            if self._times or self._raws:
                values = self._read_again(values, texts)
            if original_text.may_differ(data):
                self._compare(data, values, texts)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return self._read_columns(data, path, error)
        return values, texts or None

    def from_texts(self, sent: Mapping[str, str], path: str) -> tuple[Values, Lexical]:
        """The values of attributes that came as text.

        Raises:
            InvalidEvent: an attribute is unknown or missing, or its text is not one of its type.
        """
        problems = self._misfits(sent, path)
        values: list[Any] = [None] * len(self.names)
        texts: dict[str, str] = {}
        for index, name, of in self._indexed:
            text = sent.get(name)
            if text is None:
                continue
            try:
                value = from_text(text, of)
            except (ValueError, RecursionError) as error:
                problems.append(Problem(path=member(path, name), message=f"{of} expected: {error}"))
                continue
            values[index] = value
            if original_text.PRINTERS[of.kind](value) != text:
                texts[original_text.key(name)] = text
        if problems:
            raise _invalid(problems)
        return values, texts or None

    def _read_again(self, values: Values, texts: dict[str, str]) -> Values:
        """Values of the columns that hold something else: times as text, decimals and json as raw JSON."""
        read = list(values)
        for index, key in self._times:
            text = values[index]
            if text is not None:
                read[index], prints_back = timestamps.parse_spelling(text)
                if not prints_back:
                    texts[key] = text
        for index, name, of in self._raws:
            if values[index] is None:
                continue
            text = bytes(values[index]).decode()
            if of.kind is AttributeKind.JSON:
                read[index] = text
            elif text != original_text.NULL:
                read[index] = value = to_decimal(text, of)
                if original_text.decimal_text(value) != text:
                    texts[original_text.key(name)] = text
            elif name in self._required:
                raise ValueError(f"{name} is required")
            else:
                read[index] = None
        return read

    def _compare(self, data: bytes, values: Values, texts: dict[str, str]) -> None:
        """Look at each number as sent, and for what was sent as null."""
        numbers = msgspec.structs.astuple(self._decode_numbers(data))
        for (index, key, print_), column in zip(self._numbers, numbers, strict=True):
            value = values[index]
            if value is not None:
                text = str(column, "ascii")
                if print_(value) != text:
                    texts[key] = text
        if _NULL in data:
            columns = msgspec.structs.astuple(self._decode_raw(data))
            for name, column, value in zip(self.names, columns, values, strict=True):
                if value is None and column is not None:
                    texts[original_text.key(name)] = original_text.NULL

    def _read_columns(self, data: bytes, path: str, error: Exception) -> tuple[Values, Lexical]:
        """Read what the decoder refused, attribute by attribute: it takes no ``1.0`` for an integer.

        Raises:
            InvalidEvent: with every problem, where the decoder stopped at the first.
        """
        try:
            columns = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            raise _invalid([Problem(path=path, message="must be a JSON object")]) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise _invalid([Problem(path=path, message=f"is not JSON: {broken}")]) from error
        problems = self._misfits(columns, path)
        values: list[Any] = [None] * len(self.names)
        texts: dict[str, str] = {}
        for index, name, of in self._indexed:
            if name not in columns:
                continue
            try:
                values[index], text = _value(bytes(columns[name]), of, required=name in self._required)
            except (msgspec.DecodeError, ValueError) as fault:
                problems.append(Problem(path=member(path, name), message=str(fault)))
                continue
            if text is not None:
                texts[original_text.key(name)] = text
        if problems:
            raise _invalid(problems) from error
        return values, texts or None

    def _misfits(self, sent: Mapping[str, object], path: str) -> list[Problem]:
        """Attributes that are not registered, and required ones that are missing."""
        unknown = (name for name in sent if name not in self._types)
        problems = [
            Problem(path=member(path, name), message="is not a registered attribute")
            for name in itertools.islice(unknown, MOST_PROBLEMS)
        ]
        problems += [
            Problem(path=member(path, name), message="is required") for name in self._required if name not in sent
        ]
        return problems


def check_json(data: bytes, path: str) -> str:
    """An open type's data as text, once it is known to be JSON in UTF-8.

    Raises:
        InvalidEvent: it is not, or holds a number that is too long.
    """
    _check_digits(data, path)
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        return data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid([Problem(path=path, message=f"is not JSON: {error}")]) from error


def _decoder(names: Sequence[str], columns: Sequence[tuple[Any, ...]], *, alone: bool = True) -> Any:
    """From JSON text to a struct with these columns; ``alone`` refuses an object that has others."""
    fields = [(f"f{index}", *column) for index, column in enumerate(columns)]
    rename = {f"f{index}": name for index, name in enumerate(names)}
    made = msgspec.defstruct(
        "Data", fields, rename=rename, kw_only=True, forbid_unknown_fields=alone, frozen=True, gc=False
    )
    return msgspec.json.Decoder(made).decode


def _column(kind: Any, *, required: bool) -> tuple[Any, ...]:
    if required:
        return (kind,)
    return (kind if kind is msgspec.Raw else kind | None, None)


def _value(column: bytes, of: AttributeType, *, required: bool) -> tuple[Any, str | None]:
    """One attribute's value, and its JSON text where the value does not print back as sent.

    Raises:
        ValueError: the text is none of the type's; it says why.
        msgspec.DecodeError: a string has half of a surrogate pair.
    """
    try:
        text = column.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: {error}") from error
    if of.kind is AttributeKind.JSON:
        return text, None
    if column == _NULL:
        if required:
            raise ValueError("is required, and null is no value")
        return None, original_text.NULL
    found = _FIRST_BYTES.get(column[0], "a number")
    if found != _JSON_TYPES[of.kind]:
        raise ValueError(f"{of} expected: {_JSON_TYPES[of.kind]}, not {found}")
    if found == "a string":
        text = msgspec.json.decode(column, type=str)
    try:
        value = from_text(text, of)
    except ValueError as error:
        raise ValueError(f"{of} expected: {error}") from error
    return value, None if original_text.PRINTERS[of.kind](value) == text else text


def _check_digits(data: bytes, path: str) -> None:
    if len(data) > numbers.MOST_DIGITS and numbers.has_too_many_digits(data):
        raise _invalid([Problem(path=path, message=numbers.TOO_LONG)])


def _invalid(problems: Sequence[Problem]) -> InvalidEvent:
    first = problems[0]
    return InvalidEvent(f"{first.path} {first.message}", problems)
