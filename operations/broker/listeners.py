"""The listeners of a local broker: open to all, or with an authorizer and credentials that are generated once.

With an authorizer there are three. Planes and users of teams connect to ``SASL``. ``PLAINTEXT`` asks for no credential;
Kafka calls a client there ``User:ANONYMOUS``. The controller's listener asks for the broker's credential, or it would
be a way past the authorizer.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from backbone.process.settings import kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BROKER_USER, PLANES_USER = "headrace-broker", "headrace"
"""The first may do everything. It logs in with SASL/PLAIN, which the broker knows from its configuration: SCRAM users
are stored in the cluster, and somebody has to make the first."""

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
MECHANISM = "SCRAM-SHA-256"


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the listeners bind to, and what clients are told.

    Attributes:
        host: of every listener; empty for all addresses.
        told: the host that clients are told to connect to.
        port: of the listener without credentials.
        sasl_port: of the one with.
        controller_port: of the controller.
    """

    host: str
    told: str
    port: int
    sasl_port: int
    controller_port: int


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of a local broker.

    Attributes:
        broker_password: of ``BROKER_USER``.
        planes_password: of ``PLANES_USER``.
        sasl_port: where clients with credentials connect.
        is_open: whether clients without credentials may read events.
    """

    broker_password: str
    planes_password: str
    sasl_port: int
    is_open: bool = True

    @property
    def planes_options(self) -> dict[str, str]:
        """The planes' options for librdkafka."""
        return login_options(MECHANISM, PLANES_USER, self.planes_password)

    @property
    def broker_options(self) -> dict[str, str]:
        """The options of whoever makes users and ACLs."""
        return login_options("PLAIN", BROKER_USER, self.broker_password)


def kept_security(home: Path, *, sasl_port: int, is_open: bool = True) -> Security:
    """Read the credentials in a broker's directory, which are generated once; an older installation gets them too.

    Raises:
        Misconfigured: the directory cannot be written, or a file cannot be read.
    """
    return Security(
        broker_password=kept(broker_password_file(home), _random),
        planes_password=kept(planes_password_file(home), _random),
        sasl_port=sasl_port,
        is_open=is_open,
    )


def broker_password_file(home: Path) -> Path:
    """Where the password is that may do everything."""
    return home / "broker-password"


def planes_password_file(home: Path) -> Path:
    """Where the planes' password is."""
    return home / "planes-password"


def listener_properties(addresses: Addresses, security: Security | None) -> dict[str, str]:
    """The part of the broker's configuration that says who may connect and what they may do."""
    plain = {"PLAINTEXT": addresses.port} if security is None or security.is_open else {}
    sasl = {} if security is None else {"SASL": addresses.sasl_port}
    outside = {**plain, **sasl}
    inside = {**outside, "CONTROLLER": addresses.controller_port}
    protocol = "PLAINTEXT" if security is None else "SASL_PLAINTEXT"
    protocols = {**dict.fromkeys(plain, "PLAINTEXT"), **dict.fromkeys((*sasl, "CONTROLLER"), protocol)}
    found = {
        "listeners": ",".join(f"{name}://{addresses.host}:{port}" for name, port in inside.items()),
        "advertised.listeners": ",".join(f"{name}://{addresses.told}:{port}" for name, port in outside.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{value}" for name, value in protocols.items()),
    }
    return found if security is None else found | _authorized(security)


def lines(properties: Mapping[str, str]) -> str:
    """Properties as lines of a file."""
    return "\n".join(f"{name}={value}" for name, value in properties.items())


def _authorized(security: Security) -> dict[str, str]:
    password = security.broker_password
    login = f'{_PLAIN} required username="{BROKER_USER}" password="{password}" user_{BROKER_USER}="{password}";'
    return {
        "inter.broker.listener.name": "SASL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": login,
        "listener.name.sasl.sasl.enabled.mechanisms": f"{MECHANISM},PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": login,
        f"listener.name.sasl.{MECHANISM.lower()}.sasl.jaas.config": f"{_SCRAM} required;",
        "authorizer.class.name": _AUTHORIZER,
        "super.users": f"User:{BROKER_USER}",
        "allow.everyone.if.no.acl.found": "false",
    }


def login_options(mechanism: str, user: str, password: str) -> dict[str, str]:
    """Librdkafka's options for a user without TLS."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
    }


def _random() -> str:
    return secrets.token_urlsafe(24)
