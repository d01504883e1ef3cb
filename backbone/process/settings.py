"""What all planes of an installation share besides Kafka: the data directory, the secrets kept in it, the ledger."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORTEST_SECRET = 16
"""Characters: a secret that is shorter was not chosen at random."""


_FEWEST_CHARACTERS = 8
"""Different ones: 16 random characters have 12 or more."""


class BackboneSettings(BaseSettings):
    """Each secret that is not set is generated once and kept in the data directory, readable by its owner only.

    So one machine needs no configuration. Planes on several machines are given the same ``HEADRACE_SECRET_KEYS`` and
    ``HEADRACE_TOKEN_SECRET``, because a generated one is known only where it was generated.

    Attributes:
        data_dir: everything that this installation keeps on disk (``HEADRACE_DATA_DIR``).
        admin_key: API key of the first administrator (``HEADRACE_ADMIN_KEY``); see ``first_admin_key``.
        secret_keys: keys that stored secrets and API key hashes are made with; the first is used for new ones, the
            others are still understood (``HEADRACE_SECRET_KEYS``, comma-separated, else file ``secret-keys``).
        token_secret: signs bearer tokens, HS256 (``HEADRACE_TOKEN_SECRET``, else file ``token-secret``).
        ledger_url: SQLAlchemy URL (``HEADRACE_LEDGER_URL``), by default SQLite in the data directory.
        files_url: where event files are kept (``HEADRACE_FILES_URL``, ``file:///<path>``), by default in the data
            directory; the file sinks and the HTTP plane must see the same files.
        http_hosts: names, without ports, by which servers answer that ask for no credential (``HEADRACE_HTTP_HOSTS``,
            comma-separated, ``*`` for all); none: any name where the port is not bound to a loopback address.
        metric_labels: event types and endpoints that the metrics of one process name; all others are ``other``
            (``HEADRACE_METRIC_LABELS``).
        node_id: tells this machine's transactional ids from others' (``HEADRACE_NODE_ID``, else file ``node-id``).
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, populate_by_name=True)

    data_dir: Path = Field(default=Path(".headrace"), validation_alias="HEADRACE_DATA_DIR")
    admin_key: str = Field(default="", validation_alias="HEADRACE_ADMIN_KEY", repr=False)
    secret_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validation_alias="HEADRACE_SECRET_KEYS", repr=False
    )
    token_secret: str = Field(default="", validation_alias="HEADRACE_TOKEN_SECRET", repr=False)
    ledger_url: str = Field(default="", validation_alias="HEADRACE_LEDGER_URL", repr=False)
    files_url: str = Field(default="", validation_alias="HEADRACE_FILES_URL")
    http_hosts: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validation_alias="HEADRACE_HTTP_HOSTS")
    metric_labels: int = Field(default=0, ge=0, le=10_000, validation_alias="HEADRACE_METRIC_LABELS")
    node_id: str = Field(default="", validation_alias="HEADRACE_NODE_ID", pattern=r"^[A-Za-z0-9._-]*$")

    @field_validator("secret_keys", "http_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _keys(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        self.secret_keys = self.secret_keys or _keys(kept(self.data_dir / "secret-keys", _random))
        self.token_secret = self.token_secret or kept(self.data_dir / "token-secret", _random)
        self.node_id = self.node_id or kept(self.data_dir / "node-id", lambda: secrets.token_hex(6))
        self.ledger_url = self.ledger_url or f"sqlite:///{quote(str((self.data_dir / 'ledger.sqlite3').resolve()))}"
        self.files_url = self.files_url or (self.data_dir / "files").resolve().as_uri()
        if self.admin_key:
            check_strength("HEADRACE_ADMIN_KEY", self.admin_key)
        check_strength("HEADRACE_TOKEN_SECRET", self.token_secret)
        for key in self.secret_keys:
            check_strength("each of HEADRACE_SECRET_KEYS", key)
        return self

    def first_admin_key(self) -> str:
        """The first administrator's key, else that of the file ``admin-key``. Only the HTTP plane needs it."""
        return self.admin_key or kept(self.data_dir / "admin-key", lambda: f"hra_{_random()}")


def kept(path: Path, generate: Callable[[], str]) -> str:
    """The text in a file of mode 0600. When there is none it is generated, once, whichever processes race for it.

    Raises:
        Misconfigured: the directory cannot be written, or the file cannot be read or is empty.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path, generate())
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; set HEADRACE_DATA_DIR to a directory of your own") from error
    if not text:
        raise Misconfigured(f"{path} is empty; remove it to have a new one generated")
    return text


def _create(path: Path, text: str) -> None:
    # Written under another name and linked: the file appears whole, and only for the first of several processes.
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        with contextlib.suppress(FileExistsError):
            Path(path).hardlink_to(draft)
    finally:
        Path(draft).unlink()


def _keys(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _random() -> str:
    return secrets.token_urlsafe(32)


def check_strength(name: str, value: str) -> None:
    """Refuse a secret that could be guessed, naming the setting.

    Raises:
        Misconfigured: it is short, or repeats a few characters.
    """
    if len(value) < _SHORTEST_SECRET:
        raise Misconfigured(f"{name} must have at least {_SHORTEST_SECRET} characters")
    if len(set(value)) < _FEWEST_CHARACTERS:
        raise Misconfigured(f"{name} must have at least {_FEWEST_CHARACTERS} different characters: choose it at random")
