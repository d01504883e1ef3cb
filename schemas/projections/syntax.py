"""Reads JMESPath expressions, and says where one is wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

from jmespath import exceptions
from jmespath.lexer import Lexer
from jmespath.parser import Parser

from schemas.model.errors import InvalidProjection
from schemas.projections import exact_json
from schemas.projections.functions import BoundedFunctions

Node = dict[str, Any]

LONGEST = 4_096
"""Characters of an expression."""

MOST_NODES = 500
"""Parts of an expression: fields, functions, literals, and what joins them."""

DEEPEST = 50
"""Parts inside one another."""

_NESTED = f"is nested more than {DEEPEST} deep"


_NO_VALUE = "&… is no value: it stands only where a function takes an expression"


class _Place(NamedTuple):
    """A part of an expression that is still to be looked at."""

    node: Node
    depth: int


def parse(expression: str) -> Node:
    """The syntax tree of an expression; each part has its ``start``.

    Raises:
        InvalidProjection: with the position of the error.
    """
    if len(expression) > LONGEST:
        raise InvalidProjection(f"has more than {LONGEST:,} characters", LONGEST)
    try:
        tree: Node = _Parser()._do_parse(expression).parsed  # noqa: SLF001  # ``parse`` keeps what it parsed for good
    except exceptions.EmptyExpressionError as error:
        raise InvalidProjection("must not be empty", 0) from error
    except exceptions.LexerError as error:
        raise InvalidProjection(_sentence(error.message), error.lexer_position) from error
    except exceptions.IncompleteExpressionError as error:
        raise InvalidProjection("ends too early", len(expression)) from error
    except exceptions.ParseError as error:
        raise InvalidProjection(f"{error.token_value!r} is not expected here", error.lex_position) from error
    except RecursionError as error:
        raise InvalidProjection(_NESTED, 0) from error
    _check(tree)
    return tree


class _Lexer(Lexer):  # type: ignore[misc]  # the library has no types
    """The library's, with exact numbers in literals, which must be JSON."""

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        lexeme = self._consume_until("`").replace("\\`", "`")
        try:
            value = exact_json.loads(lexeme)
        except (ValueError, RecursionError) as error:
            message = "a literal must be JSON: a text has quotation marks, or is written '…'"
            raise exceptions.LexerError(start, lexeme, message) from error
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


class _Parser(Parser):  # type: ignore[misc]  # as above
    """The library's; each part of the tree says where it begins."""

    def _parse(self, expression: str) -> Any:
        self._tokens = list(_Lexer().tokenize(expression))
        self._index = 0
        tree = self._expression(binding_power=0)
        token = self._lookahead_token(0)
        if token["type"] != "eof":
            raise exceptions.ParseError(token["start"], token["value"], token["type"], "unexpected")
        return _Parsed(tree)

    def _expression(self, binding_power: int = 0) -> Node:
        start = self._lookahead_token(0)["start"]
        node: Node = super()._expression(binding_power)
        node.setdefault("start", start)
        return node


class _Parsed(NamedTuple):
    parsed: Node


def _check(tree: Node) -> None:
    """Refuse what the interpreter would refuse on every event, and trees that are too large."""
    if tree["type"] == "expref":
        raise InvalidProjection(_NO_VALUE, 0)
    waiting, count = [_Place(tree, 1)], 0
    start = 0
    while waiting:
        node, depth = waiting.pop()
        start = node.get("start", start)
        count += 1
        if count > MOST_NODES:
            raise InvalidProjection(f"has more than {MOST_NODES} parts", start)
        if depth > DEEPEST:
            raise InvalidProjection(_NESTED, start)
        if node["type"] == "function_expression":
            _check_call(node, start)
        elif node["type"] == "slice" and node["children"][2] == 0:
            raise InvalidProjection("a slice cannot have steps of 0", start)
        if node["type"] != "function_expression":
            _check_values(node, start)
        waiting += [_Place(child, depth + 1) for child in reversed(node["children"]) if isinstance(child, dict)]


def _check_values(node: Node, start: int) -> None:
    for child in node["children"]:
        if isinstance(child, dict) and child["type"] == "expref":
            raise InvalidProjection(_NO_VALUE, child.get("start", start))


def _check_call(node: Node, start: int) -> None:
    name, given = node["value"], len(node["children"])
    known = BoundedFunctions.FUNCTION_TABLE.get(name)
    if known is None:
        raise InvalidProjection(f"there is no function {name}()", start)
    signature = known["signature"]
    least = len(signature)
    if given < least or (given > least and not signature[-1].get("variadic")):
        raise InvalidProjection(f"{name}() takes {least} arguments, not {given}", start)
    for number, argument in enumerate(node["children"]):
        takes_one = "expref" in signature[min(number, least - 1)]["types"]
        if takes_one and argument["type"] != "expref":
            raise InvalidProjection(f"argument {number + 1} of {name}() is an expression: write it as &…", start)
        if argument["type"] == "expref" and not takes_one:
            raise InvalidProjection(_NO_VALUE, argument.get("start", start))


def _sentence(message: str) -> str:
    return " ".join(message.split())[:200]
