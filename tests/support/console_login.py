"""A browser of the console, without a browser: its cookies, and the tokens of its forms."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.local_gateway import LocalGateway

TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@contextlib.asynccontextmanager
async def logged_in(local: LocalGateway, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser after the login."""
    async with local.client(None) as http:
        form = await http.get("/console/login")
        answer = await http.post("/console/login", data={"csrf": token(form), "key": key})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/"), answer.text
        yield http


def token(page: httpx.Response) -> str:
    found = TOKEN.search(page.text)
    assert found, page.text
    return found[1]
