"""Makes commands of functions that call our own API: the options, the connection, and what is told of a failure."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
import types
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from operations.telling import telling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from operations.api.target import Target

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_URL = Annotated[str | None, typer.Option(help="Of the gateway; default: HEADRACE_URL, or the one that runs here.")]
_KEY = Annotated[str | None, typer.Option(help="API key; better in HEADRACE_KEY. Default: the administrator's here.")]
_WORKSPACE = Annotated[str | None, typer.Option(help="For administrators: act in this workspace.")]

_OPTIONS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in {"url": _URL, "key": _KEY, "workspace": _WORKSPACE}.items()
]


def calling(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a command of a coroutine function whose first parameter is a client of our own API.

    The command has its other parameters, and ``--url``, ``--key`` and ``--workspace``.
    """

    async def work(target: Target, given: dict[str, Any]) -> None:
        from operations.api.client import connected  # noqa: PLC0415  # a plane's process does without

        async with connected(target.url, target.key, target.workspace) as api:
            await function(api, **given)

    return _command(function, work)


def targeting(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a command of a coroutine function whose first parameter is the ``Target`` itself."""
    return _command(function, lambda target, given: function(target, **given))


def _command(
    function: Callable[..., Awaitable[None]], work: Callable[[Target, dict[str, Any]], Awaitable[None]]
) -> Callable[..., None]:
    @functools.wraps(function)
    def command(*, url: str | None, key: str | None, workspace: str | None, **given: Any) -> None:
        from operations.api.target import target_of  # noqa: PLC0415  # a plane's process does without

        with telling():
            try:
                asyncio.run(_awaited(work(target_of(url, key, workspace), given)))
                sys.stdout.flush()
            except BrokenPipeError:
                # Whoever read it has enough: what is left in the buffer must not fail again at the end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    _, *own = inspect.signature(function).parameters.values()
    # The client's class is not loaded before a command runs, so its annotation is left out.
    texts = types.SimpleNamespace(__annotations__={each.name: each.annotation for each in own})
    hints = get_type_hints(texts, getattr(function, "__globals__", {}), include_extras=True)
    parameters = [each.replace(annotation=hints[each.name]) for each in own]
    command.__annotations__ = {}
    command.__signature__ = inspect.Signature([*parameters, *_OPTIONS])  # type: ignore[attr-defined]  # as inspect reads it
    return command


async def _awaited(work: Awaitable[None]) -> None:
    await work
