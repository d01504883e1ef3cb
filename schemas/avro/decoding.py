"""Avro decoding of events, prepared once per schema: what fastavro reads for the same schema, in a third of the time.

A reader is made of one line sequence per field. ``b`` is the framed value and ``p`` the position in it; positions only
grow, so one comparison with the length, at the end, shows every string that ran past it.
"""

from __future__ import annotations

import struct
from decimal import Context, Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from schemas.avro.attributes import MOST_DIGITS, AttributeKind, AttributeType
from schemas.avro.schema import HEADER_LENGTH
from schemas.model.errors import CorruptRecord
from schemas.model.event import Identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Reader = Callable[[bytes], tuple[Any, ...]]

_MORE = 0x80
"""The bit of a byte of a long that says that another one follows."""
_LONGEST = 63
"""Shift of the tenth and last byte of a long."""
_LARGEST = 2**64 - 1
_NO_SHORT_LENGTH = 0x81
"""A length of one byte has neither of these bits: odd ones are negative, and the other says that more follows."""
_EXACT = Context(prec=MOST_DIGITS + 1)

_NULL, _VALUE = 0, 2
"""The first byte of a nullable field: which branch follows."""


def event_reader(attributes: Sequence[tuple[str, AttributeType]] | None, *, identity: bool) -> Reader:
    """A function from a framed value to the envelope's fields in their order, ``data`` among them.

    Without ``identity`` the envelope is that of earlier releases, which ends with ``lexical``.

    ``attributes`` are name and type in the schema's order, and ``data`` comes as a dict of them; None is an open type,
    whose ``data`` comes as text. The function raises CorruptRecord, IndexError, ValueError or struct.error on a value
    that is not of the schema.
    """
    lines = _TEXT.format("id").splitlines() + _TEXT.format("type").splitlines() + _TEXT.format("source").splitlines()
    lines += _nullable("subject", _TEXT)
    lines += _LONG.format("time").splitlines() + _LONG.format("received_at").splitlines()
    lines += _nullable("channel", _TEXT)
    lines.append("identifiers, p = read_identifiers(b, p)")
    scope: dict[str, Any] = {}
    lines += _TEXT.format("data").splitlines() if attributes is None else _members(attributes, None, scope)
    lines += _nullable("lexical", _MAP)
    result = "id, type, source, subject, time, received_at, channel, identifiers, data, lexical"
    if identity:
        lines += _TEXT.format("event_id").splitlines() + _TEXT.format("clientid").splitlines()
        lines += _nullable("dataschema", _TEXT) + _nullable("datacontenttype", _TEXT)
        lines += ["if b[p]: " + _MAP.format("extensions"), "else:", "    extensions = NOTHING", "    p += 1"]
        result += ", event_id, clientid, dataschema, datacontenttype, extensions"
    return _reader([*lines, "if p != len(b): raise misplaced(b, p)"], result, scope)


def data_reader(attributes: Sequence[tuple[str, AttributeType]], wanted: frozenset[str], *, identity: bool) -> Reader:
    """As ``event_reader`` of a typed event, for ``data`` with no other than the ``wanted`` attributes, and ``lexical``.

    What is not wanted is stepped over: its length is checked, its content is not.
    """
    lines = _STEP_TEXT.splitlines() * 3 + _step_nullable(_STEP_TEXT) + _STEP_LONG.splitlines() * 2
    lines += _step_nullable(_STEP_TEXT)
    lines += ["if b[p]: _, p = read_identifiers(b, p)", "else: p += 1"]
    scope: dict[str, Any] = {}
    lines += _members(attributes, wanted, scope)
    lines += _nullable("lexical", _MAP)
    if identity:
        rest = [*_STEP_TEXT.splitlines() * 2, *_step_nullable(_STEP_TEXT) * 2, "if b[p]: _, p = read_map(b, p)"]
        lines += [_STEP_UUIDS, "else:", *(f"    {line}" for line in [*rest, "else: p += 1"])]
    return _reader([*lines, "if p != len(b): raise misplaced(b, p)"], "data, lexical", scope)


def _reader(lines: list[str], result: str, scope: dict[str, Any]) -> Reader:
    """The function: its lines, and the names of what it returns."""
    body = "\n    ".join([f"p = {HEADER_LENGTH}", *lines, f"return {result}"])
    scope |= _SCOPE
    exec(f"def read(b):\n    {body}\n", scope)  # noqa: S102 -- made of the fixed lines below, never of anyone's text
    read: Reader = scope["read"]
    return read


