"""Which answers of Kafka are asked for again."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from backbone.kafka.failures import answer
from schemas.model.errors import Unavailable


class Answers:
    """Gives one answer after the other."""

    def __init__(self, *answers: int | str) -> None:
        self.left = list(answers)

    def __call__(self) -> str:
        answer = self.left.pop(0)
        if isinstance(answer, int):
            raise KafkaException(KafkaError(answer))
        return answer


def test_a_partition_that_has_no_leader_yet_is_asked_again() -> None:
    answers = Answers(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, "seven")
    assert answer(answers, "ask", 5.0) == "seven"


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._NOENT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.REPLICA_NOT_AVAILABLE,
    ],
)
def test_leaders_and_coordinators_that_move_are_waited_for(code: int) -> None:
    assert answer(Answers(code, code, "seven"), "ask", 5.0) == "seven"


def test_a_lasting_refusal_is_not_repeated() -> None:
    answers = Answers(KafkaError.TOPIC_AUTHORIZATION_FAILED, "never asked")
    with pytest.raises(Unavailable, match="ask"):
        answer(answers, "ask", 5.0)
    assert answers.left == ["never asked"]


def test_the_question_ends_with_its_time() -> None:
    answers = Answers(*[KafkaError.NOT_LEADER_FOR_PARTITION] * 1_000)
    with pytest.raises(Unavailable, match="ask"):
        answer(answers, "ask", 0.05)
