"""Clients of a Kafka that speaks TLS with a certificate of its own authority, and asks for a password."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backbone.kafka.admin import Admin
from backbone.kafka.read_to_end import read_topics_to_end
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics_now
from backbone.kafka.transaction import TransactionalProducer
from backbone.kafka.write_probe import WriteProbe
from operations.broker.guard import Guard
from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.doctor.installed import Installed
from operations.doctor.kafka import reachable
from operations.doctor.site import Site
from operations.settings import OperationsSettings
from operations.supervisor.ports import free_port
from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("jars")


class TlsBroker(JarBroker):
    """It has one listener more, for SASL over TLS."""

    def __init__(self, home: Path, *, tls_port: int, chain: Path, **parts: Any) -> None:
        super().__init__(home, **parts)
        self._tls_port, self._chain = tls_port, chain

    def prepare(self) -> None:
        super().prepare()
        text = self._config.read_text(encoding="utf-8")
        address = f",TLS://127.0.0.1:{self._tls_port}"
        text = re.sub(r"(?m)^((advertised\.)?listeners=.*)$", rf"\1{address}", text)
        text = re.sub(r"(?m)^(listener\.security\.protocol\.map=.*)$", r"\1,TLS:SASL_SSL", text)
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        text += (
            f"\nlistener.name.tls.ssl.keystore.type=PEM\nlistener.name.tls.ssl.keystore.location={self._chain}\n"
            "listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-256\n"
            f"listener.name.tls.scram-sha-256.sasl.jaas.config={login}\n"
        )
        self._config.write_text(text, encoding="utf-8")


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """An authority, and the key and certificate of 127.0.0.1 in one file."""
    now = dt.datetime.now(dt.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "127.0.0.1")]

    def signed(subject: int, *, is_authority: bool) -> x509.Certificate:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(names[subject])
            .issuer_name(names[0])
            .public_key(keys[subject].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(keys[0], hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    authority, chain = directory / f"{name}.pem", directory / f"{name}-chain.pem"
    authority.write_bytes(signed(0, is_authority=True).public_bytes(pem))
    key = keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(key + signed(1, is_authority=False).public_bytes(pem) + authority.read_bytes())
    return authority, chain


@pytest.fixture(scope="module")
def kafka(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    home = tmp_path_factory.mktemp("tls")
    authority, chain = certificate(home, "authority")
    guard = Guard(home / "kafka", sasl_port=free_port())
    parts: dict[str, Any] = {"java": find_java(), "jars": kafka_jars(user_cache(), print), "guard": guard}
    port = free_port()
    broker = TlsBroker(home / "kafka", tls_port=port, chain=chain, port=free_port(), **parts)
    with running(broker, home / "broker.log"):
        options = guard.security.planes_options | {"security.protocol": "SASL_SSL", "ssl.ca.location": str(authority)}
        yield KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}", options=options)


def site(kafka: KafkaSettings, directory: Path) -> Site:
    return Site(installed=Installed(data_dir=directory), operations=OperationsSettings(data_dir=directory), kafka=kafka)


def test_all_clients_read_and_write_through_tls(kafka: KafkaSettings, tmp_path: Path) -> None:
    ensure_internal_topics_now(Admin(kafka))
    WriteProbe(kafka, 30).write()
    producer = TransactionalProducer(kafka, "headrace-tls", timeout=30)
    producer.start()
    producer.begin()
    producer.produce(Record(topics.ATTEMPTS, b"through TLS", partition=0))
    producer.commit()
    producer.close()
    assert [record.value() for record in read_topics_to_end(kafka, [topics.ATTEMPTS])] == [b"through TLS"]
    assert list(reachable(site(kafka, tmp_path))) == []


def test_a_certificate_of_another_authority_is_refused(kafka: KafkaSettings, tmp_path: Path) -> None:
    other, _ = certificate(tmp_path, "other")
    mistaken = kafka.model_copy(update={"options": kafka.options | {"ssl.ca.location": str(other)}})
    (found,) = reachable(site(mistaken, tmp_path))
    assert found.cause == "kafka-tls"
    assert "certificate verify failed" in found.what
    assert "ssl.*" in found.cure


def test_tls_alone_does_not_let_anybody_in(kafka: KafkaSettings, tmp_path: Path) -> None:
    mistaken = kafka.model_copy(update={"options": kafka.options | {"sasl.password": "wrong"}})
    (found,) = reachable(site(mistaken, tmp_path))
    assert found.cause == "kafka-login"
