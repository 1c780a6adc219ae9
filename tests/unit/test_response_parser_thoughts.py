"""LLMResponseParser against the corpus of thoughts, drafts and cut replies, alone and in batches."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from llm_integration.domain import ParseMethod
from llm_integration.finish_reason import is_cut
from llm_integration.response_parser import Expected, LLMResponseParser
from tests.unit.test_response_parser_turns import Turns

CORPUS: Final = Path(__file__).parent.parent / "data" / "thoughts_corpus.jsonl"
ROWS: Final[list[dict[str, Any]]] = [json.loads(line) for line in CORPUS.read_text("ascii").splitlines()]
PARSER: Final = LLMResponseParser()


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in ROWS}))
async def test_corpus(kind: str) -> None:
    """Every reply is read as its row says why, and says the same when it is read in turns."""
    wrong = []
    for row in ROWS:
        if row["kind"] != kind:
            continue
        response = PARSER.parse(row["text"], row["finish_reason"])
        if (response.rating, response.choppiness) != (row["rating"], row["choppiness"]):
            wrong.append((row["why"], row["text"], response))
        assert response == await PARSER.parse_in_turns(row["text"], Turns(), row["finish_reason"])
        assert response.rating is not None or response.warnings
    assert wrong == []


def test_corpus_is_broad() -> None:
    """More than two dozen families of marks, each with five replies or more, none twice."""
    assert len({(row["text"], row["finish_reason"]) for row in ROWS}) == len(ROWS) > 250
    kinds = Counter(row["kind"] for row in ROWS)
    assert len(kinds) > 28
    assert all(count > 4 for count in kinds.values())


@pytest.mark.parametrize(
    "word",
    ["length", "LENGTH", "MAX_TOKENS", "max-tokens", "incomplete", " length ", "FINISH_REASON_MAX_TOKENS"],
)
def test_words_for_a_cut_reply(word: str) -> None:
    """The usual word and those of the providers, in any case."""
    assert is_cut(word)


@pytest.mark.parametrize(
    "word", [None, "", "stop", "tool_calls", "end_turn", "lengthy", 7, ["length"], "x" * 999]
)
def test_words_that_do_not_say_that_a_reply_was_cut(word: object) -> None:
    """What nobody knows is no reason to lose a reply."""
    assert not is_cut(word)


def test_why_a_disputed_rating_is_none() -> None:
    """The warning says that there were two ratings, not that there was none."""
    warnings = PARSER.parse('{"rating": 2, "choppiness": "no"}\nRating: 4').warnings
    assert "different ratings" in warnings[0]


def test_why_a_cut_reply_is_unrated() -> None:
    """The warning names the cut first."""
    assert "cut" in PARSER.parse("Rating: 4", "length").warnings[0]


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ('{"rating": 4, "choppiness": "no"}', ParseMethod.JSON),
        ('```json\n{"rating": 4, "choppiness": "no"}', ParseMethod.FENCED_JSON),
        ('<think>2</think>{"rating": 4, "choppiness": "no"}', ParseMethod.EMBEDDED_JSON),
        ('{"rating": 4, "choppiness": "no", "ana', ParseMethod.REPAIRED_JSON),
    ],
)
def test_a_cut_reply_names_its_layer(text: str, method: ParseMethod) -> None:
    """The layers are those of a complete reply."""
    assert PARSER.parse(text, "length").method is method


# Several signals

EXPECTED: Final = [Expected("xmkfgp", "EURUSD", "BUY"), Expected("r8rk72", "ES", "SELL")]


def entry(label: str, rating: int) -> str:
    symbol = {signal.label: signal.symbol for signal in EXPECTED}[label]
    return json.dumps({"id": label, "symbol": symbol, "rating": rating, "choppiness": "no"})


FIRST, SECOND = entry("xmkfgp", 4), entry("r8rk72", 3)
DRAFT = entry("xmkfgp", 2)
BOTH = f'{{"signals": [{FIRST}, {SECOND}]}}'
CUT = f'{{"signals": [{FIRST}, {SECOND[:40]}'


@pytest.mark.parametrize(
    ("text", "finish", "ratings"),
    [
        (BOTH, "stop", {"xmkfgp": 4, "r8rk72": 3}),
        (BOTH, "length", {"xmkfgp": 4, "r8rk72": 3}),
        (CUT, "length", {"xmkfgp": 4}),
        (f"```json\n{CUT}", "length", {"xmkfgp": 4}),
        (f"<think>{DRAFT}</think>{CUT}", "length", {"xmkfgp": 4}),
        (f"{FIRST}\n{SECOND[:40]}", "length", {"xmkfgp": 4}),
        (f"{FIRST},\n{SECOND}\n", "MAX_TOKENS", {"xmkfgp": 4, "r8rk72": 3}),
        (f"Here they are:\n{CUT}", "length", {}),
        (f"Here they are:\n{CUT}", "stop", {"xmkfgp": 4}),
        (f"[THINK]First {DRAFT}, but", "length", {}),
        (f"<mulling>{DRAFT}</mulling>{BOTH}", "stop", {"r8rk72": 3}),
        (f"<mulling>{DRAFT}</mulling>\n{SECOND}", "stop", {"r8rk72": 3}),
        (f"<mulling>{FIRST}", "stop", {}),
        (f"{DRAFT}\nBetter:\n{BOTH}", "stop", {"r8rk72": 3}),
        (f"analysisWe draft {DRAFT} first.assistantfinal{BOTH}", "stop", {"xmkfgp": 4, "r8rk72": 3}),
        (f"&lt;think&gt;{DRAFT}&lt;/think&gt;{BOTH}", "stop", {"xmkfgp": 4, "r8rk72": 3}),
        (f"{BOTH}\nThe rating of xmkfgp is 2.", "stop", {"r8rk72": 3}),
        (f"{BOTH}\nHope this helps!", "stop", {"xmkfgp": 4, "r8rk72": 3}),
        (f"My ratings: xmkfgp rating: 2.\n{BOTH}", "stop", {"xmkfgp": 4, "r8rk72": 3}),
    ],
)
async def test_drafts_and_cuts_in_batches(text: str, finish: str, ratings: dict[str, int]) -> None:
    """An entry counts that is complete, no draft, not taken back, and of a cut reply not behind words."""
    reading = PARSER.parse_batch(text, EXPECTED, finish)
    assert {label: response.rating for label, response in reading.readings.items()} == ratings
    assert reading == await PARSER.parse_batch_in_turns(text, EXPECTED, Turns(), finish)
