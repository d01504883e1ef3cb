"""Whether a new Avro schema may follow the earlier ones of its subject, by Avro's schema resolution.

``BACKWARD``: readers with the new schema read what was written with the latest earlier one; ``FORWARD``: readers with
the earlier one read what is written with the new one; ``FULL``: both; ``…_TRANSITIVE``: with every earlier schema.

The rules are those of the Avro specification ("Schema Resolution"), and one more: logical types must agree, with a
decimal's digits. Avro would let a reader take a text for the digits of a decimal, or a time for a number.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastavro.schema import SchemaParseException, parse_schema

from schemas.avro import specification
from schemas.avro.attributes import member
from schemas.avro.schema import NAME_PROPERTY, TYPE_PROPERTY
from schemas.model.errors import IncompatibleSchema, InvalidRequest, Problem
from schemas.model.event_type import Compatibility

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BACKWARD = frozenset(
    {Compatibility.BACKWARD, Compatibility.BACKWARD_TRANSITIVE, Compatibility.FULL, Compatibility.FULL_TRANSITIVE}
)
_FORWARD = frozenset(
    {Compatibility.FORWARD, Compatibility.FORWARD_TRANSITIVE, Compatibility.FULL, Compatibility.FULL_TRANSITIVE}
)
TRANSITIVE = frozenset(
    {Compatibility.BACKWARD_TRANSITIVE, Compatibility.FORWARD_TRANSITIVE, Compatibility.FULL_TRANSITIVE}
)

_PROMOTIONS = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""Writer's type to the reader's types that it can be read as, itself apart."""

_LOGICAL = ("logicalType", "precision", "scale")
_NAMED = frozenset({"record", "enum", "fixed"})


def check(new_text: str, earlier: Sequence[str], level: Compatibility) -> None:
    """Check a new schema's JSON text against the earlier ones of its subject, oldest first.

    Raises:
        IncompatibleSchema: it breaks ``level``; each problem names the field and says why.
        InvalidRequest: one of the texts is no Avro schema.
    """
    new = _Schema(new_text)
    if level is Compatibility.NONE:
        return
    problems: list[Problem] = []
    for text in earlier if level in TRANSITIVE else earlier[-1:]:
        old = _Schema(text)
        if level in _BACKWARD:
            problems += _Resolution(reader=new, writer=old, new_reads=True).problems()
        if level in _FORWARD:
            problems += _Resolution(reader=old, writer=new, new_reads=False).problems()
    if problems:
        distinct = list(dict.fromkeys(problems))
        first = distinct[0]
        raise IncompatibleSchema(f"Not {level.value} compatible: {first.path} {first.message}.", distinct)


