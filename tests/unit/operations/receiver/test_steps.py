from __future__ import annotations

import pytest

from operations.errors import WrongUsage
from operations.receiver.steps import FOREVER, Script, Step


def taken(text: str, count: int) -> list[Step]:
    script = Script(text)
    return [script.next() for _ in range(count)]


def test_steps_come_in_their_order_and_the_last_stays() -> None:
    assert [step.name for step in taken("500x2, hang:5 ,200", 5)] == ["500x2", "500x2", "hang:5", "200", "200"]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("204", Step(name="204", status=204)),
        ("429:30", Step(name="429:30", status=429, headers=(("Retry-After", "30"),))),
        ("503:0.5", Step(name="503:0.5", status=503, headers=(("Retry-After", "1"),))),
        ("gone", Step(name="gone", status=410)),
        ("reset", Step(name="reset", status=None)),
        ("hang", Step(name="hang", status=200, wait=FOREVER)),
        ("hang:0.5", Step(name="hang:0.5", status=200, wait=0.5)),
        ("drip", Step(name="drip", status=200, drip=1.0)),
        ("drip:0.01", Step(name="drip:0.01", status=200, drip=0.01)),
        (
            "redirect:http://127.0.0.1:1/x",
            Step(name="redirect:http://127.0.0.1:1/x", status=302, headers=(("Location", "http://127.0.0.1:1/x"),)),
        ),
    ],
)
def test_what_a_step_stands_for(text: str, step: Step) -> None:
    assert taken(text, 1) == [step]


@pytest.mark.parametrize(
    "text", ["", "500,", "600", "199", "50", "hang:x", "gone:3", "reset:1", "500x0", "sleep", "500 x2"]
)
def test_what_is_no_step_is_refused_by_its_text(text: str) -> None:
    wrong = text.rsplit(",", maxsplit=1)[-1]
    with pytest.raises(WrongUsage, match=f"^{wrong!r} is no step of a script"):
        Script(text)
