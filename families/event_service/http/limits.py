"""How much one GraphQL document may ask for, found out before it is validated, in time that its length bounds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LEVELS, SELECTIONS, ALIASES, REPEATS = 15, 2_000, 100, 150
"""The most that an operation may have: levels of fields; fields and spreads, with each fragment counted wherever it is
spread; aliases, counted likewise. And how often a document may name one field: those are compared in pairs.

GraphiQL's introspection has 13 levels.
"""

_MOST_ERRORS = 20
"""Of one document, after which the validation ends: each takes a millisecond. graphql-core's own limit is 100."""

_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
"""As Strawberry has them, which knows no limit of errors."""


class DocumentLimits(SchemaExtension):
    """Refuses documents that would take long to validate or to execute, and validates the others. The last extension.

    Fragments that spread others make a short document a very long one. Each is measured once, so that the measuring
    takes no longer than the reading did.
    """

    async def on_validate(self) -> AsyncIterator[None]:
        """In the place of Strawberry's validation, which is left out when there are errors or none already.

        The document has been parsed in another turn: each takes up to 20 ms.
        """
        await self.execution_context.context.gateway.slices.turn()
        context = self.execution_context
        document = context.graphql_document
        if document is not None:
            error = limits_exceeded(document)
            if error is not None:
                context.pre_execution_errors = [error]
            elif context.pre_execution_errors is None:
                graphql_schema = context.schema._schema  # noqa: SLF001  # Strawberry's own extensions do so
                context.pre_execution_errors = validate(graphql_schema, document, _RULES, max_errors=_MOST_ERRORS)
        yield


class _Size(NamedTuple):
    """Of a selection set, with its fragments in the place of their spreads."""

    levels: int
    selections: int
    aliases: int


class _Endless(Exception):
    """A fragment spreads itself."""


def limits_exceeded(document: DocumentNode) -> GraphQLError | None:
    """Which limit a document exceeds; None for one that may go on.

    Whether its fragments exist, fit and are used is left to the validation.
    """
    measure = _Measure(document)
    try:
        sizes = [
            measure.selection_set(each.selection_set)
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        ]
        for each in document.definitions:
            if isinstance(each, FragmentDefinitionNode):
                measure.fragment(each.name.value)  # an unused one is validated too
    except _Endless as found:
        return GraphQLError(f"Cannot spread fragment '{found}' within itself.")
    except RecursionError:
        return GraphQLError("The document is nested too deeply.")
    found_and_allowed = (
        ("levels", max((size.levels for size in sizes), default=0), LEVELS),
        ("fields and spreads", max((size.selections for size in sizes), default=0), SELECTIONS),
        ("aliases", max((size.aliases for size in sizes), default=0), ALIASES),
        ("fields of one name", max(measure.names.values(), default=0), REPEATS),
    )
    for what, found_number, allowed in found_and_allowed:
        if found_number > allowed:
            return GraphQLError(f"The document has more than {allowed:,} {what}.")
    return None


class _Measure:
    """Measures the selection sets of one document.

    Attributes:
        names: how often each name of an answer's member is written in what was measured.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._sizes: dict[str, _Size | None] = {}
        self.names: Counter[str] = Counter()

    def selection_set(self, written: SelectionSetNode | None) -> _Size:
        """Its size.

        Raises:
            _Endless: a fragment spreads itself.
        """
        levels = selections = aliases = 0
        for each in written.selections if written is not None else ():
            if isinstance(each, FragmentSpreadNode):
                inner = self.fragment(each.name.value)
            elif isinstance(each, FieldNode | InlineFragmentNode):
                inner = self.selection_set(each.selection_set)
            level = 0
            if isinstance(each, FieldNode):
                level = 1
                aliases += each.alias is not None
                self.names[(each.alias or each.name).value] += 1
            levels = max(levels, inner.levels + level)
            selections += inner.selections + 1
            aliases += inner.aliases
        return _Size(levels, selections, aliases)

    def fragment(self, name: str) -> _Size:
        """The size of a fragment, nothing where there is none of the name.

        Raises:
            _Endless: it spreads itself.
        """
        if name in self._sizes:
            size = self._sizes[name]
            if size is None:
                raise _Endless(name)
            return size
        fragment = self._fragments.get(name)
        self._sizes[name] = None
        size = self._sizes[name] = self.selection_set(None if fragment is None else fragment.selection_set)
        return size
