"""``headrace consumer-user``: a user of Kafka for a team, which may read the topics with a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.kafka.settings import KafkaSettings
from operations.broker.listeners import Security, broker_password_file
from operations.kafka_users.access import Users, check_consumer, new_password

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


def run(console: Console, data_dir: Path, name: str, prefix: str, *, delete: bool) -> None:
    """Make the user, or give it a new password and this prefix; with ``delete``, delete it.

    On the local broker it acts with the broker's own credentials, elsewhere with those of ``HEADRACE_KAFKA_OPTIONS``.

    Raises:
        InvalidRequest: the name or the prefix would give more than events, or another team's groups.
        CannotStart: Kafka refuses.
    """
    check_consumer(name, prefix)
    kafka = KafkaSettings()
    users = Users(kafka.bootstrap_servers, _options(kafka, data_dir / "kafka"))
    if delete:
        users.delete_team(name)
        _say(console, f"{name} is deleted. Its open connections end when they are next checked.")
        return
    password = new_password()
    users.make_team(name, password, prefix)
    _say(console, f"{name} may read the topics {prefix}*, with consumer groups named {name}, {name}.* or {name}-*.")
    _say(console, "Its password is shown this once:")
    client = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.options.get("security.protocol", "SASL_PLAINTEXT"),
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": name,
        "sasl.password": password,
        "group.id": name,
    }
    for key, value in client.items():
        _say(console, f"{key}={value}")


def _options(kafka: KafkaSettings, home: Path) -> dict[str, str]:
    """The options of whoever may make users."""
    if not broker_password_file(home).exists():
        return kafka.options
    password = broker_password_file(home).read_text(encoding="utf-8").strip()
    local = Security(broker_password=password, planes_password="", sasl_port=0)
    return {**kafka.options, **local.broker_options}


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
