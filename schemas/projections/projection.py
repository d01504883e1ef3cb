"""Evaluates a projection: bytes of JSON in, bytes of JSON out, within a budget."""

from __future__ import annotations

from typing import Any, NamedTuple

from jmespath import exceptions
from jmespath.functions import TYPES_MAP
from jmespath.visitor import Options, TreeInterpreter

from schemas.model.errors import ProjectionFailed, WorkExceeded
from schemas.projections import exact_json
from schemas.projections.functions import BoundedFunctions, Failed, is_number, same, take, take_items
from schemas.projections.syntax import Node, parse
from schemas.security.budget import PROJECTION_STEPS, Work

MOST_BYTES = 1_048_576
"""Of a projection's result."""


_CLOUDEVENT = {"specversion", "id", "source", "type"}
"""The attributes that every CloudEvent has."""


class Projected(NamedTuple):
    """A projection's result: JSON, and whether it is a CloudEvent still."""

    body: bytes
    is_cloudevent: bool


class Projection:
    """A compiled expression. Usable from any thread.

    Args:
        expression: JMESPath.

    Raises:
        InvalidProjection: with the position of the error.
    """

    def __init__(self, expression: str) -> None:
        self._tree = parse(expression)

    def __call__(self, document: bytes, work: Work | None = None) -> Projected:
        """What an expression makes of a JSON document; numbers that it does not compute are as they were.

        Args:
            document: JSON.
            work: the steps that it may take; None: ``PROJECTION_STEPS``.

        Raises:
            ProjectionFailed: it takes too many steps, calls a function with what it does not take, or gives null or
                too much. With the position in the expression.
        """
        work = Work(PROJECTION_STEPS) if work is None else work
        interpreter = _Interpreter(work)
        try:
            found = interpreter.visit(self._tree, exact_json.loads(document))
            if found is None:
                raise ProjectionFailed("gives null", 0)
            body = exact_json.dumps(found, work, MOST_BYTES).encode()
        except (exceptions.JMESPathError, Failed, WorkExceeded) as error:
            raise ProjectionFailed(_reason(error), interpreter.failed_at or 0) from error
        except RecursionError as error:
            raise ProjectionFailed("the event, or what becomes of it, is nested too deeply", 0) from error
        if len(body) > MOST_BYTES:
            raise ProjectionFailed(f"it gives more than {MOST_BYTES:,} bytes", 0)
        return Projected(body, isinstance(found, dict) and found.keys() >= _CLOUDEVENT)


class _Interpreter(TreeInterpreter):  # type: ignore[misc]  # the library has no types
    """The library's: takes a step for each part, and remembers which one failed.

    Attributes:
        failed_at: where that part begins.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(Options(custom_functions=BoundedFunctions(work)))
        self._work = work
        self.failed_at: int | None = None

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        work = self._work
        work.left -= 1
        try:
            if work.left < 0:
                work.more()
            return super().visit(node, *args, **kwargs)
        except Exception:
            if self.failed_at is None:
                self.failed_at = node.get("start")
            raise

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        given = [self.visit(child, value) for child in node["children"]]
        return self._functions.call_function(node["value"], given)

    def visit_comparator(self, node: Node, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        if node["value"] in self._EQUALITY_OPS:
            return same(left, right, self._work) == (node["value"] == "eq")
        if isinstance(left, str) and isinstance(right, str):
            take(self._work, min(len(left), len(right)))
        elif not (is_number(left) and is_number(right)):
            return None
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    def visit_flatten(self, node: Node, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        flat: list[Any] = []
        for element in base:
            take_items(self._work, len(element) if isinstance(element, list) else 1)
            if isinstance(element, list):
                flat += element
            else:
                flat.append(element)
        return flat

    def visit_slice(self, node: Node, value: Any) -> Any:
        if isinstance(value, list):
            take_items(self._work, len(value))
        return super().visit_slice(node, value)


def _reason(error: Exception) -> str:
    """What went wrong, without values of the event."""
    if isinstance(error, exceptions.JMESPathTypeError):
        # Of a value that is in a list the library says the name of its class.
        found = TYPES_MAP.get(error.actual_type, error.actual_type)
        return f"{error.function_name}() does not take a value of type {found}"
    if isinstance(error, exceptions.JMESPathError):
        return "it cannot be evaluated"
    return str(error)
