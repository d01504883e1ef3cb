"""How our own HTTP client connects: TLS, addresses that the guard judges, idle connections; no Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.webhook import connection_pool
from connectors.webhook.aiohttp_client import AiohttpClient
from connectors.webhook.destination_guard import DestinationGuard
from connectors.webhook.http_client import HttpClient
from connectors.webhook.transport import HttpRequest
from schemas.model.standing import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "receiver.test"


class Receiver:
    """Answers 200, and counts; ``held`` keeps its answers back."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended = 0
        self.requests = 0
        self.names: list[str | None] = []
        self.held: asyncio.Event | None = None
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(4)
                self.requests += 1
                if self.held is not None:
                    await self.held.wait()
                writer.write(OK)
        self.ended += 1
        writer.close()

    async def end(self) -> None:
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        await until(lambda: self.ended == self.connections)


@contextlib.asynccontextmanager
async def receiver(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    made = Receiver()
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: made.names.append(name)
    server = await asyncio.start_server(made.converse, host, 0, ssl=tls)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
    await made.end()


@contextlib.asynccontextmanager
async def client_with(
    context: ssl.SSLContext | None = None, allowed: tuple[str, ...] = ("127.0.0.1", "::1")
) -> AsyncIterator[HttpClient]:
    made = HttpClient(
        DestinationGuard(allowed), body_limit=100, context=context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def post(url: str) -> HttpRequest:
    return HttpRequest("POST", url, {}, b"body")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # there is nothing to wait on
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ``NAME`` and 127.0.0.1 that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def of_server(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by host name, in place of the system's."""
    known: dict[str, list[str]] = {}

    def look_up(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in known[host]
        ]

    monkeypatch.setattr("connectors.webhook.resolver.socket.getaddrinfo", look_up)
    return known


async def test_tls_names_the_host_and_verifies_it(
    of_server: ssl.SSLContext, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    names |= {NAME: ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    async with receiver(tls=of_server) as running, client_with(trusting) as client:
        right, by_address, wrong = [
            await client.send(post(f"https://{host}:{running.port}/"), 20.0)
            for host in (NAME, "127.0.0.1", "other.test")
        ]
    assert (right.status, by_address.status, wrong.status) == (200, 200, None)
    assert running.names == [NAME, None, "other.test"]
    assert wrong.failure is Reason.CONNECTION
    assert (wrong.error or "").startswith(f"cannot connect to other.test:{running.port}: ")
    assert "certificate" in (wrong.error or "")
    assert running.requests == 2


@pytest.mark.parametrize("make", [HttpClient, AiohttpClient])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    make: type[HttpClient | AiohttpClient], of_server: ssl.SSLContext
) -> None:
    client = make(DestinationGuard(["127.0.0.1"]), body_limit=100)
    await client.start()
    async with receiver(tls=of_server) as running:
        refused = await client.send(post(f"https://127.0.0.1:{running.port}/"), 20.0)
    await client.close()
    assert (refused.status, refused.failure, running.requests) == (None, Reason.CONNECTION, 0)


async def test_the_address_that_a_name_has_is_judged_each_time(names: dict[str, list[str]]) -> None:
    async with receiver() as running, client_with() as client:
        url = f"http://{NAME}:{running.port}/"
        unknown = await client.send(post(url), 20.0)
        names[NAME] = ["10.0.0.1", "fd00::1"]
        private = await client.send(post(url), 20.0)
        names["mixed.test"] = ["10.0.0.1", "127.0.0.1"]
        mixed = await client.send(post(f"http://mixed.test:{running.port}/"), 20.0)
    assert (unknown.failure, unknown.forbidden) == (Reason.CONNECTION, False)
    assert (private.failure, private.forbidden) == (Reason.FORBIDDEN, True)
    assert private.error == "10.0.0.1 is not a public address"
    assert mixed.status == 200


async def test_ipv6_and_mapped_addresses_are_judged_too() -> None:
    async with client_with(allowed=("127.0.0.1",)) as client:
        for host in ("[::1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[2002:0a00:0001::1]"):
            refused = await client.send(post(f"http://{host}/"), 20.0)
            assert (refused.status, refused.forbidden) == (None, True), host


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_ipv6_is_connected_to() -> None:
    async with receiver("::1") as running, client_with() as client:
        assert (await client.send(post(f"http://[::1]:{running.port}/"), 20.0)).status == 200


async def test_the_timeout_covers_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: object, **__: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("connectors.webhook.dialer.Resolver.resolve", silent)
    async with client_with() as client:
        late = await client.send(post("http://receiver.test/"), 0.05)
    assert (late.status, late.failure, late.error) == (None, Reason.TIMEOUT, "no complete answer within 0.05 s")


async def test_a_name_is_looked_up_once_for_many_and_again_later(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]
) -> None:
    asked = []
    known = socket.getaddrinfo

    def counting(host: str, *rest: Any, **named: Any) -> Any:
        asked.append(host)
        return known(host, *rest, **named)

    names[NAME] = ["127.0.0.1"]
    monkeypatch.setattr("connectors.webhook.resolver.socket.getaddrinfo", counting)
    async with receiver() as running, client_with() as client:
        url = f"http://{NAME}:{running.port}/"
        await asyncio.gather(*(client.send(post(url), 20.0) for _ in range(5)))
        assert asked == [NAME]
        monkeypatch.setattr("connectors.webhook.dialer._REMEMBERED_SECONDS", 0.0)
        client._dialer._known.clear()
        client._pool.close()
        await client.send(post(url), 20.0)
        await client.send(post(url), 20.0)
    assert len(asked) == 3


async def test_as_many_connections_as_requests_at_once_and_no_more() -> None:
    async with receiver() as running, client_with() as client:
        url = f"http://127.0.0.1:{running.port}/"
        for _ in range(3):
            await asyncio.gather(*(client.send(post(url), 20.0) for _ in range(4)))
    assert (running.connections, running.requests) == (4, 12)


async def test_a_request_that_is_abandoned_ends_its_connection() -> None:
    async with receiver() as running, client_with() as client:
        url = f"http://127.0.0.1:{running.port}/"
        running.held = asyncio.Event()
        abandoned = asyncio.create_task(client.send(post(url), 20.0))
        await until(lambda: running.requests == 1)
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        running.held.set()
        running.held = None
        assert (await client.send(post(url), 20.0)).status == 200
        assert running.connections == 2


async def test_closing_ends_requests_in_flight_and_idle_connections() -> None:
    async with receiver() as running, client_with() as client:
        url = f"http://127.0.0.1:{running.port}/"
        await client.send(post(url), 20.0)
        running.held = asyncio.Event()
        flying = [asyncio.create_task(client.send(post(url), 20.0)) for _ in range(2)]
        await until(lambda: running.requests == 3)
        await client.close()
        responses = await asyncio.gather(*flying)
        running.held.set()
        await until(lambda: running.ended == running.connections)
    assert {(each.status, each.failure) for each in responses} == {(None, Reason.CONNECTION)}


async def test_idle_connections_are_bounded_in_number_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "MOST_IDLE", 5)
    monkeypatch.setattr(connection_pool, "MOST_IDLE_OF_ORIGIN", 3)
    async with receiver() as one, receiver() as two, client_with() as client:
        urls = [f"http://127.0.0.1:{running.port}/" for running in (one, two) for _ in range(4)]
        await asyncio.gather(*(client.send(post(url), 20.0) for url in urls))
        pool = client._pool
        assert len(pool) == 5
        await until(lambda: one.ended + two.ended == 3)
        monkeypatch.setattr(connection_pool, "IDLE_SECONDS", 0.0)
        await client.send(post(urls[0]), 20.0)
        pool._close_old()
        assert len(pool) == 0
        await until(lambda: one.ended == one.connections and two.ended == two.connections)
