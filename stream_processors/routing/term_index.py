"""Finds the few of many conditions that an event may satisfy, by equality terms that they cannot match without."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from schemas.filters.fields import FIELDS, FIELDS_IN_VALUE
from schemas.filters.operators import elements, scalar_key
from schemas.model.numbers import LONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.filters.conditions import EqualityTerm
    from schemas.filters.fields import FilterView

T = TypeVar("T")


class TermIndex(Generic[T]):
    """Items by one equality term each: the term that the item shares with the fewest others.

    The cost of a lookup grows with the items found, and with the size of the event or the number of indexed fields,
    whichever is smaller. It does not grow with the other items.

    Args:
        items: each with its equality terms, at least one.
    """

    def __init__(self, items: Sequence[tuple[T, Sequence[EqualityTerm]]]) -> None:
        sharing: Counter[tuple[tuple[str, ...], Any]] = Counter()
        if any(len(terms) > 1 for _, terms in items):
            sharing.update((term.path, key) for _, terms in items for term in terms for key in term.keys)

        def cost(term: EqualityTerm) -> tuple[int, bool]:
            return max(sharing[term.path, key] for key in term.keys), term.path[0] in FIELDS_IN_VALUE

        root: _Node[T] = _Node()
        for item, terms in items:
            root.add(terms[0] if len(terms) == 1 else min(terms, key=cost), item)
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
    """A place in the event: the items that want a value there, and the places inside it."""

    __slots__ = ("children", "items", "numbers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.items: dict[Any, list[T]] = {}
        self.numbers: set[float] = set()
        """The doubles nearest to the wanted numbers."""

    def add(self, term: EqualityTerm, item: T) -> None:
        node = self
        for name in term.path:
            node = node.children.setdefault(name, _Node())
        for key in term.keys:
            node.items.setdefault(key, []).append(item)
            number = key[0] if key.__class__ is tuple else key
            if isinstance(number, int | float | Decimal):
                node.numbers.add(float(number))

    def collect(self, value: Any, found: dict[int, list[T]]) -> None:
        """Add the items that want a value, each list once: an array may hold the same value very often."""
        if value.__class__ is list:
            self._collect_all(value, found)
        elif value.__class__ is dict:
            self._collect_members(value, found)
        else:
            items = self.items.get(scalar_key(value))
            if items is not None:
                found[id(items)] = items

    def _collect_all(self, array: Iterable[Any], found: dict[int, list[T]]) -> None:
        """``collect`` for each element; without a budget, so that most elements of a long array take 50 ns."""
        items, numbers, children = self.items, self.numbers, self.children
        for element in array:
            kind = element.__class__
            if kind is str or (kind is int and -LONG < element < LONG):
                if element in items:
                    asking = items[element]
                    found[id(asking)] = asking
            elif kind is Decimal or kind is float:
                # Its key takes long to calculate, and equal numbers have the same nearest double.
                if numbers and float(element) in numbers:
                    self.collect(element, found)
            elif kind is dict:
                if children:
                    self._collect_members(element, found)
            elif kind is list:
                if element:
                    self._collect_all(elements(element), found)
            else:
                self.collect(element, found)

    def _collect_members(self, members: dict[str, Any], found: dict[int, list[T]]) -> None:
        children = self.children
        for name in children if len(children) < len(members) else members:
            if name in children and name in members:
                child, value = children[name], members[name]
                if value.__class__ is not str:
                    child.collect(value, found)
                elif value in child.items:
                    asking = child.items[value]
                    found[id(asking)] = asking
