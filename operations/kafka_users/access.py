"""Users and ACLs of Kafka: what planes, teams, and clients without credentials may do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported for mypy
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from operations.broker.listeners import PLANES_USER
from operations.errors import CannotStart
from schemas.model.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operations.broker.listeners import Security

WITHOUT_CREDENTIALS = "ANONYMOUS"
"""What Kafka calls a client that has none."""

EVENTS = "events."
OUR_GROUPS = "headrace-"
"""Prefix of the consumer groups of the planes; nobody else's may begin so."""

_TIMEOUT = 15.0
_ITERATIONS = 4096
_CLUSTER = "kafka-cluster"
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_LONGEST_NAME = 64


class Acl(msgspec.Struct, frozen=True):
    """One right: ``operation`` on the resources of a kind whose name is, or begins with, ``name``.

    ``*`` as a literal name stands for all.
    """

    resource: str
    name: str
    operation: str
    prefixed: bool = False
    denied: bool = False


ANONYMOUS = (
    Acl("topic", EVENTS, "read", prefixed=True),
    # Any group but the planes': a stock consumer names its own. A denial outweighs the permission.
    Acl("group", "*", "read"),
    Acl("group", OUR_GROUPS, "all", prefixed=True, denied=True),
)
"""What clients without credentials may do: read events, with a group of their own."""

PLANES = (
    Acl("topic", "*", "all"),
    Acl("group", "*", "all"),
    Acl("transactional_id", "*", "all"),
    Acl("cluster", _CLUSTER, "create"),
    Acl("cluster", _CLUSTER, "describe"),
    Acl("cluster", _CLUSTER, "describe_configs"),
)
"""What the planes of a local broker may do: everything with topics and groups, nothing with users and ACLs."""


def consumer_acls(name: str, prefix: str) -> tuple[Acl, ...]:
    """What a team's user may do: read topics with a prefix, with groups that have the user's name or begin with it."""
    return (Acl("topic", prefix, "read", prefixed=True), *_groups(name, "read"))


def kept_groups(name: str) -> tuple[Acl, ...]:
    """What clients without credentials may not do: use the groups of a team's user."""
    return _groups(name, "all", denied=True)


def _groups(name: str, operation: str, *, denied: bool = False) -> tuple[Acl, ...]:
    """A right on the groups of a team's user: its name, and what begins with it and a dot or dash."""
    prefixes = (Acl("group", f"{name}{each}", operation, prefixed=True, denied=denied) for each in (".", "-"))
    return (Acl("group", name, operation, denied=denied), *prefixes)


def secure(bootstrap: str, security: Security, *, denied_groups: Iterable[str] = ()) -> None:
    """Make the planes' user and set the ACLs of the planes and of clients without credentials.

    Args:
        bootstrap: the SASL listener of a broker that answers.
        security: its credentials.
        denied_groups: groups of the planes that do not begin with ``headrace-``.

    Raises:
        CannotStart: the broker does not take them.
    """
    users = Users(bootstrap, security.broker_options)
    users.make(PLANES_USER, security.planes_password, PLANES)
    others = tuple(Acl("group", group, "all", denied=True) for group in denied_groups)
    teams = [each for name in users.teams() for each in kept_groups(name)]
    users.set_acls(WITHOUT_CREDENTIALS, (*ANONYMOUS, *others, *teams) if security.is_open else ())


