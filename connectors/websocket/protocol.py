"""The Centrifugo client protocol, version 2, in JSON: commands, replies, pushes and close codes.

Schema: https://github.com/centrifugal/protocol/blob/master/definitions/client.proto; codes:
https://centrifugal.dev/docs/server/codes. One WebSocket text frame holds one or more JSON objects, one per line.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

SUBPROTOCOL = "centrifuge-json"
"""A client that offers none speaks it too."""

PING = b"{}"

_TEXT = 0x81
"""First byte of a whole text frame (RFC 6455)."""
_SHORT, _MEDIUM = 126, 65_536


class Close(NamedTuple):
    """The reason why the server ends a connection or a subscription. Clients reconnect for codes below 3500."""

    code: int
    reason: str


SERVER_UNSUBSCRIBE = Close(2000, "server unsubscribe")
SUBSCRIPTION_OVER = Close(2501, "subscription expired")
SHUTDOWN = Close(3001, "shutdown")
SERVER_ERROR = Close(3004, "internal server error")
EXPIRED = Close(3005, "connection expired")
SUBSCRIPTION_EXPIRED = Close(3006, "subscription expired")
SLOW = Close(3008, "slow")
INSUFFICIENT_STATE = Close(3010, "insufficient state")
NO_PONG = Close(3012, "no pong")
INVALID_TOKEN = Close(3500, "invalid token")
BAD_REQUEST = Close(3501, "bad request")
STALE = Close(3502, "stale")
INAPPROPRIATE_PROTOCOL = Close(3506, "inappropriate protocol: this server speaks centrifuge-json, not Protobuf")
PERMISSION_DENIED = Close(3507, "permission denied")
NOT_AVAILABLE = Close(3508, "not available: this server does not ping with WebSocket frames")


class ReplyError(Exception):
    """Answers a command with an error; the connection stays."""

    def __init__(self, code: int, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.temporary = temporary


class Disconnected(Exception):
    """Ends the connection because of a command."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


def internal() -> ReplyError:
    """100: the server failed; the client tries again."""
    return ReplyError(100, "internal server error", temporary=True)


def permission_denied() -> ReplyError:
    """103: no token allows it."""
    return ReplyError(103, "permission denied")


def already_subscribed() -> ReplyError:
    """105: the client is subscribed already."""
    return ReplyError(105, "already subscribed")


def limit_exceeded() -> ReplyError:
    """106: too many channels."""
    return ReplyError(106, "limit exceeded")


def bad_request() -> ReplyError:
    """107: the command is incomplete."""
    return ReplyError(107, "bad request")


def not_available() -> ReplyError:
    """108: the server does not support this."""
    return ReplyError(108, "not available")


def token_expired() -> ReplyError:
    """109: the token has expired; the client fetches a new one and tries again."""
    return ReplyError(109, "token expired")


def unrecoverable() -> ReplyError:
    """112: publications were lost, and the client asked for an error then."""
    return ReplyError(112, "unrecoverable position")


_Unsigned = Annotated[int, msgspec.Meta(ge=0)]


class Position(msgspec.Struct, kw_only=True):
    """A client's position in a channel."""

    recover: bool = False
    offset: _Unsigned = 0
    epoch: str = ""


class SubscribeRequest(Position, kw_only=True):
    """``flag`` 2 asks for an error if the position cannot be recovered.

    The members after ``flag`` are refused unless they are unset. ``delta`` is negotiated: a result without it means
    that publications come whole.
    """

    channel: str = ""
    token: str = ""
    flag: int = 0
    delta: str = ""
    join_leave: bool = False
    tf: Any = None
    type: int = 0
    phase: int = 0
    cursor: str = ""
    limit: int = 0
    asc: bool = False

    def check(self) -> None:
        """Refuse features that this server does not have, so that no client relies on them.

        Raises:
            ReplyError: 108, or 107 as in the original, for a filter by tags or a member of another type's.
            Disconnected: the kind of delta is unknown.
        """
        if self.type or self.join_leave:
            raise not_available()
        if self.tf is not None or self.phase or self.cursor or self.limit or self.asc:
            raise bad_request()
        if self.delta not in _DELTAS:
            raise Disconnected(BAD_REQUEST)


_DELTAS = ("", "fossil")


class ConnectRequest(msgspec.Struct, kw_only=True):
    """``subs`` has the positions of server-side subscriptions."""

    token: str = ""
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""


class ChannelRequest(msgspec.Struct, kw_only=True):
    """The request of unsubscribe, presence and presence_stats."""

    channel: str = ""


class RefreshRequest(msgspec.Struct, kw_only=True):
    """The request of refresh, and with a channel of sub_refresh. Other values of ``type`` (keys) are not supported."""

    channel: str = ""
    token: str = ""
    type: int = 0


