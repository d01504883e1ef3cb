from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from backbone.kafka.admin import Admin
from backbone.kafka.settings import DAY, KafkaSettings
from backbone.kafka.topology import event_topic_spec, internal_topics
from schemas.model import topics
from schemas.model.errors import Misconfigured
from schemas.model.event_type import EventType


def test_the_environment_says_where_kafka_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("HEADRACE_KAFKA_OPTIONS", '{"security.protocol": "SSL", "isolation.level": "read_uncommitted"}')
    config = KafkaSettings().client_config(**{"isolation.level": "read_committed"})
    assert config["bootstrap.servers"] == "kafka:9092"
    assert config["security.protocol"] == "SSL"
    assert config["isolation.level"] == "read_committed", "a client's promise cannot be configured away"


@pytest.mark.parametrize("options", ["security.protocol=SSL", "[]", '"x"', '{"sasl.password": ["s3cret"]}'])
def test_options_that_cannot_be_read_are_named_and_not_shown(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA_OPTIONS", options)
    with pytest.raises(ValidationError) as refused:
        KafkaSettings()
    assert all(problem["loc"][0] == "HEADRACE_KAFKA_OPTIONS" for problem in refused.value.errors())
    assert not any("s3cret" in problem["msg"] for problem in refused.value.errors())


def test_options_may_hold_passwords_and_are_never_printed() -> None:
    assert "s3cret" not in repr(KafkaSettings(options={"sasl.password": "s3cret"}))


def test_an_option_that_librdkafka_does_not_know_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"HEADRACE_KAFKA_OPTIONS.*no\.such\.option"):
        Admin(KafkaSettings(options={"no.such.option": "1"}))


def test_deliveries_cannot_be_kept_for_less_than_their_retries_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_DELIVERY_RETENTION", str(13 * DAY))
    with pytest.raises(ValidationError):
        KafkaSettings()


def test_every_internal_topic_is_there_once() -> None:
    names = [spec.topic for spec in internal_topics(KafkaSettings())]
    assert len(names) == len(set(names))
    assert {topics.CATALOG, topics.SCHEMAS, topics.DEAD_LETTERS, *topics.RETRY_TIERS.values()} < set(names)


def test_a_delivery_fits_wherever_its_event_did() -> None:
    event_type = EventType(
        workspace="w", namespace="n", code="c", effective_partitions=1, schema_id=1, created_at=0, updated_at=0
    )
    event = event_topic_spec(event_type, 3)
    for spec in internal_topics(KafkaSettings()):
        if spec.topic.startswith("deliveries") or spec.topic == topics.DEAD_LETTERS:
            assert int(spec.config["max.message.bytes"]) > int(event.config["max.message.bytes"])
            assert int(spec.config["retention.ms"]) >= 14 * DAY * 1_000


def test_a_compacted_type_keeps_its_events() -> None:
    event_type = EventType(
        workspace="w",
        namespace="n",
        code="c",
        effective_partitions=1,
        schema_id=1,
        compacted=True,
        created_at=0,
        updated_at=0,
    )
    assert event_topic_spec(event_type, 3).config["cleanup.policy"] == "compact"
    assert "retention.ms" not in event_topic_spec(event_type, 3).config


def test_a_client_repeats_itself_only_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    client = KafkaSettings().client_config()["logger"]
    for _ in range(3):
        client.log(logging.ERROR, "%s [%s] %s", "FAIL", "headrace#producer-1", "connection refused")
    client.log(logging.ERROR, "%s [%s] %s", "FATAL", "headrace#producer-1", "out of order")
    assert [record.getMessage().split(" ", 1)[0] for record in caplog.records] == ["FAIL", "FATAL"]


def test_that_another_client_took_a_transactional_id_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    """Writers of the catalog take turns that way."""
    caplog.set_level(logging.INFO)
    client = KafkaSettings().client_config()["logger"]
    fenced = "Fatal error: Local: This instance has been fenced by a newer instance: Failed to end transaction"
    client.log(logging.CRITICAL, "%s [%s] %s", "FATAL", "headrace#producer-1", fenced)
    client.log(logging.CRITICAL, "%s [%s] %s", "FATAL", "headrace#producer-1", "Fatal error: out of order")
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.CRITICAL]