class Users:
    """Makes and deletes users and their ACLs.

    Args:
        bootstrap: where the cluster is.
        options: librdkafka's, of a user that may change users and ACLs.
    """

    def __init__(self, bootstrap: str, options: Mapping[str, str]) -> None:
        # The broker has just come up: what it does not answer yet is no news.
        self._client = AdminClient({"bootstrap.servers": bootstrap, **options, "log_level": 0})

    def make(self, name: str, password: str, acls: Sequence[Acl]) -> None:
        """Make a user or give it another password, and set its ACLs.

        Raises:
            CannotStart: Kafka refuses.
        """
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, _ITERATIONS)
        self._change(UserScramCredentialUpsertion(name, credential, password.encode()))
        self.set_acls(name, acls)

    def make_team(self, name: str, password: str, prefix: str) -> None:
        """Make a team's user, as ``make`` does, and keep its groups from clients without credentials.

        Raises:
            InvalidRequest: its groups would be another team's, too.
            CannotStart: Kafka refuses.
        """
        for other in self.teams():
            if name.startswith(f"{other}-") or other.startswith(f"{name}-"):
                raise InvalidRequest(f"{name} would share consumer groups with the user {other}: choose another name.")
        self._create({_binding(WITHOUT_CREDENTIALS, each) for each in kept_groups(name)})
        self.make(name, password, consumer_acls(name, prefix))

    def delete_team(self, name: str) -> None:
        """Delete a team's user; its groups are everybody's again.

        Raises:
            CannotStart: Kafka refuses, or there is no such user.
        """
        self.delete(name)
        self._delete({_binding(WITHOUT_CREDENTIALS, each) for each in kept_groups(name)})

    def teams(self) -> list[str]:
        """The names of the teams' users: those that may use a group of their name.

        Raises:
            CannotStart: Kafka refuses.
        """
        allowed = (each for each in self._found(None) if each.permission_type is AclPermissionType.ALLOW)
        return sorted(
            each.name
            for each in allowed
            if (each.restype, each.resource_pattern_type) == (ResourceType.GROUP, ResourcePatternType.LITERAL)
            and each.principal == f"User:{each.name}"
        )

    def delete(self, name: str) -> None:
        """Delete a user and its ACLs.

        Raises:
            CannotStart: Kafka refuses, or there is no such user.
        """
        self._change(UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_256))
        self.set_acls(name, ())

    def set_acls(self, user: str, acls: Sequence[Acl]) -> None:
        """Give a user these rights and no others.

        Raises:
            CannotStart: Kafka refuses.
        """
        wanted, found = {_binding(user, each) for each in acls}, self._found(f"User:{user}")
        self._create(wanted - found)
        self._delete(found - wanted)

    def _found(self, principal: str | None) -> set[AclBinding]:
        """The rights of a principal; None: of all."""
        every = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]  # any name; the stub lacks it
            ResourcePatternType.ANY,
            principal,  # type: ignore[arg-type]  # likewise
            None,  # type: ignore[arg-type]  # any host
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        return set(_result(self._client.describe_acls(every, request_timeout=_TIMEOUT)))

    def _create(self, acls: set[AclBinding]) -> None:
        if acls:
            for future in self._client.create_acls(list(acls), request_timeout=_TIMEOUT).values():
                _result(future)

    def _delete(self, acls: set[AclBinding]) -> None:
        if acls:
            for future in self._client.delete_acls([*map(_filter, acls)], request_timeout=_TIMEOUT).values():
                _result(future)

    def _change(self, change: UserScramCredentialUpsertion | UserScramCredentialDeletion) -> None:
        for future in self._client.alter_user_scram_credentials([change], request_timeout=_TIMEOUT).values():
            _result(future)


def check_consumer(name: str, prefix: str) -> None:
    """Refuse a team's user whose name or prefix would give it more than events.

    Raises:
        InvalidRequest: it would.
    """
    if not 1 <= len(name) <= _LONGEST_NAME or not set(name) <= _NAME:
        raise InvalidRequest(f"A user's name has 1 to {_LONGEST_NAME} letters, digits, dashes and underscores.")
    if name.lower().startswith(PLANES_USER) or name == WITHOUT_CREDENTIALS:
        raise InvalidRequest("This name is kept for the planes and for clients without credentials.")
    if not prefix.startswith(EVENTS):
        raise InvalidRequest(f"A prefix of topics begins with {EVENTS}")


def new_password() -> str:
    """A random password."""
    return secrets.token_urlsafe(24)


def _binding(user: str, acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource.upper() if acl.resource != "cluster" else "BROKER"],
        acl.name,
        ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[acl.operation.upper()],
        AclPermissionType.DENY if acl.denied else AclPermissionType.ALLOW,
    )


def _filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _result(future: Any) -> Any:
    try:
        return future.result(_TIMEOUT + 1)
    except (KafkaException, TimeoutError) as error:
        raise CannotStart(f"Kafka does not take users and ACLs: {error}") from error
