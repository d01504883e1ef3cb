"""Query parameters of our own API: one that an operation does not know is an error, not a filter that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from schemas.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


async def refuse_unknown_parameters(request: Request) -> None:
    """Check the query of a request against the parameters that its route declares.

    Raises:
        InvalidRequest: it has others.
    """
    if request.query_params:
        declared = get_flat_params(request.scope["route"].dependant)
        known = {one.alias for one in declared if isinstance(one.field_info, Query)}
        # A client that always says its workspace says it of workspaces, too.
        check_parameters(request.query_params, known | {"workspace"})


def check_parameters(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse query parameters that are not known.

    Raises:
        InvalidRequest: there are some; the message lists those that are known.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        message = f"is not a query parameter of this operation: it takes {', '.join(sorted(known))}"
        raise InvalidRequest("The request is not valid.", [Problem(path=name, message=message) for name in unknown])
