"""What one GraphQL document may ask for; the measuring must be quick where the validation would not be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from graphql import get_introspection_query, parse, specified_rules
from strawberry.schema.schema import validate_document

from backbone.slices import Slices
from families.event_service.http.limits import limits_exceeded
from families.event_service.http.routes import schema


async def executed(document: str) -> Any:
    context = SimpleNamespace(gateway=SimpleNamespace(slices=Slices()))
    return await schema().execute(document, context_value=context)  # type: ignore[arg-type]  # what a query needs


def _refusal(document: str) -> str | None:
    error = limits_exceeded(parse(document))
    return None if error is None else error.message


def _doubling(fragments: int) -> str:
    """Each fragment spreads the next one twice: two to the power of ``fragments`` fields."""
    steps = "".join(f" fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(fragments))
    return "{ ...f0 }" + steps + f" fragment f{fragments} on Query {{ a: __typename }}"


def test_what_graphiql_asks_for_passes() -> None:
    assert _refusal(get_introspection_query(schema_description=True, input_value_deprecation=True)) is None


def test_fragments_count_wherever_they_are_spread() -> None:
    assert _refusal(_doubling(5)) is None
    assert _refusal(_doubling(7)) == "The document has more than 100 aliases."
    assert _refusal(_doubling(150)) == "The document has more than 2,000 fields and spreads."


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("{ a " * 15 + "}" * 15, None),
        ("{ a " * 16 + "}" * 16, "The document has more than 15 levels."),
        ("{ ...f } fragment f on Query " + "{ a " * 16 + "}" * 16, "The document has more than 15 levels."),
        ("{" + " ".join(f"a{n}: b" for n in range(101)) + "}", "The document has more than 100 aliases."),
        ("{" + "a { b } " * 150 + "}", None),
        ("{" + "a { b } " * 151 + "}", "The document has more than 150 fields of one name."),
        (
            "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
            "Cannot spread fragment 'a' within itself.",
        ),
        ("{ ...unknown }", None),
        ("fragment unused on Query { a }", None),
        ("fragment unused on Query {" + "a " * 151 + "}", "The document has more than 150 fields of one name."),
    ],
)
def test_each_limit(document: str, refusal: str | None) -> None:
    assert _refusal(document) == refusal


def test_a_chain_of_fragments_of_any_length_is_an_error_at_most() -> None:
    chain = "".join(f" fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(1_500))
    assert _refusal("{ ...f0 }" + chain + " fragment f1500 on Query { a }") == "The document is nested too deeply."


async def test_a_document_over_a_limit_is_not_validated_and_not_executed() -> None:
    result = await executed("{ a " * 16 + "}" * 16)
    assert [error.message for error in result.errors or ()] == ["The document has more than 15 levels."]


async def test_the_validation_ends_after_twenty_errors() -> None:
    result = await executed("{" + " ".join(f"f{number}" for number in range(1_900)) + "}")
    messages = [error.message for error in result.errors or ()]
    assert messages[:2] == [f"Cannot query field 'f{number}' on type 'Query'." for number in range(2)]
    assert len(messages) == 21
    assert "aborted" in messages[-1]


async def test_the_rules_are_those_of_strawberry() -> None:
    for document in ("{ __typename }", "{ endpoints(filters: 1) { totalCount } }", "query ($a: Int) { __typename }"):
        ours = (await executed(document)).errors or []
        theirs = validate_document(schema()._schema, parse(document), specified_rules)
        assert [each.message for each in ours] == [each.message for each in theirs]
