"""Webhooks through an HTTP proxy that asks for credentials; no Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from connectors.webhook.aiohttp_client import AiohttpClient
from connectors.webhook.destination_guard import DestinationGuard
from connectors.webhook.egress_proxy import EgressProxy
from connectors.webhook.token_urls import TokenUrls
from connectors.webhook.transport import HttpRequest
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

USER, PASSWORD = "egress", "p@ss:word"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"access_token":"t"}'


class Proxy:
    """Answers plain requests itself, as the receiver would, and notes where it was asked to connect to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.heads: list[str] = []
        self.port = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    self.heads.append(head)
                    self.lines.append(head.partition("\r\n")[0])
                    wanted = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                    if f"Proxy-Authorization: Basic {wanted}" not in head:
                        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                        continue
                    if head.startswith("CONNECT"):
                        # Nothing is behind it: the client's TLS ends here.
                        writer.write(b"HTTP/1.1 502 Nobody Home\r\nContent-Length: 0\r\n\r\n")
                        return
                    length = next(
                        int(line.split(":")[1])
                        for line in head.split("\r\n")
                        if line.lower().startswith("content-length:")
                    )
                    await reader.readexactly(length)
                    writer.write(OK)
        finally:
            writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    server = await asyncio.start_server(made.converse, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@contextlib.asynccontextmanager
async def client_through(proxy: Proxy, credentials: str = f"{USER}:p%40ss%3Aword@") -> AsyncIterator[AiohttpClient]:
    setting = f"http://{credentials}127.0.0.1:{proxy.port}"
    made = AiohttpClient(DestinationGuard(["10.0.0.0/8"]), body_limit=100, proxy=EgressProxy.parse(setting))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def test_webhooks_and_token_requests_go_through_it(proxy: Proxy) -> None:
    async with client_through(proxy) as client:
        response = await client.send(HttpRequest("PUT", "http://receiver.invalid/hook?a=b", {}, b"body"), 5.0)
        token = await TokenUrls(client).ask("http://login.invalid/token", {"grant_type": "x"}, seconds=5.0)
    assert (response.status, token.members) == (200, {"access_token": "t"})
    # A name is not resolved here: this one has no address.
    assert proxy.lines == [
        "PUT http://receiver.invalid/hook?a=b HTTP/1.1",
        "POST http://login.invalid/token HTTP/1.1",
    ]


async def test_https_goes_through_a_tunnel(proxy: Proxy) -> None:
    async with client_through(proxy) as client:
        response = await client.send(HttpRequest("POST", "https://receiver.invalid/hook", {}, b"body"), 5.0)
    assert proxy.lines == ["CONNECT receiver.invalid:443 HTTP/1.1"]
    assert response.status is None
    assert response.error == "the proxy answered 502 Nobody Home"
    assert "webhook" not in proxy.heads[0].lower().replace("headrace-webhook", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "https://[::1]/",
        "http://localhost:8080/",
        "http://169.254.169.254/latest",
        "http://192.168.1.1/",
    ],
)
async def test_a_host_that_is_an_address_is_judged_before_the_proxy_is_asked(proxy: Proxy, url: str) -> None:
    async with client_through(proxy) as client:
        response = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
        allowed = await client.send(HttpRequest("POST", "http://10.1.2.3/", {}, b"body"), 5.0)
    assert (response.status, response.forbidden) == (None, True)
    assert "HEADRACE_WEBHOOK_ALLOW" in (response.error or "")
    assert allowed.status == 200
    assert proxy.lines == ["POST http://10.1.2.3/ HTTP/1.1"]


async def test_a_proxy_that_refuses_its_credentials_is_told_apart_and_they_are_not_shown(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_through(proxy, "egress:wrong-word@") as client:
        plain = await client.send(HttpRequest("POST", "http://receiver.invalid/", {}, b"body"), 5.0)
        tunnel = await client.send(HttpRequest("POST", "https://receiver.invalid/", {}, b"body"), 5.0)
    assert plain.status == 407
    assert tunnel.error == "the proxy answered 407 Proxy Authentication Required"
    assert "wrong-word" not in f"{plain} {tunnel} {caplog.text}"


async def test_a_proxy_that_is_away_is_named_as_the_cause(proxy: Proxy) -> None:
    unused = await asyncio.start_server(proxy.converse, "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    await unused.wait_closed()
    client = AiohttpClient(DestinationGuard(), body_limit=100, proxy=EgressProxy.parse(f"http://u:pw@127.0.0.1:{port}"))
    await client.start()
    for url in ("http://receiver.invalid/", "https://receiver.invalid/"):
        response = await client.send(HttpRequest("POST", url, {}, b"body"), 5.0)
        assert (response.error or "").startswith("cannot connect to the proxy: ")
        assert "pw" not in (response.error or "")
    await client.close()


@pytest.mark.parametrize(
    "text",
    ["https://u:secret@proxy:1", "socks5://u:secret@proxy:1", "proxy:3128", "http://u:secret@", "http://u:secret@p/x"],
)
def test_what_is_no_http_proxy_is_refused_at_the_start_without_being_quoted(text: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        EgressProxy.parse(text)
    assert "u:secret" not in str(raised.value)


def test_an_empty_setting_is_no_proxy() -> None:
    assert EgressProxy.parse("") is None
    assert EgressProxy.parse("http://proxy.example") == EgressProxy("http://proxy.example:3128")
    assert EgressProxy.parse("http://[::1]:80/") == EgressProxy("http://[::1]:80")
