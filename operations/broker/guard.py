"""Keeps a local broker to those who may use it: listeners with credentials, users and ACLs."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

from backbone.kafka.settings import KafkaSettings
from operations.broker.listeners import (
    Addresses,
    Security,
    kept_security,
    lines,
    listener_properties,
    planes_password_file,
)
from operations.kafka_users.access import secure
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DEFAULT_PORT, DEFAULT_SASL_PORT = 9092, 9093
_LOOPBACK = "127.0.0.1"


class Guard:
    """One for each local broker; without one a broker takes whoever comes, as the tests' brokers do.

    Args:
        home: the broker's directory, where the credentials are kept.
        sasl_port: where planes and users of teams connect; None means 9093 if it is free, else another.
        is_open: whether clients without credentials may read events.
        groups: consumer groups of the planes, which nobody else may use.
    """

    def __init__(
        self, home: Path, *, sasl_port: int | None = None, is_open: bool = True, groups: Sequence[str] = ()
    ) -> None:
        self.is_open = is_open
        self.sasl_port = free_port(DEFAULT_SASL_PORT) if sasl_port is None else sasl_port
        self._home = home
        self._groups = groups
        self._is_secured = False

    @property
    def bootstrap_servers(self) -> str:
        """What planes connect to."""
        return f"{_LOOPBACK}:{self.sasl_port}"

    @functools.cached_property
    def security(self) -> Security:
        """The credentials, generated when they are first asked for.

        Raises:
            Misconfigured: the directory cannot be written.
        """
        return kept_security(self._home, sasl_port=self.sasl_port, is_open=self.is_open)

    @property
    def client_environment(self) -> Mapping[str, str]:
        """The planes' credentials, beside the options that all clients are given: their password is in a file."""
        options = {**KafkaSettings().options, **self.security.planes_options}
        del options["sasl.password"]
        return {
            "HEADRACE_KAFKA_OPTIONS": json.dumps(options),
            "HEADRACE_KAFKA_PASSWORD_FILE": str(planes_password_file(self._home).resolve()),
        }

    def has_secured(self) -> None:
        """Make the planes' user and the ACLs, once for each start; the broker must answer.

        Raises:
            CannotStart: it refuses.
        """
        if not self._is_secured:
            secure(self.bootstrap_servers, self.security, denied_groups=self._groups)
            self._is_secured = True


class GuardedBroker:
    """What a local Apache Kafka has from its guard, in whatever way it runs.

    Attributes:
        home: its directory.
        port: where clients without credentials connect, on 127.0.0.1.
    """

    def __init__(self, home: Path, port: int | None, guard: Guard | None) -> None:
        self.home = home
        self.port = free_port(DEFAULT_PORT) if port is None else port
        self._guard = guard

    @property
    def bootstrap_servers(self) -> str:
        """What planes connect to."""
        return f"{_LOOPBACK}:{self.port}" if self._guard is None else self._guard.bootstrap_servers

    @property
    def consumer_servers(self) -> str:
        """What consumers of teams connect to."""
        if self._guard is None or self._guard.is_open:
            return f"{_LOOPBACK}:{self.port}"
        return self.bootstrap_servers

    @property
    def client_environment(self) -> Mapping[str, str]:
        """The planes' credentials."""
        return {} if self._guard is None else self._guard.client_environment


def listener_lines(
    guard: Guard | None, *, port: int, controller_port: int, host: str = _LOOPBACK, told: str = _LOOPBACK
) -> str:
    """The lines of a broker's configuration about its listeners."""
    sasl_port = 0 if guard is None else guard.sasl_port
    addresses = Addresses(host=host, told=told, port=port, sasl_port=sasl_port, controller_port=controller_port)
    return lines(listener_properties(addresses, None if guard is None else guard.security))
