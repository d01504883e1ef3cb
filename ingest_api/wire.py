"""One HTTP request and its answer, as the hot routes see them: the ASGI message loop and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from ingest_api.text import check_body
from schemas.errors import InvalidRequest, PayloadTooLarge, UnsupportedCoding, UnsupportedMediaType

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"

MAX_KEY_LENGTH = 255
"""Characters of an ``Idempotency-Key``."""

CODED = "Content codings are not accepted: send the body as it is."
ACCEPTED_CODINGS = (b"accept-encoding", b"identity")
"""Goes with a 415 for a content coding (RFC 9110, 15.5.16)."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


class Response(NamedTuple):
    """What a hot route answers; ``headers`` beside content-type and content-length."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request:
    """One request. ``headers`` maps lower-case names to values (of a repeated header, the last)."""

    __slots__ = ("_receive", "headers", "max_body", "scope")

    def __init__(self, scope: Scope, receive: Receive, max_body: int) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.max_body = max_body
        self._receive = receive

    async def body(self) -> bytes:
        """The whole body, in UTF-8.

        Raises:
            MalformedBody: it is not UTF-8, or spells half of a surrogate pair.
            PayloadTooLarge: it is over ``max_body`` bytes; the declared length is looked at before anything is read.
            ClientGone: the client closed the connection.
        """
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.max_body:
            raise PayloadTooLarge(f"The body has {int(declared)} bytes; the limit is {self.max_body}.")
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
            if size > self.max_body:
                raise PayloadTooLarge(f"The body is over the limit of {self.max_body} bytes.")
        if message["type"] != "http.request":
            raise ClientGone
        body = b"".join(chunks)
        check_body(body)
        return body

    def media_type(self) -> bytes:
        """The media type of the body in lower case, without parameters; empty when none is given.

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
        """The query parameters; of a repeated one, the last."""
        raw: bytes = self.scope["query_string"]
        return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}

    def text(self, header: bytes) -> str | None:
        """A header's value as text, or None."""
        value = self.headers.get(header)
        return None if value is None else value.decode("latin-1")

    def idempotency_key(self) -> str | None:
        """The ``Idempotency-Key``, or None.

        Raises:
            InvalidRequest: it is empty, too long or not UTF-8.
        """
        key = self.text(b"idempotency-key")
        if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
            raise InvalidRequest(f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters.")
        return key


def is_coded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body is said to be compressed, or coded in another way, by any of its ``Content-Encoding`` headers."""
    codings = (coding for name, value in headers if name == b"content-encoding" for coding in value.split(b","))
    return any(coding.strip(b" \t").lower() not in (b"", b"identity") for coding in codings)


async def send_response(send: Send, response: Response) -> None:
    """Send a whole response in two ASGI messages."""
    body = response.body
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (b"content-type", response.content_type),
                (b"content-length", str(len(body)).encode()),
                *response.headers,
            ],
        },
    )
    await send({"type": "http.response.body", "body": body})
