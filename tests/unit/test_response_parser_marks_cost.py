"""What marks, second thoughts and cut replies cost: bounded in Python, and in time, whatever the text."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import Final

import pytest

from llm_integration.response_parser import LLMResponseParser
from tests.unit.test_response_parser_cost import MAX_CALLS, MAX_LOOPS, SIZE, fill, loop, seconds
from tests.unit.test_response_parser_turns import MOST_CALLS_IN_A_TURN, dearest_turn

PARSER = LLMResponseParser()
UNITS: Final = (
    *("<a>", "</a>", "<a></a>", "<a>Rating: 4</a>", "[A]", "[/A]", "[THINK]", "[/THINK] x ", "<|a|>"),
    *("<a|>", "&", "now 4; ", "5 of 5. "),
    *(
        "<|channel|>analysis<|message|>",
        "<|channel|>final<|message|>",
        "<|end|>",
        "&lt;",
        "&lt;think&gt;",
        "&",
    ),
    *("◁think▷", "«", "《a》", "\\u003cthink\\u003e", "<think x", "<a b=", "< ", "[think ", "assistantfinal"),
    *(
        "Here is my response:",
        "final 3. ",
        "so 4/5, ",
        "\n3",
        "3 ",
        "one ",
        "actually 3. ",
        "now 4; ",
        "5 of 5. ",
    ),
    *("avoid ", "excellent ", "do not ", "<answer>", "</answer>", "İ", "\ud800", "final 3 \ud800"),
    *("<a " + "x" * 29, "now 4; «excellent ", "« " + "x" * 200, "<a " + "y=1 " * 28, "[a " + "x" * 29),
)
PREFIXES: Final = (
    *(
        "",
        "<think>",
        "analysisx ",
        '{"rating": 4, "choppiness": "no"} ',
        "Rating: 4. ",
        "<a>",
        "[A]",
        "```json\n",
    ),
    *('{"rating": 4, "analysis": "', "Here is my thought process:", '<answer>{"rating": 4,', "x</think>"),
)


def shapes() -> Iterator[tuple[str, str]]:
    for unit in UNITS:
        yield "", unit
        yield '{"rating": 4, "choppiness": "no"} ', unit
    rng = random.Random(12)
    for _ in range(80):
        yield rng.choice(PREFIXES), "".join(rng.choices(UNITS, k=rng.randint(1, 3)))


def calls(text: str, finish_reason: str) -> int:
    """Calls made while ``text`` is read."""
    count = 0

    def tally(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tally)
    try:
        PARSER.parse(text, finish_reason)
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture(autouse=True)
def _no_tracing() -> Iterator[None]:
    """A coverage or debug tracer would be measured instead of the parser."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_work_in_python_is_bounded(finish_reason: str) -> None:
    """No 64 KB of marks make more calls than any other text."""
    costs = {shape: calls(fill(*shape, SIZE), finish_reason) for shape in shapes()}
    dearest = max(costs, key=costs.__getitem__)
    assert costs[dearest] <= MAX_CALLS, dearest


def reading_time(text: str, finish_reason: str) -> float:
    """The least time of a few readings, in plain loops; stops early once it is below the limit."""
    best = float("inf")
    for _ in range(6):
        read = partial(PARSER.parse, text, finish_reason)
        best = min(best, seconds(read, 2) / seconds(loop, 2))
        if best < MAX_LOOPS:
            break
    return best


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_time_is_bounded(finish_reason: str) -> None:
    """No 64 KB of marks take longer than five plain loops over as many characters do."""
    slow = {shape: reading_time(fill(*shape, SIZE), finish_reason) for shape in shapes()}
    assert {shape: cost for shape, cost in slow.items() if cost >= MAX_LOOPS} == {}


async def test_no_turn_has_much_to_do() -> None:
    """However many marks a reply has, what is done between two turns is bounded."""
    dearest = {}
    for shape in shapes():
        dearest[shape] = await dearest_turn(partial(PARSER.parse_in_turns, fill(*shape, SIZE)))
    assert max(dearest.values()) <= MOST_CALLS_IN_A_TURN