class _Schema:
    """A parsed schema; references to named types are looked up by full name."""

    def __init__(self, text: str) -> None:
        self._named: dict[str, dict[str, Any]] = {}
        specification.canonical(text)
        try:
            self.root: Any = parse_schema(_plain(json.loads(text)), named_schemas=self._named)
            _check_registered_names(self._named)
        except (SchemaParseException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InvalidRequest(f"not an Avro schema: {error}") from error

    def resolved(self, node: Any) -> Any:
        """A union's list, or a definition as a dict."""
        if isinstance(node, list):
            return node
        if isinstance(node, str):
            return self._named.get(node, {"type": node})
        return self.resolved(node["type"]) if isinstance(node["type"], dict | list) else node


def _plain(given: Any) -> Any:
    """A valid schema without objects whose ``type`` is a schema: they stand for it, and the parser knows them not."""
    if isinstance(given, list):
        return [_plain(branch) for branch in given]
    if not isinstance(given, dict):
        return given
    if not isinstance(given["type"], str):
        return _plain(given["type"])
    inner = {name: _plain(given[name]) for name in ("items", "values") if name in given}
    if given["type"] in ("record", "error"):
        inner["fields"] = [each | {"type": _plain(each["type"])} for each in given["fields"]]
    return given | inner


def _check_registered_names(named: dict[str, dict[str, Any]]) -> None:
    """See that attributes' names as registered are texts: to the parser they are properties that may be anything.

    Raises:
        TypeError: one is something else.
    """
    for definition in named.values():
        for each in definition.get("fields", ()):
            if not isinstance(each.get(NAME_PROPERTY, ""), str):
                raise TypeError(f"a name that is no text: {each[NAME_PROPERTY]!r}")


class _Resolution:
    """What keeps ``reader`` from reading what ``writer`` wrote; ``new_reads`` says which of the two is the new one."""

    def __init__(self, *, reader: _Schema, writer: _Schema, new_reads: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._new_reads = new_reads
        self._seen: set[tuple[str, str]] = set()

    def problems(self) -> list[Problem]:
        return list(self._resolve(self._reader.root, self._writer.root, "$"))

    def _resolve(self, reader: Any, writer: Any, path: str) -> Iterator[Problem]:
        reader, writer = self._reader.resolved(reader), self._writer.resolved(writer)
        if isinstance(writer, list):
            for branch in writer:
                yield from self._resolve(reader, branch, path)
        elif isinstance(reader, list):
            yield from self._resolve_branch(reader, writer, path)
        elif not _same_kind(reader, writer):
            yield self._mismatch(reader, writer, path)
        elif reader["type"] in _NAMED:
            names = (reader["name"], writer["name"])
            if names not in self._seen:
                self._seen.add(names)
                yield from self._resolve_named(reader, writer, path)
        elif reader["type"] == "array":
            yield from self._resolve(reader["items"], writer["items"], f"{path}[*]")
        elif reader["type"] == "map":
            yield from self._resolve(reader["values"], writer["values"], f"{path}[*]")

    def _resolve_branch(self, reader: list[Any], writer: Any, path: str) -> Iterator[Problem]:
        branches = [self._reader.resolved(branch) for branch in reader]
        alike = [branch for branch in branches if _same_kind(branch, writer)]
        exact = [branch for branch in alike if branch["type"] == writer["type"]]
        if alike:
            yield from self._resolve((exact or alike)[0], writer, path)
        else:
            yield self._mismatch(reader, writer, path)

    def _resolve_named(self, reader: Any, writer: Any, path: str) -> Iterator[Problem]:
        if reader["type"] == "record":
            yield from self._resolve_fields(reader, writer, path)
        elif reader["type"] == "fixed" and reader["size"] != writer["size"]:
            yield self._mismatch(reader, writer, path)
        elif reader["type"] == "enum" and "default" not in reader:
            unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if unknown:
                symbols = ", ".join(unknown)
                yield self._problem(path, f"no longer has the symbols {symbols}", f"has the new symbols {symbols}")

    def _resolve_fields(self, reader: Any, writer: Any, path: str) -> Iterator[Problem]:
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            at = member(path, field.get(NAME_PROPERTY, field["name"]))
            names = (field["name"], *field.get("aliases", ()))
            found = next((written[name] for name in names if name in written), None)
            if found is not None:
                yield from self._resolve_field(field, found, at)
            elif "default" not in field:
                yield self._problem(at, "is new and has no default", "is removed and had no default")

    def _resolve_field(self, reader: Any, writer: Any, path: str) -> Iterator[Problem]:
        problems = list(self._resolve(reader["type"], writer["type"], path))
        registered = (reader.get(TYPE_PROPERTY), writer.get(TYPE_PROPERTY))
        if problems and None not in registered and registered[0] != registered[1]:
            yield self._change(path, reader=str(registered[0]), writer=str(registered[1]))
        else:
            yield from problems

    def _mismatch(self, reader: Any, writer: Any, path: str) -> Problem:
        return self._change(path, reader=_described(reader), writer=_described(writer))

    def _change(self, path: str, *, reader: str, writer: str) -> Problem:
        before, after = (writer, reader) if self._new_reads else (reader, writer)
        change = f"changes from {before} to {after}"
        return self._problem(path, change, change)

    def _problem(self, path: str, if_new_reads: str, if_old_reads: str) -> Problem:
        """What changed, and who cannot read what because of it."""
        if self._new_reads:
            return Problem(path=path, message=f"{if_new_reads}, so that earlier events could not be read")
        return Problem(path=path, message=f"{if_old_reads}, so that readers of an earlier version could not read on")


def _same_kind(reader: Any, writer: Any) -> bool:
    """Whether the two match before their parts are looked at."""
    if isinstance(reader, list) or any(reader.get(name) != writer.get(name) for name in _LOGICAL):
        return False
    if reader["type"] != writer["type"]:
        return reader["type"] in _PROMOTIONS.get(writer["type"], ())
    if reader["type"] not in _NAMED:
        return True
    names = {_unqualified(name) for name in (reader["name"], *reader.get("aliases", ()))}
    return _unqualified(writer["name"]) in names


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2]


def _described(node: Any) -> str:
    if isinstance(node, list):
        return " or ".join(_described(branch) for branch in node)
    kind = node if isinstance(node, str) else node["type"]
    if not isinstance(kind, str):
        return _described(kind)
    if kind == "fixed":
        return f"fixed {node['name']} of {node['size']} bytes"
    if kind in _NAMED:
        return f"{kind} {node['name']}"
    details = [str(node[name]) for name in _LOGICAL if name in node] if isinstance(node, dict) else []
    return f"{kind} ({', '.join(details)})" if details else kind
