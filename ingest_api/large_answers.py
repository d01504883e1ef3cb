"""Large answers under way: a client that reads slowly keeps each of them in memory, so their bytes are bounded."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from backbone.workspace_queue import WORKSPACE
from ingest_api.http import send_response
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from typing import Any

    from ingest_api.http import Response, Send

PART = 262_144
"""Bytes that are handed to the server at once. What is no larger is not counted."""

MOST = 536_870_912
"""Bytes of all answers of a worker that are under way."""

MOST_OF_WORKSPACE = 134_217_728
"""Of those, for the clients of one workspace; a single answer may have more."""


class TooManyUnderWay(Unavailable):
    """The answers that are under way already take what a workspace, or all of them, may take."""

    told = (
        "The answer is large, and too many such answers are under way to clients that read slowly. A change that the "
        "request asked for has been made. Ask for a smaller page, or repeat it in a moment."
    )


class LargeAnswers:
    """Counts the bytes of answers that their clients have not read yet. One for each worker."""

    def __init__(self, most: int = MOST, of_workspace: int = MOST_OF_WORKSPACE) -> None:
        self._most = most
        self._most_of_workspace = of_workspace
        self._held: Counter[str] = Counter()

    def bounded(self, send: Send, refuse: Callable[[TooManyUnderWay], Response]) -> Send:
        """Return ``send`` for one answer, which is refused where there is no room for it.

        A large body goes out part by part: the server takes the next one when the client has read the one before.
        """
        start: MutableMapping[str, Any] | None = None

        async def send_bounded(message: MutableMapping[str, Any]) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            begin, start = start, None
            body = memoryview(message.get("body", b""))
            if begin is not None and not self._has_room(len(body)):
                await send_response(send, refuse(TooManyUnderWay("answers under way take too much memory")))
                return
            if begin is not None:
                await send(begin)
            if len(body) <= PART:
                await send(message)
                return
            with self._held_for(len(body)):
                for at in range(0, len(body), PART):
                    more = message.get("more_body", False) or at + PART < len(body)
                    await send({**message, "body": bytes(body[at : at + PART]), "more_body": more})

        return send_bounded

    def _has_room(self, size: int) -> bool:
        if size <= PART:
            return True
        mine, total = self._held[WORKSPACE.get()], self._held.total()
        return not (mine and mine + size > self._most_of_workspace) and not (total and total + size > self._most)

    @contextlib.contextmanager
    def _held_for(self, size: int) -> Iterator[None]:
        workspace = WORKSPACE.get()
        self._held[workspace] += size
        try:
            yield
        finally:
            self._held[workspace] -= size
            if not self._held[workspace]:
                del self._held[workspace]
