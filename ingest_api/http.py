"""Request and response of the hot routes: a thin layer over ASGI messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from backbone.kafka.producer import MAX_RECORD_BYTES
from ingest_api.text import check_body, checked_parts
from schemas.model.errors import InvalidRequest, PayloadTooLarge, UnsupportedCoding, UnsupportedMediaType

if TYPE_CHECKING:
    from backbone.slices import Slices

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"

LARGE = 65_536
"""Bytes above which a body is processed in turns with others; a smaller one takes a few milliseconds."""

MOST_OF_ONE_EVENT = 3 * MAX_RECORD_BYTES
"""Most bytes of a body with one event: JSON may take three times the bytes of the record (``\\u00e9`` for ``é``)."""

MAX_KEY_LENGTH = 255
"""Most characters of an ``Idempotency-Key``."""

CODED = "Content codings are not accepted: send the body as it is."
ACCEPTED_CODINGS = (b"accept-encoding", b"identity")
"""Header of a 415 that refuses a content coding (RFC 9110, 15.5.16)."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete, so nobody waits for an answer."""


class Response(NamedTuple):
    """The response of a hot route; ``headers`` are those besides content-type and content-length."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request:
    """One request. ``headers`` maps lower-case names to values; a repeated header has its last value."""

    __slots__ = ("_receive", "_slices", "headers", "max_body", "scope")

    def __init__(self, scope: Scope, receive: Receive, max_body: int, slices: Slices) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.max_body = max_body
        self._receive = receive
        self._slices = slices

    async def event(self) -> bytes:
        """The whole body of a request that publishes one event; see ``body``.

        Raises:
            PayloadTooLarge: no record could hold the event.
        """
        return await self.body(MOST_OF_ONE_EVENT)

    async def body(self, most: int | None = None) -> bytes:
        """The whole body, in UTF-8. A large body waits for its turn, because the work that follows takes a moment.

        Raises:
            MalformedBody: the body is not UTF-8, or contains half of a surrogate pair.
            PayloadTooLarge: the body is over ``max_body`` or ``most`` bytes; the declared length is checked before
                anything is read.
            ClientGone: the client closed the connection.
        """
        most = self.max_body if most is None else min(most, self.max_body)
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            raise PayloadTooLarge(f"The body has {int(declared)} bytes; the limit is {most}.")
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body"):
            check_body(body)
            return body
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await self._receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > most:
                raise PayloadTooLarge(f"The body is over the limit of {most} bytes.")
        if message["type"] != "http.request":
            raise ClientGone
        body = b"".join(chunks)
        if size <= LARGE:
            check_body(body)
        else:
            await check_in_turn(body, self._slices)
        return body

    def media_type(self) -> bytes:
        """The media type of the body in lower case, without parameters; empty if the request has none.

        Raises:
            UnsupportedMediaType: a charset other than UTF-8.
            UnsupportedCoding: a content coding.
        """
        declared = self.headers.get(b"content-type", b"")
        if b"content-encoding" in self.headers and is_coded(self.scope["headers"]):
            raise UnsupportedCoding(CODED)
        if declared == JSON:
            return JSON
        media_type, *parameters = declared.lower().split(b";")
        for parameter in parameters:
            name, _, value = parameter.strip().partition(b"=")
            if name == b"charset" and value.strip(b'"') not in (b"utf-8", b"utf8", b"us-ascii"):
                raise UnsupportedMediaType("The body must be in UTF-8.")
        return media_type.strip()

    def query(self) -> dict[str, str]:
        """The query parameters; a repeated one has its last value."""
        raw: bytes = self.scope["query_string"]
        return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}

    def text(self, header: bytes) -> str | None:
        """A header's value as text, or None."""
        value = self.headers.get(header)
        return None if value is None else value.decode("latin-1")

    def idempotency_key(self) -> str | None:
        """The ``Idempotency-Key``, or None.

        Raises:
            InvalidRequest: the key is empty or too long.
        """
        key = self.text(b"idempotency-key")
        if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
            raise InvalidRequest(f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters.")
        return key


async def check_in_turn(body: bytes, slices: Slices) -> None:
    """Run ``check_body`` for a large body in slices, between other requests; return at the beginning of a slice.

    Raises:
        MalformedBody: as ``check_body`` does.
    """
    work = slices.begin()
    for _ in checked_parts(body):
        await work.pause()
    await slices.turn()


def is_coded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether any ``Content-Encoding`` header says that the body is compressed or coded in another way."""
    codings = (coding for name, value in headers if name == b"content-encoding" for coding in value.split(b","))
    return any(coding.strip(b" \t").lower() not in (b"", b"identity") for coding in codings)


async def send_response(send: Send, response: Response) -> None:
    """Send a whole response in two ASGI messages."""
    body = response.body
    await send({"type": "http.response.start", "status": response.status, "headers": headers_of(response)})
    await send({"type": "http.response.body", "body": body})


def headers_of(response: Response) -> list[tuple[bytes, bytes]]:
    """All headers of a response."""
    length = b"%d" % len(response.body)
    return [(b"content-type", response.content_type), (b"content-length", length), *response.headers]
