"""YAML as the catalog's files use it: plain values only, each written in one way.

The reader takes less than YAML allows. Aliases, tags and repeated keys are refused: the first two let a small file
stand for a large one or for something else, and of the last one value would be lost.
"""

from __future__ import annotations

from typing import Any

import yaml

from schemas.model.errors import InvalidRequest, MalformedBody, Problem

_WIDTH = 1_000_000
"""Columns: a long text stays on one line, so that a changed one is one changed line."""

_DEEPEST = 50
"""Levels of collections."""

_TEXT = "tag:yaml.org,2002:str"
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]  # the library has no types
    """Texts that look like times stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]  # as above
    """Nothing is written as an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # as the library calls it
        """Write each value where it stands."""
        return True


def dump(document: Any) -> str:
    """Return YAML; the keys of mappings stay in their order."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    return text


def load(text: bytes) -> Any:
    """Read YAML.

    Raises:
        InvalidRequest: it is none, or uses what a file of the catalog has no need of; says where.
    """
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("The file is not UTF-8.") from error
    try:
        _check_events(decoded)
        return _constructed(decoded)
    except yaml.YAMLError as error:
        raise MalformedBody("The file is no YAML.", [_problem(error)]) from error
    except (ValueError, OverflowError) as error:
        raise MalformedBody("The file has a value that cannot be read.") from error


def _check_events(text: str) -> None:
    """Look through the file before it is built: a deep one makes the library's composer overflow the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, "is an alias (*name): write the value out")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise _refused(event, "has an anchor (&name): leave it out")
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _PLAIN:
            raise _refused(event, f"has the tag {tag[:100]}: leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _refused(event, f"is nested deeper than {_DEEPEST} levels")


def _constructed(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_keys(node: yaml.Node) -> None:
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _check_keys(each)
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
                raise _refused(key, "must be a name")
            if key.value in keys:
                raise _refused(key, f"has the key {key.value[:100]} twice")
            keys.add(key.value)
            _check_keys(value)


def _refused(node: yaml.Node | yaml.Event, message: str) -> InvalidRequest:
    return MalformedBody("The file cannot be read.", [Problem(path=_place(node.start_mark), message=message)])


def _problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error)
    return Problem(path="$" if mark is None else _place(mark), message=message)


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"
