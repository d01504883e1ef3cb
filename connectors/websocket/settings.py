"""Settings of a realtime node."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backbone.realtime_tokens import RealtimeTokenSettings


class RealtimeSettings(BaseSettings):
    """One realtime node. Every name is prefixed ``HEADRACE_REALTIME_``; times are in seconds, sizes in bytes.

    Attributes:
        host, port: where clients connect.
        origins: origins of web pages that may connect (comma-separated), besides those of the node's own host; ``*``
            allows all.
        token: how the clients' tokens are verified.
        ping_interval, pong_timeout: a client that does not answer a ping in time is closed; whole seconds.
        stale_delay: how long a connection may take to authenticate.
        expiry_grace: how long a client has after its token expired to send a new one.
        send_limit: bytes that may wait to be sent to one client. Past half of it, the client gets further publications
            from memory, as fast as it reads.
        slow_timeout: a client that reads nothing for so long, while data waits, is closed; it reconnects and recovers.
        message_limit: bytes of a message from a client.
        channel_limit: most subscriptions of one connection.
        history_size: publications of one channel that a client can recover.
        history_bytes: bytes of the publications kept for all channels together.
        recovery_limit: publications in a recovery reply, and in a page of the history. Further ones follow as ordinary
            pushes, and so do those that would fill more than a quarter of ``send_limit``.
        rebuild_records: records of each partition that are read again at a start, to have a history.
        positions_interval: time between two writes of the channels' positions.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_REALTIME_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    token: RealtimeTokenSettings = Field(default_factory=RealtimeTokenSettings)
    ping_interval: int = Field(25, ge=2)
    pong_timeout: int = Field(8, ge=1)
    stale_delay: float = Field(10.0, gt=0)
    expiry_grace: float = Field(25.0, ge=0)
    send_limit: int = Field(1_048_576, ge=1)
    slow_timeout: float = Field(10.0, gt=0)
    message_limit: int = Field(65_536, ge=1)
    channel_limit: int = Field(128, ge=1)
    history_size: int = Field(10_000, ge=1)
    history_bytes: int = Field(268_435_456, ge=0)
    recovery_limit: int = Field(300, ge=1)
    rebuild_records: int = Field(100_000, ge=0)
    positions_interval: float = Field(10.0, gt=0)

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
