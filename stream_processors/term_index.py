"""Finds the few of many conditions that an event may satisfy, by equality terms that they cannot match without."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from schemas.alternatives import elements, scalar_key
from schemas.filter_fields import FIELDS, FIELDS_IN_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.filter_fields import FilterView
    from schemas.filters import EqualityTerm

T = TypeVar("T")


class TermIndex(Generic[T]):
    """Items by one equality term each: of the terms that an item has, the one that it shares with the fewest others.

    The cost of a lookup grows with the size of the event or with the number of indexed fields, whichever is smaller,
    and with the items found; not with the items that are not.

    Args:
        items: with the equality terms of each, at least one.
    """

    def __init__(self, items: Sequence[tuple[T, Sequence[EqualityTerm]]]) -> None:
        sharing = Counter((term.path, key) for _, terms in items for term in terms for key in term.keys)

        def cost(term: EqualityTerm) -> tuple[int, bool]:
            return max(sharing[term.path, key] for key in term.keys), term.path[0] in FIELDS_IN_VALUE

        root: _Node[T] = _Node()
        for item, terms in items:
            root.add(min(terms, key=cost), item)
        self._fields = [(FIELDS[name], node) for name, node in root.children.items()]

    def find(self, event: FilterView) -> Iterable[T]:
        """Every item whose indexed term the event satisfies, once each."""
        found: dict[int, list[T]] = {}
        for read, node in self._fields:
            node.collect(read(event), found)
        if not found:
            return ()
        if len(found) == 1:
            return next(iter(found.values()))
        # Several values of one array may lead to the same item.
        return {id(item): item for items in found.values() for item in items}.values()


class _Node(Generic[T]):
    """A place in the event: the items that ask for a value there, and the places inside it."""

    __slots__ = ("children", "items")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.items: dict[Any, list[T]] = {}

    def add(self, term: EqualityTerm, item: T) -> None:
        node = self
        for name in term.path:
            node = node.children.setdefault(name, _Node())
        for key in term.keys:
            node.items.setdefault(key, []).append(item)

    def collect(self, value: Any, found: dict[int, list[T]]) -> None:
        """Add the items that ask for a value, each list once: an array may hold the same value very often."""
        if value.__class__ is list:
            for element in elements(value):
                self.collect(element, found)
        elif value.__class__ is dict:
            children = self.children
            for name in children if len(children) < len(value) else value:
                if name in children and name in value:
                    children[name].collect(value[name], found)
        else:
            items = self.items.get(scalar_key(value))
            if items is not None:
                found[id(items)] = items