class HistoryRequest(msgspec.Struct, kw_only=True):
    """A page of a channel's publications; a ``limit`` of 0 asks for the position only, -1 for all publications."""

    channel: str = ""
    limit: int = 0
    since: Position | None = None
    reverse: bool = False


class Command(msgspec.Struct, kw_only=True):
    """One command of a client: exactly one member besides ``id``, or no member at all for a pong."""

    id: _Unsigned = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    history: HistoryRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: RefreshRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    publish: Any = None
    rpc: Any = None
    send: Any = None
    ping: Any = None


METHODS = tuple(field for field in Command.__struct_fields__ if field != "id")

_DECODER = msgspec.json.Decoder(Command)
_ENCODER = msgspec.json.Encoder()


class SubscribeResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A subscribe result, also in ``subs`` of a connect result. Zero values are left out, as in the protocol."""

    recoverable: bool = False
    positioned: bool = False
    epoch: str = ""
    offset: int = 0
    expires: bool = False
    ttl: int = 0
    was_recovering: bool = False
    recovered: bool = False
    publications: list[msgspec.Raw] = []


class ConnectResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A connect result, also the result of a refresh."""

    client: str
    version: str
    expires: bool = False
    ttl: int = 0
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""
    subs: dict[str, SubscribeResult] = {}


class HistoryResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Publications, and the channel's position."""

    publications: list[msgspec.Raw] = []
    epoch: str = ""
    offset: int = 0


def commands(text: str) -> list[Command]:
    """The commands of one frame, in order.

    Raises:
        Disconnected: the frame cannot be read, or is empty.
    """
    try:
        found = [_read(line) for line in text.strip().split("\n")]
    except (msgspec.DecodeError, RecursionError) as error:
        raise Disconnected(BAD_REQUEST) from error
    return found


def _read(line: str) -> Command:
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError:
        return msgspec.convert(_without_nulls(msgspec.json.decode(line), _LEVELS), Command)


_LEVELS = 4
"""Depth of the members of a command: ``connect``, ``subs``, a channel, a position."""


def _without_nulls(value: Any, levels: int) -> Any:
    """The JSON without null members: in the JSON form of Protobuf they are unset."""
    if not isinstance(value, dict) or not levels:
        return value
    return {name: _without_nulls(each, levels - 1) for name, each in value.items() if each is not None}


def method_of(command: Command) -> str | None:
    """The name of the command; None for a pong and for an unknown command."""
    for name in METHODS:
        if getattr(command, name) is not None:
            return name
    return None


def reply(command_id: int, method: str, result: Any) -> bytes:
    """The reply to a command."""
    return b'{"id":%d,"%s":%s}' % (command_id, method.encode(), _ENCODER.encode(result))


def error_reply(command_id: int, error: ReplyError) -> bytes:
    """The reply to a command that failed."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.temporary:
        body["temporary"] = True
    return b'{"id":%d,"error":%s}' % (command_id, _ENCODER.encode(body))


def publication(data: bytes, offset: int) -> bytes:
    """A publication; its data is JSON without line breaks."""
    return b'{"data":%s,"offset":%d}' % (data, offset)


def publication_push(channel: bytes, body: bytes) -> bytes:
    """A push of a publication; ``channel`` is the name as a JSON string."""
    return b'{"push":{"channel":%s,"pub":%s}}' % (channel, body)


def subscribe_push(channel: str, result: SubscribeResult) -> bytes:
    """A push that tells a connected client of a server-side subscription."""
    return _ENCODER.encode({"push": {"channel": channel, "subscribe": result}})


def unsubscribe_push(channel: str, why: Close) -> bytes:
    """A push that ends a subscription; clients subscribe again for codes from 2500 on."""
    return _ENCODER.encode({"push": {"channel": channel, "unsubscribe": {"code": why.code, "reason": why.reason}}})


def json_text(text: str) -> bytes:
    """A JSON string."""
    return _ENCODER.encode(text)


def one_line(json: bytes) -> bytes:
    """The JSON without line breaks: these separate messages, and outside of strings they mean nothing."""
    return json.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in json or b"\r" in json else json


def text_frame(payload: bytes) -> bytes:
    """A whole WebSocket text frame of a server. It is equal for every receiver, so it is made once."""
    length = len(payload)
    if length < _SHORT:
        head = bytes((_TEXT, length))
    elif length < _MEDIUM:
        head = bytes((_TEXT, _SHORT)) + length.to_bytes(2, "big")
    else:
        head = bytes((_TEXT, _SHORT + 1)) + length.to_bytes(8, "big")
    return head + payload
