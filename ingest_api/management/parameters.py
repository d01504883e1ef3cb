"""What an operation of our own API does not know is an error, not a filter or an option that does nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_origin

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from ingest_api.management.dependencies import Caller
from schemas.model.errors import MOST_PROBLEMS, InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


_NO_BODIES = (b"", b"{}", b"null")


async def refuse_unknown_parameters(request: Request) -> None:
    """Check the query of a request against the parameters that its route declares.

    Raises:
        InvalidRequest: it has others, one of them twice that takes one value, or a text that no ledger holds.
    """
    query = request.query_params
    if query:
        declared = get_flat_params(request.scope["route"].dependant)
        known = {one.alias: one for one in declared if isinstance(one.field_info, Query)}
        # A client that always says its workspace says it of workspaces, too.
        check_parameters(query, known.keys() | {"workspace"})
        lists = {alias for alias, one in known.items() if get_origin(one.field_info.annotation) in (list, tuple)}
        _check_values(query.multi_items(), lists)


def _check_values(given: Sequence[tuple[str, str]], lists: Collection[str]) -> None:
    times = Counter(name for name, _ in given if name not in lists)
    problems = [Problem(path=name, message="is there twice: it takes one value") for name in times if times[name] > 1]
    problems += [Problem(path=name, message="has a NUL character") for name, value in given if "\0" in value]
    if problems:
        raise InvalidRequest("The request is not valid.", problems[:MOST_PROBLEMS])


async def refuse_unknown_body(request: Request, _caller: Caller) -> None:
    """Check that a request has no body, or an empty one, where its route takes none; first it is known who calls.

    Raises:
        InvalidRequest: it has one, such as ``{"dry_run": true}`` where that is a query parameter.
    """
    if request.method == "GET" or request.scope["route"].body_field is not None:
        return
    if (await request.body()).strip() not in _NO_BODIES:
        message = "must be left out: this operation takes no body"
        raise InvalidRequest("The request is not valid.", [Problem(path="$", message=message)])


def check_parameters(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse query parameters that are not known.

    Raises:
        InvalidRequest: there are some; the message lists those that are known.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        message = f"is not a query parameter of this operation: it takes {', '.join(sorted(known))}"
        raise InvalidRequest("The request is not valid.", [Problem(path=name, message=message) for name in unknown])
