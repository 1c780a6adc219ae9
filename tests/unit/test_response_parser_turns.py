"""A reply read in several turns of an event loop says the same, and no turn has much to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

from llm_integration.response_parser import Expected, LLMResponseParser
from tests.unit.test_response_parser_batch_cost import EXPECTED, USUAL
from tests.unit.test_response_parser_batch_cost import shapes as batch_shapes
from tests.unit.test_response_parser_cost import SIZE, fill, shapes

DATA = Path(__file__).parent.parent / "data"
PARSER = LLMResponseParser()
MOST_CALLS_IN_A_TURN: Final = 4_500
"""Python and C calls between two turns; a whole reply may need several times as many."""
WELL_FORMED = '{"rating": 4, "choppiness": "no", "analysis": "Fine.", "recommendations": "Enter."}'


def corpus(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="ascii").splitlines()]


class Turns:
    """Counts the turns, and the calls that are made between them."""

    def __init__(self) -> None:
        self.calls = [0]

    async def __call__(self) -> None:
        self.calls.append(0)

    def tally(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls[-1] += event in ("call", "c_call")


async def test_every_reply_of_the_corpus_says_the_same() -> None:
    """Single replies, and such about several signals."""
    for row in corpus("parser_corpus.jsonl"):
        assert await PARSER.parse_in_turns(row["text"], Turns()) == PARSER.parse(row["text"])
    for row in corpus("batch_corpus.jsonl"):
        expected = [Expected(*signal) for signal in row["expected"]]
        reading = await PARSER.parse_batch_in_turns(row["text"], expected, Turns())
        assert reading == PARSER.parse_batch(row["text"], expected)


async def test_hostile_replies_say_the_same() -> None:
    """64 KB of anything."""
    for shape in shapes():
        text = fill(*shape, SIZE)
        assert await PARSER.parse_in_turns(text, Turns()) == PARSER.parse(text), shape
    for shape in batch_shapes():
        text = fill(*shape, SIZE)
        reading = await PARSER.parse_batch_in_turns(text, USUAL, Turns())
        assert reading == PARSER.parse_batch(text, USUAL), shape


@pytest.mark.parametrize("text", [WELL_FORMED, "", None])
async def test_what_takes_no_time_waits_for_nobody(text: str | None) -> None:
    """A plain reply, or none, is read at once."""
    turns = Turns()
    assert await PARSER.parse_in_turns(text, turns) == PARSER.parse(text)
    assert len(turns.calls) == 1


async def dearest_turn(reading: Callable[[Turns], Awaitable[object]]) -> int:
    """Calls made in the turn that has most of them."""
    turns = Turns()
    sys.setprofile(turns.tally)
    try:
        await reading(turns)
    finally:
        sys.setprofile(None)
    return max(turns.calls)


async def test_no_turn_has_much_to_do() -> None:
    """However long a hostile reply is, what is done between two turns is bounded."""
    dearest: dict[tuple[str, str], int] = {}
    for shape in shapes():
        text = fill(*shape, SIZE)
        dearest[shape] = await dearest_turn(partial(PARSER.parse_in_turns, text))
    assert max(dearest.values()) <= MOST_CALLS_IN_A_TURN


@pytest.mark.parametrize("expected", [USUAL, EXPECTED], ids=["20 signals", "100 signals"])
async def test_no_turn_of_a_batch_has_much_to_do(expected: list[Expected]) -> None:
    """Nor does the number of signals asked about make a turn longer."""
    dearest: dict[tuple[str, str], int] = {}
    for shape in batch_shapes():
        text = fill(*shape, SIZE)
        dearest[shape] = await dearest_turn(partial(PARSER.parse_batch_in_turns, text, expected))
    assert max(dearest.values()) <= MOST_CALLS_IN_A_TURN