def _members(
    attributes: Sequence[tuple[str, AttributeType]], wanted: frozenset[str] | None, scope: dict[str, Any]
) -> list[str]:
    """The lines that make ``data``; their names and scales go to ``scope``."""
    lines: list[str] = []
    entries = []
    for index, (name, of) in enumerate(attributes):
        if wanted is not None and name not in wanted:
            lines += _step_nullable(_STEPS[of.kind])
            continue
        scope[f"NAME{index}"] = name
        scope[f"SCALE{index}"] = of.scale
        lines += _nullable(f"v{index}", _READS[of.kind].replace("SCALE", f"SCALE{index}"))
        entries.append(f"NAME{index}: v{index}")
    return [*lines, f"data = {{{', '.join(entries)}}}"]


def read_long(b: bytes, p: int) -> tuple[int, int]:
    """The long at ``p``, and where what follows it starts."""
    zigzag = b[p]
    if zigzag < _MORE:
        return (zigzag >> 1) ^ -(zigzag & 1), p + 1
    # A present time in microseconds has eight bytes: gather their groups of seven bits at once.
    spread = int.from_bytes(b[p : p + 8], "little")
    if spread & 0x8080_8080_8080_8080 == 0x0080_8080_8080_8080:  # noqa: PLR2004 -- the bits "more follows" of eight bytes
        spread = (spread & 0x007F_007F_007F_007F) | ((spread & 0x7F00_7F00_7F00_7F00) >> 1)
        spread = (spread & 0x0000_3FFF_0000_3FFF) | ((spread & 0x3FFF_0000_3FFF_0000) >> 2)
        zigzag = (spread & 0x0000_0000_0FFF_FFFF) | ((spread & 0x0FFF_FFFF_0000_0000) >> 4)
        return (zigzag >> 1) ^ -(zigzag & 1), p + 8
    zigzag = shift = 0
    while True:
        byte = b[p]
        p += 1
        zigzag |= (byte & ~_MORE) << shift
        if byte < _MORE:
            break
        shift += 7
        if shift > _LONGEST:
            raise CorruptRecord("a long of more than ten bytes")
    if zigzag > _LARGEST:
        raise CorruptRecord("a long of more than 64 bits")
    return (zigzag >> 1) ^ -(zigzag & 1), p


def read_text(b: bytes, p: int) -> tuple[str, int]:
    """The string at ``p``, and where what follows it starts."""
    short = b[p]
    if short & _NO_SHORT_LENGTH:
        size, p = _read_length(b, p)
    else:
        size, p = short >> 1, p + 1
    end = p + size
    return b[p:end].decode(), end


def read_identifiers(b: bytes, p: int) -> tuple[tuple[Identifier, ...], int]:
    """The array of identifiers at ``p``, and where what follows it starts."""
    if b[p] == _NULL:
        return (), p + 1
    pairs, p = _read_pairs(b, p)
    return tuple(Identifier(name, value) for name, value in pairs), p


def read_map(b: bytes, p: int) -> tuple[dict[str, str], int]:
    """The map of strings at ``p``, and where what follows it starts."""
    pairs, p = _read_pairs(b, p)
    return dict(pairs), p


def _read_pairs(b: bytes, p: int) -> tuple[list[tuple[str, str]], int]:
    """Blocks of pairs of strings, up to the empty block: a map, or an array of records of two strings."""
    pairs: list[tuple[str, str]] = []
    while True:
        count, p = read_long(b, p)
        if count == 0:
            return pairs, p
        if count < 0:
            # A negative count comes with the block's size in bytes, for readers that skip it.
            count = -count
            _, p = read_long(b, p)
        for _ in range(count):
            name, p = read_text(b, p)
            value, p = read_text(b, p)
            pairs.append((name, value))


def _read_length(b: bytes, p: int) -> tuple[int, int]:
    size, p = read_long(b, p)
    if not 0 <= size <= len(b) - p:
        raise CorruptRecord(f"a string of {size} bytes where {len(b) - p} are left")
    return size, p


def _step_text(b: bytes, p: int) -> int:
    size, p = _read_length(b, p)
    return p + size


