"""Settings of the file sink."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_MIB = 1_048_576


class FileSettings(BaseSettings):
    """When the file sink cuts a file; whichever comes first. Every name is prefixed ``HEADRACE_FILE_``.

    Attributes:
        max_bytes: of a file; the event that reaches it is the last.
        max_events: in a file.
        max_age: seconds that the first event of a file may wait for the others.
        max_buffered: bytes that are in no file yet, of all endpoints together; past it the largest are cut early.
    """

    model_config = SettingsConfigDict(env_prefix="HEADRACE_FILE_", frozen=True, extra="ignore", env_ignore_empty=True)

    max_bytes: int = Field(8 * _MIB, ge=1)
    max_events: int = Field(10_000, ge=1)
    max_age: float = Field(10.0, gt=0)
    max_buffered: int = Field(128 * _MIB, ge=1)
