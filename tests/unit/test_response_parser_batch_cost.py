"""What reading a batch costs: bounded in Python, linear below it, whatever the text."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final

import pytest

from llm_integration.batch_labels import batch_labels
from llm_integration.fairness import at_once
from llm_integration.response_parser import Expected, LLMResponseParser
from llm_integration.response_parser.batch import read_batch, steps_for
from llm_integration.response_parser.model import Budget
from tests.unit.test_response_parser_cost import UNITS, fill, loop, seconds

PARSER = LLMResponseParser()
SIZE: Final = 65_536
EXPECTED: Final = [
    Expected(label, "EURUSD", "BUY") for label in batch_labels([f"signal-{n}" for n in range(100)])
]
USUAL: Final = EXPECTED[:20]
FIRST: Final = EXPECTED[0].label
MAX_CALLS: Final = 20_000
"""Python and C calls for one reply of 64 KB about 20 signals; a well-formed one needs some 2,500."""
MAX_LOOPS: Final = 5
"""Time for one reply of 64 KB, in plain loops of as many turns as it has characters."""

ENTRY: Final = json.dumps({"id": FIRST, "rating": 4, "choppiness": "no", "analysis": "x" * 300}) + ", "
OWN_UNITS: Final = (
    *(ENTRY, '{"id":', f'{{"id": "{FIRST}", ', f'{{"id": "{FIRST}"}}', f'{{"id": "{FIRST}", "rating": 4}},'),
    *(f'{{"{FIRST}": ', f'"{FIRST}" ', '{"id": {"id": ', '[{"id": 1, "rating": 1}, ', '{"rating": 4,}, '),
    *(
        '{"id": "a" ',
        "{'id': '",
        '{"id": "a}, ',
        '{"a": [], ',
        "[[",
        '{"signals": [',
        '{"id": 7}, ',
        "id: 1, ",
    ),
    *('"id": "rating": ', '{"a": "' + "y" * 5_000 + '",}, ', '{"id": "b", "rating": 4, "x": [1,2,3'),
)
PREFIXES: Final = ("", '{"signals": [', "[", f'{{"signals": [{ENTRY}', "<think>", "```json\n", "{'a': '")


def shapes() -> Iterator[tuple[str, str]]:
    for unit in (*OWN_UNITS, *UNITS):
        yield "", unit
    for unit in OWN_UNITS:
        yield '{"signals": [', unit
    rng = random.Random(5)
    for _ in range(80):
        yield rng.choice(PREFIXES), "".join(rng.choices((*OWN_UNITS, *UNITS), k=rng.randint(1, 3)))


def calls(text: str) -> int:
    """Calls made while ``text`` is read: a measure of work in Python that no machine changes."""
    count = 0

    def tally(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tally)
    try:
        PARSER.parse_batch(text, USUAL)
    finally:
        sys.setprofile(None)
    return count


def cost(text: str, limit: float) -> float:
    """The least time of a few readings, in plain loops; stops early once it is below ``limit``."""
    best = float("inf")
    for _ in range(6):
        best = min(best, seconds(lambda: PARSER.parse_batch(text, USUAL), 2) / seconds(loop, 2))
        if best < limit:
            break
    return best


@pytest.fixture(autouse=True)
def _no_tracing() -> Iterator[None]:
    """A coverage or debug tracer would be measured instead of the parser."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


def test_work_in_python_is_bounded() -> None:
    """No 64 KB text makes more than a fixed number of calls."""
    costs = {shape: calls(fill(*shape, SIZE)) for shape in shapes()}
    dearest = max(costs, key=costs.__getitem__)
    assert costs[dearest] <= MAX_CALLS, dearest


def test_time_is_bounded() -> None:
    """No 64 KB text takes longer than five plain loops over as many characters do."""
    slow = {}
    for shape in shapes():
        taken = cost(fill(*shape, SIZE), limit=MAX_LOOPS)
        if taken >= MAX_LOOPS:
            slow[shape] = taken
    assert slow == {}


def doubling(shape: tuple[str, str]) -> float:
    once, twice = fill(*shape, SIZE // 2), fill(*shape, SIZE)
    return seconds(lambda: PARSER.parse_batch(twice, USUAL), 4) / max(
        seconds(lambda: PARSER.parse_batch(once, USUAL), 4), 4e-4
    )


def test_doubling_the_text_at_most_about_doubles_the_time() -> None:
    """The time is linear: 64 KB never take three times as long as 32 KB."""
    steep = {shape for shape in shapes() if all(doubling(shape) >= 3 for _ in range(3))}
    assert steep == set()


def reply(count: int, size: int) -> str:
    """A reply about ``count`` signals with ``size`` characters of analysis for each."""
    entries = [
        {
            "id": signal.label,
            "symbol": "EURUSD",
            "rating": 4,
            "choppiness": "no",
            "analysis": 'Up, "up", up. ' * (size // 14),
            "recommendations": ["Enter.", "Trail the stop."],
        }
        for signal in EXPECTED[:count]
    ]
    return json.dumps({"signals": entries})


@pytest.mark.parametrize("count", [1, 5, 20, 50])
@pytest.mark.parametrize("cut", [0, 1, 40])
def test_usual_replies_stay_far_from_the_bound(count: int, cut: int) -> None:
    """A reply of usual size, whole or cut, is read to its end with budget to spare, up to 50 signals."""
    text = reply(count, 600)
    budget = Budget(steps_for(count))
    reading = at_once(read_batch(f"Here:\n{text[: len(text) - cut]}", EXPECTED[:count], budget))
    assert len(reading.missing) == (1 if cut == 40 else 0)
    assert budget.spent < 0.7 * steps_for(count)


def test_what_is_too_long_counts_as_cut() -> None:
    """Behind its limit a reply is not read: entries there are missing, and a warning says so."""
    text = reply(20, 9_000).replace('\\"up\\", ', "")
    reading = PARSER.parse_batch(text, USUAL)
    assert len(text) > 65_536
    assert 5 < len(reading.readings) < 20
    assert "cut after 65536 characters" in reading.warnings[0]


def test_too_much_work_gives_no_reading() -> None:
    """A reply that cannot be read to its end gives nothing: what is left could contradict what was read."""
    text = reply(2, 20) + '{"a" ' * 3_000 + reply(2, 20).replace("4", "1")
    reading = PARSER.parse_batch(text, EXPECTED[:2])
    assert (dict(reading.readings), len(reading.missing)) == ({}, 2)
    assert "tangled" in reading.warnings[-1]


@pytest.mark.parametrize(
    "opening", ["[", "{", '{"a":', '[{"a":', '{"signals":[', "<think>", "```", '"', "\\"]
)
@pytest.mark.parametrize("count", [100, 1_000, 100_000])
def test_deep_nesting_is_survived(opening: str, count: int) -> None:
    """Openings without end give no reading and no error."""
    assert not PARSER.parse_batch(opening * count, USUAL).readings
    assert not PARSER.parse_batch(
        f'{{"signals": [{{"id": "{FIRST}", "rating": ' + opening * count, USUAL
    ).readings