def _read_decimal(b: bytes, p: int, scale: int) -> tuple[Decimal, int]:
    size, p = _read_length(b, p)
    unscaled = int.from_bytes(b[p : p + size], "big", signed=True)
    if abs(unscaled) >= 10**MOST_DIGITS:
        raise CorruptRecord(f"a decimal of more than {MOST_DIGITS} digits")
    return Decimal(unscaled).scaleb(-scale, _EXACT), p + size


def _misplaced(b: bytes, p: int) -> CorruptRecord:
    if p < len(b):
        return CorruptRecord(f"{len(b) - p} bytes follow the event")
    return CorruptRecord(f"the event ends {p - len(b)} bytes before its last field does")


def _wrong_branch(branch: int) -> CorruptRecord:
    return CorruptRecord(f"branch {branch} of a nullable field")


def _nullable(name: str, read: str) -> list[str]:
    return [
        "u = b[p]",
        "p += 1",
        f"if u == {_VALUE}:",
        *(f"    {line}" for line in read.format(name).splitlines()),
        f"elif u == {_NULL}: {name} = None",
        "else: raise wrong_branch(u)",
    ]


def _step_nullable(step: str) -> list[str]:
    return [
        "u = b[p]",
        "p += 1",
        f"if u == {_VALUE}:",
        *(f"    {line}" for line in step.splitlines()),
        f"elif u != {_NULL}: raise wrong_branch(u)",
    ]


_TEXT = """n = b[p]
if n & 0x81: {0}, p = read_text(b, p)
else:
    e = p + 1 + (n >> 1)
    {0} = b[p + 1 : e].decode()
    p = e"""
_MAP = "{0}, p = read_map(b, p)"
_LONG = "{0}, p = read_long(b, p)"
_SHORT_LONG = """n = b[p]
if n & 0x80: {0}, p = read_long(b, p)
else:
    {0} = (n >> 1) ^ -(n & 1)
    p += 1"""
_BOOLEAN = """n = b[p]
p += 1
if n > 1: raise wrong_branch(n)
{0} = n == 1"""
_READS: dict[AttributeKind, str] = {
    AttributeKind.STRING: _TEXT,
    AttributeKind.NUMBER: "{0} = double(b, p)[0]\np += 8",
    AttributeKind.BOOLEAN: _BOOLEAN,
    AttributeKind.TIME: _LONG,
    AttributeKind.INTEGER: _SHORT_LONG,
    AttributeKind.DECIMAL: "{0}, p = read_decimal(b, p, SCALE)",
    AttributeKind.JSON: _TEXT,
}
"""The lines that read a value, by kind."""

_STEP_TEXT = """n = b[p]
if n & 0x81: p = step_text(b, p)
else: p += 1 + (n >> 1)"""
_STEP_UUIDS = f"if b[p : p + 1] == b[p + 37 : p + 38] == {b'H'!r} and b[p + 74 :] == {bytes(3)!r}: p += 77"
"""Two UUIDs as text and nothing else: what most events end with."""
_STEP_LONG = """if from_bytes(b[p : p + 8], "little") & 0x8080_8080_8080_8080 == 0x0080_8080_8080_8080: p += 8
else: _, p = read_long(b, p)"""
_STEP_SHORT_LONG = """if b[p] & 0x80: _, p = read_long(b, p)
else: p += 1"""
_STEPS: dict[AttributeKind, str] = {
    AttributeKind.STRING: _STEP_TEXT,
    AttributeKind.NUMBER: "p += 8",
    AttributeKind.BOOLEAN: "p += 1",
    AttributeKind.TIME: _STEP_LONG,
    AttributeKind.INTEGER: _STEP_SHORT_LONG,
    AttributeKind.DECIMAL: _STEP_TEXT,
    AttributeKind.JSON: _STEP_TEXT,
}
"""The lines that step over a value, by kind."""

_SCOPE: dict[str, Any] = {
    "from_bytes": int.from_bytes,
    "NOTHING": MappingProxyType({}),
    "step_text": _step_text,
    "double": struct.Struct("<d").unpack_from,
    "read_long": read_long,
    "read_text": read_text,
    "read_identifiers": read_identifiers,
    "read_map": read_map,
    "read_decimal": _read_decimal,
    "misplaced": _misplaced,
    "wrong_branch": _wrong_branch,
}
