"""Avro schemas by the specification (1.12): what is valid, and the canonical form by which two are equal.

The canonical form is the specification's "Parsing Canonical Form" with the logical types left in: two decimals of
another scale have the same bytes, but not the same meaning.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from schemas.model import numbers
from schemas.model.errors import InvalidRequest

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NAMESPACE = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)?", re.ASCII)
_ORDERS = ("ascending", "descending", "ignore")
_LOGICAL = ("logicalType", "precision", "scale")
_INTEGERS = {"int": 2**31, "long": 2**63}


class _Invalid(Exception):
    """Why a text is no schema."""


def canonical(text: str) -> str:
    """Return the canonical form of a schema's JSON text.

    Raises:
        InvalidRequest: it is no valid schema; the error says why.
    """
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
        return json.dumps(_Reader().schema(parsed, ""), separators=(",", ":"))
    except (_Invalid, ValueError, RecursionError) as error:
        raise InvalidRequest(f"not an Avro schema: {error}") from error


class _Reader:
    """Reads one schema from the outside in, so that a name is defined before it is used."""

    def __init__(self) -> None:
        self._named: dict[str, dict[str, Any]] = {}

    def schema(self, given: Any, namespace: str) -> Any:  # noqa: PLR0911 -- one case a kind of schema
        """The canonical form of a schema that stands in a namespace."""
        if isinstance(given, str):
            return self._reference(given, namespace)
        if isinstance(given, list):
            return self._union(given, namespace)
        if not isinstance(given, dict) or "type" not in given:
            _refuse("a schema is a name, a union or an object with a type", given)
        kind = given["type"]
        if not isinstance(kind, str):
            return self.schema(kind, namespace)
        logical = {name: given[name] for name in _LOGICAL if name in given and "logicalType" in given}
        match kind:
            case "record" | "error":
                return self._record(given, namespace)
            case "enum":
                return self._enum(given, namespace)
            case "fixed":
                return self._fixed(given, namespace) | logical
            case "array":
                return {"type": "array", "items": self.schema(_member(given, "items"), namespace)}
            case "map":
                return {"type": "map", "values": self.schema(_member(given, "values"), namespace)}
        named = self._reference(kind, namespace)
        return {"type": named} | logical if logical and named in PRIMITIVES else named

    def _reference(self, name: str, namespace: str) -> str:
        if name in PRIMITIVES:
            return name
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._named:
            _refuse("no such type", name)
        return full

    def _union(self, given: list[Any], namespace: str) -> list[Any]:
        branches = [self.schema(branch, namespace) for branch in given]
        kinds: set[str] = set()
        for branch, written in zip(branches, given, strict=True):
            if isinstance(branch, list):
                _refuse("a union directly in a union", written)
            kind = branch if isinstance(branch, str) else branch.get("name", branch["type"])
            if kind in kinds:
                _refuse("a union with one type twice", kind)
            kinds.add(kind)
        return branches

    def _define(self, given: dict[str, Any], namespace: str) -> tuple[dict[str, Any], str]:
        """A named type, known from here on; and the namespace that its parts stand in."""
        name, own = _member(given, "name"), given.get("namespace", namespace)
        if not isinstance(name, str) or not isinstance(own, str):
            _refuse("a name that is no text", name)
        if "." in name:
            own, _, name = name.rpartition(".")
        if not _NAME.fullmatch(name) or not _NAMESPACE.fullmatch(own):
            _refuse("a name that Avro does not allow", given["name"])
        full = f"{own}.{name}" if own else name
        if name in PRIMITIVES:
            _refuse("a type that is named like a primitive one", full)
        if full in self._named:
            _refuse("a name that is defined twice", full)
        _check_aliases(given, _NAMESPACE)
        self._named[full] = found = {"name": full, "type": given["type"]}
        return found, own

    def _record(self, given: dict[str, Any], namespace: str) -> dict[str, Any]:
        found, own = self._define(given, namespace)
        fields = _member(given, "fields")
        if not isinstance(fields, list):
            _refuse("fields that are no list", fields)
        found["type"], found["fields"] = "record", []
        names: set[str] = set()
        for field in fields:
            if not isinstance(field, dict):
                _refuse("a field that is no object", field)
            name = _member(field, "name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                _refuse("a field's name that Avro does not allow", name)
            if name in names:
                _refuse("a field that is listed twice", name)
            names.add(name)
            _check_aliases(field, _NAME)
            if field.get("order", "ascending") not in _ORDERS:
                _refuse("an order that there is not", field["order"])
            of = self.schema(_member(field, "type"), own)
            found["fields"].append({"name": name, "type": of, "default": field.get("default")})
            if "default" not in field:
                del found["fields"][-1]["default"]
            elif not self._fits(field["default"], of):
                _refuse(f"a default of field {name!r} that does not fit its type", field["default"])
        return {**found, "fields": [{"name": each["name"], "type": each["type"]} for each in found["fields"]]}

    def _enum(self, given: dict[str, Any], namespace: str) -> dict[str, Any]:
        found, _ = self._define(given, namespace)
        symbols = _member(given, "symbols")
        if not isinstance(symbols, list):
            _refuse("symbols that are no list", symbols)
        for symbol in symbols:
            if not isinstance(symbol, str) or not _NAME.fullmatch(symbol):
                _refuse("a symbol that Avro does not allow", symbol)
        if len(set(symbols)) < len(symbols):
            _refuse("an enum with one symbol twice", found["name"])
        if "default" in given and given["default"] not in symbols:
            _refuse("a default that is no symbol of its enum", given["default"])
        found["symbols"] = symbols
        return found

    def _fixed(self, given: dict[str, Any], namespace: str) -> dict[str, Any]:
        found, _ = self._define(given, namespace)
        size = _member(given, "size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _INTEGERS["int"]:
            _refuse("a size that is no number of bytes", size)
        found["size"] = size
        return found

    def _fits(self, value: Any, of: Any) -> bool:  # noqa: C901, PLR0911 -- one case a type
        """Whether JSON is a value of a schema, as a field's default has to be (the table of section "Records")."""
        if isinstance(of, list):
            return any(self._fits(value, branch) for branch in of)
        if isinstance(of, str):
            of = self._named.get(of, {"type": of})
        kind = of["type"]
        match kind:
            case "null":
                return value is None
            case "boolean":
                return isinstance(value, bool)
            case "int" | "long":
                return type(value) is int and -_INTEGERS[kind] <= value < _INTEGERS[kind]
            case "float" | "double":
                return type(value) in (int, float)
            case "string":
                return isinstance(value, str)
            case "bytes" | "fixed":
                is_bytes = isinstance(value, str) and all(ord(each) <= 0xFF for each in value)  # noqa: PLR2004 -- a byte
                return is_bytes and len(value) == of.get("size", len(value))
            case "enum":
                return isinstance(value, str) and value in of["symbols"]
            case "array":
                return isinstance(value, list) and all(self._fits(each, of["items"]) for each in value)
            case "map":
                return isinstance(value, dict) and all(self._fits(each, of["values"]) for each in value.values())
        return isinstance(value, dict) and all(
            self._fits(value[each["name"]], each["type"]) if each["name"] in value else "default" in each
            for each in self._named[of["name"]]["fields"]
        )


def _check_aliases(given: dict[str, Any], allowed: re.Pattern[str]) -> None:
    aliases = given.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(each, str) and each for each in aliases):
        _refuse("aliases that are no list of names", aliases)
    for each in aliases:
        if not allowed.fullmatch(each):
            _refuse("an alias that Avro does not allow", each)


def _member(given: dict[str, Any], name: str) -> Any:
    if name not in given:
        _refuse(f"no {name}", given)
    return given[name]


def _integer(text: str) -> int:
    if len(text) > numbers.MOST_DIGITS:
        raise _Invalid(numbers.TOO_LONG)
    return int(text)


def _refuse_constant(name: str) -> None:
    raise _Invalid(f"{name} is not JSON")


def _refuse(message: str, where: Any) -> NoReturn:
    shown = repr(where)
    raise _Invalid(f"{message}: {shown if len(shown) <= 100 else shown[:100] + '…'}")  # noqa: PLR2004 -- characters shown
