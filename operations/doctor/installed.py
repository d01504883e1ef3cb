"""The settings that planes share, read without making the secrets that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Installed(BaseSettings):
    """As ``BackboneSettings``, which generates what is not there: whoever looks changes nothing.

    Attributes:
        data_dir: everything that this installation keeps on disk (``HEADRACE_DATA_DIR``).
        secret_keys: as the environment has them (``HEADRACE_SECRET_KEYS``).
        ledger_url: as the environment has it (``HEADRACE_LEDGER_URL``).
        files_url: likewise (``HEADRACE_FILES_URL``).
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True)

    data_dir: Path = Field(Path(".headrace"), validation_alias="HEADRACE_DATA_DIR")
    secret_keys: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_SECRET_KEYS", repr=False)
    ledger_url: str = Field("", validation_alias="HEADRACE_LEDGER_URL", repr=False)
    files_url: str = Field("", validation_alias="HEADRACE_FILES_URL")

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _keys(value) if isinstance(value, str) else value

    def known_secret_keys(self) -> tuple[str, ...]:
        """Those of the environment, else those of the data directory; none if there are none, or none can be read."""
        if self.secret_keys:
            return self.secret_keys
        try:
            return _keys((self.data_dir / "secret-keys").read_text(encoding="utf-8"))
        except OSError:
            return ()

    @property
    def ledger_file(self) -> Path:
        """Where SQLite keeps the ledger unless ``ledger_url`` says otherwise."""
        return (self.data_dir / "ledger.sqlite3").resolve()


def _keys(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
