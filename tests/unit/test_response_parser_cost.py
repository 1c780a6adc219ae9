"""What reading costs: bounded in Python, linear below it, whatever the text."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import pytest

from llm_integration.response_parser import LLMResponseParser

PARSER = LLMResponseParser()
SIZE: Final = 65_536
MAX_CALLS: Final = 12_000
"""Python and C calls for one reply; a normal one in prose needs some 300."""
MAX_LOOPS: Final = 5
"""Time for one reply, in plain loops of as many turns as it has characters."""

UNITS: Final = (
    *('{"a":1,</think>', '{"a":"b"   ,   {"a":[1,</think>', '{#this this "{#\n'),
    *(
        "{",
        "[",
        '"',
        "'",
        "\\",
        '\\"',
        "`",
        "<",
        " ",
        "\n",
        "İ",
        "\ud800",
        "\x00",
        "4",
        "-",
        "1,",
        "1e",
        "4/",
        "rat",
    ),
    *(
        "```json\n",
        "<think>",
        "</think>",
        "<think></think>",
        '{"a":',
        '{"rating":',
        '{"rating":1}',
        "[{",
        "{}",
        "[],",
    ),
    *(
        '"a",',
        '"a":1,',
        "{a:1,",
        "{ ",
        "{//\n",
        "{#\n#x\n",
        "/*",
        "{/*",
        '{"a" ',
        '{"a":"b" ',
        '{"a":"b" c ',
        '",',
        '","',
    ),
    *(
        '" ',
        '"\n',
        "“",
        "{“",
        "{“a”:“b” c “",
        "\\u0041",
        "\\n",
        "rating",
        "rating ",
        "rating: 4 ",
        '"rating": 5 ',
    ),
    *(
        "i rate this 4. ",
        "score: 4/5 ",
        "choppy ",
        "not choppy ",
        "avoid this trade. ",
        "do not buy ",
        "excellent setup. ",
    ),
    *(
        "ignore all ",
        "instructed ",
        "if ",
        "for example {'rating':3}",
        '{"a":[{"b":',
        '"   ,   ',
        '{#this "{#\n',
        '{"a":NaN,',
    ),
)
PREFIXES: Final = (
    *(
        "",
        '{"rating": 4, "analysis": "',
        '{"rating": 4, "x": [',
        "{'analysis': '",
        "{“analysis”: “",
        "<think>",
    ),
    *("```json\n", '{"rating": ', "Rating: ", "[", '{"rating":1}', "avoid"),
)


def fill(prefix: str, unit: str, size: int) -> str:
    return (prefix + unit * (size // len(unit) + 1))[:size]


def shapes() -> Iterator[tuple[str, str]]:
    for unit in UNITS:
        yield "", unit
    rng = random.Random(20)
    for _ in range(150):
        yield rng.choice(PREFIXES), "".join(rng.choices(UNITS, k=rng.randint(1, 3)))


def calls(text: str) -> int:
    """Calls made while ``text`` is read: a measure of work in Python that no machine changes."""
    count = 0

    def tally(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tally)
    try:
        PARSER.parse(text)
    finally:
        sys.setprofile(None)
    return count


def seconds(action: Callable[[], object], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best


def loop() -> None:
    """A plain loop of 65,536 turns: 0.9 ms where this was written."""
    for _ in range(SIZE):
        pass


def reading_time(text: str, limit: float) -> float:
    """The least time of a few readings, in plain loops; stops early once it is below ``limit``."""
    best = float("inf")
    for _ in range(6):
        best = min(best, seconds(lambda: PARSER.parse(text), 2) / seconds(loop, 2))
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


def test_work_in_python_does_not_grow_with_hostile_text() -> None:
    """Eight times as much hostile text makes hardly more calls: the budget is for the reply, not per byte."""
    for unit in ('{"a":', "{", '"', "rating: 4 ", '{"rating":1}', "<think>", '" '):
        assert calls(fill("", unit, SIZE)) <= 1.5 * calls(fill("", unit, SIZE // 8)) + 200, unit


def test_time_is_bounded() -> None:
    """No 64 KB text takes longer than five plain loops over as many characters do."""
    slow = {}
    for shape in shapes():
        cost = reading_time(fill(*shape, SIZE), limit=MAX_LOOPS)
        if cost >= MAX_LOOPS:
            slow[shape] = cost
    assert slow == {}


def doubling(shape: tuple[str, str]) -> float:
    once, twice = fill(*shape, SIZE // 2), fill(*shape, SIZE)
    return seconds(lambda: PARSER.parse(twice), 4) / max(seconds(lambda: PARSER.parse(once), 4), 2e-4)


def test_doubling_the_text_at_most_about_doubles_the_time() -> None:
    """The time is linear: 64 KB never take three times as long as 32 KB."""
    steep = {
        shape
        for shape in shapes()
        if all(doubling(shape) >= 3 for _ in range(3))  # a busy machine gets three tries
    }
    assert steep == set()


@pytest.mark.parametrize("digits", [100, 5_000, 60_000])
def test_long_numbers_are_not_converted(digits: int) -> None:
    """A number of many digits is text to the parser, even where the interpreter would convert it."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        assert PARSER.parse(f'{{"rating": {"4" * digits}}}').rating is None
    finally:
        sys.set_int_max_str_digits(limit)


@pytest.mark.parametrize("opening", ["[", "{", '{"a":', '[{"a":', "<think>", "```", '"', "\\"])
@pytest.mark.parametrize("count", [100, 1_000, 100_000])
def test_deep_nesting_is_survived(opening: str, count: int) -> None:
    """Openings without end give no rating and no error."""
    assert PARSER.parse(opening * count).rating is None
    assert PARSER.parse('{"rating": 4, "choppiness": "no", "x": ' + opening * count).rating in (4, None)
