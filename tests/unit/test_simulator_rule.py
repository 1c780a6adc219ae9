"""The simulator's published rule: facts out of a prompt, a rating and a verdict out of the facts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.domain import Bar
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.simulator.rule import MAX_READ_CHARS, Facts, rate, read_facts

FULL = """TRADING SIGNAL ANALYSIS REQUEST
Symbol: EURUSD
Signal type: BUY
Entry price: 1.1050
Stop loss: 1.1030
Target price: 1.1090
Risk/reward ratio: 2.00
Choppiness Index (14): 55.3
Efficiency ratio (10): 0.31
rsi_14: 61.2
"""


def prompt(
    rr: float | None = None,
    er: float | None = None,
    ci: float | None = None,
    rsi: float | None = None,
    side: str = "BUY",
) -> str:
    """A prompt that states these facts and shows the others as missing."""
    values = (("Risk/reward ratio", rr), ("Efficiency ratio (10)", er), ("Choppiness Index (14)", ci))
    lines = [f"{name}: {'missing' if value is None else value}" for name, value in values]
    return "\n".join([f"Signal type: {side}", *lines, f"RSI (14): {'missing' if rsi is None else rsi}"])


def test_every_fact_of_a_full_prompt_is_read() -> None:
    """All nine facts are found under the labels that the module publishes."""
    assert read_facts(FULL) == Facts("EURUSD", "buy", 1.105, 1.103, 1.109, 2.0, 55.3, 0.31, 61.2)


def test_the_formatter_states_facts_that_the_rule_reads() -> None:
    """What SignalFormatter writes is understood, so a demo is rated by its figures and not by a hash."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    bars = [
        Bar(start + timedelta(hours=i), 1.1 + i / 1e4, 1.102 + i / 1e4, 1.099, 1.101 + i / 1e4, 9.0)
        for i in range(40)
    ]
    data = {
        "timestamp": bars[-1].timestamp,
        "symbol": "EURUSD",
        "signal_type": "SELL",
        "entry_price": 1.1049,
        "stop_loss": 1.1069,
        "target_price": 1.1009,
        "indicators": {"rsi": 44.5},
    }
    facts = read_facts(SignalFormatter().format_signal_data(data, bars))
    assert (facts.symbol, facts.direction, facts.risk_reward) == ("EURUSD", "sell", 2.0)
    assert (facts.entry, facts.stop, facts.target) == (1.1049, 1.1069, 1.1009)
    assert facts.choppiness_index is not None
    assert facts.efficiency_ratio is not None
    assert facts.rsi == 44.5


@pytest.mark.parametrize(
    "line",
    [
        "Risk/reward ratio: 2.50",
        "RISK/REWARD RATIO: 2.5",
        "risk_reward_ratio = 2.5",
        "Risk-reward: 1:2.5",
        '"risk_reward": 2.5',
        "| Risk/Reward | 2.5 |",
        "- **risk/reward ratio (gross)**: 2.5\nRisk/reward: 2.5",
    ],
)
def test_labels_are_read_in_any_dress(line: str) -> None:
    """Case, separator, quotes and a remark in parentheses do not matter."""
    assert read_facts(line).risk_reward == 2.5


@pytest.mark.parametrize(
    "line",
    [
        "Risk/reward ratio: missing",
        "Risk/reward ratio: undefined",
        "A good risk/reward ratio matters 2.0",
        "asymmetric_risk_reward_ratio: 2.0",
        "Risk/reward ratio: 1.2.3",
        "Risk/reward ratio:\n2.0",
    ],
)
def test_what_is_not_a_stated_value_is_not_read(line: str) -> None:
    """Missing values, prose, other names and half numbers give no fact."""
    assert read_facts(line).risk_reward is None


def test_the_first_readable_value_counts() -> None:
    """Prose that repeats a label does not overrule the facts above it."""
    text = "Choppiness Index (14): missing\nChoppiness Index (14): 40.5\nChoppiness Index: 61.8 is choppy"
    assert read_facts(text).choppiness_index == 40.5


@pytest.mark.parametrize(
    ("entry", "stop", "target", "expected"),
    [
        (100.0, 98.0, 105.0, 2.5),
        (100.0, 102.0, 97.0, 1.5),
        (100.0, 100.0, 105.0, None),
        (100.0, 98.0, 97.0, None),
    ],
)
def test_risk_reward_is_computed_when_not_stated(
    entry: float, stop: float, target: float, expected: float | None
) -> None:
    """Long and short; None when the stop equals the entry or lies on the target's side."""
    assert read_facts(f"Entry: {entry}\nStop: {stop}\nTarget: {target}").risk_reward == expected


@pytest.mark.parametrize(
    ("rr", "er", "ci", "rsi", "side", "rating"),
    [
        (0.8, 0.3, 50, None, "BUY", 1),
        (1.0, 0.3, 50, None, "BUY", 2),
        (1.5, 0.3, 50, None, "BUY", 3),
        (2.49, 0.3, 50, None, "BUY", 3),
        (2.5, 0.3, 50, None, "BUY", 4),
        (2.0, 0.19, 50, None, "BUY", 2),
        (2.0, 0.4, 50, None, "BUY", 4),
        (2.0, 0.6, 50, None, "BUY", 5),
        (3.0, 0.9, 50, None, "BUY", 5),
        (2.0, 0.3, 61.8, None, "BUY", 2),
        (0.5, 0.1, 70, 80, "BUY", 1),
        (2.0, 0.3, 50, 70, "BUY", 2),
        (2.0, 0.3, 50, 70, "SELL", 3),
        (2.0, 0.3, 50, 30, "SELL", 2),
        (2.0, None, None, None, "BUY", 3),
        (None, 0.6, None, None, "BUY", 4),
    ],
)
def test_rating_follows_the_published_table(
    rr: float | None, er: float | None, ci: float | None, rsi: float | None, side: str, rating: int
) -> None:
    """Every bound of the rule, and the clamp at both ends."""
    assert rate(prompt(rr, er, ci, rsi, side)).rating == rating


@pytest.mark.parametrize(
    ("er", "ci", "expected"),
    [
        (0.9, 61.8, "yes"),
        (0.1, 38.2, "no"),
        (0.29, 50, "yes"),
        (0.3, 50, "no"),
        (0.1, None, "yes"),
        (None, 50, "yes"),
        (None, 49.9, "no"),
    ],
)
def test_choppiness_follows_the_published_table(
    er: float | None, ci: float | None, expected: Literal["yes", "no"]
) -> None:
    """The index decides at its extremes, the efficiency ratio between them."""
    assert rate(prompt(2.0, er, ci)).choppiness == expected


def test_a_prompt_without_figures_is_rated_by_its_hash() -> None:
    """Such prompts spread over all ratings and both verdicts, and each keeps its own."""
    readings = [rate(f"prompt {number}") for number in range(200)]
    assert readings == [rate(f"prompt {number}") for number in range(200)]
    assert set(Counter(reading.rating for reading in readings)) == {1, 2, 3, 4, 5}
    assert {reading.choppiness for reading in readings} == {"yes", "no"}


def test_the_reply_is_json_with_four_keys_and_says_that_it_is_simulated() -> None:
    """The text names the symbol, the figures, and that no model was asked."""
    reply = json.loads(rate(FULL).as_json())
    assert list(reply) == ["rating", "choppiness", "analysis", "recommendations"]
    assert (reply["rating"], reply["choppiness"]) == (3, "no")
    for part in ("Simulated", "EURUSD", "2.00", "0.31", "55.3", "61.2"):
        assert part in reply["analysis"]


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_breaks_the_rule(text: str) -> None:
    """Any text, half surrogate pairs included, gets a rating from 1 to 5, the same each time."""
    reading = rate(text)
    assert reading == rate(text)
    assert 1 <= reading.rating <= 5
    assert reading.choppiness in ("yes", "no")


def test_only_the_beginning_of_a_huge_prompt_is_read() -> None:
    """What stands behind the bound changes nothing, which keeps the work on the loop bounded."""
    head = "x" * MAX_READ_CHARS
    assert rate(head + FULL) == rate(head)


def test_a_hostile_symbol_reaches_no_text() -> None:
    """Escapes, formulas and braces in a symbol are not repeated by the analysis."""
    reading = rate('Symbol: =cmd|"{rating: 5}"\x1b[2J\nRisk/reward ratio: 2.0')
    assert "cmd" not in reading.analysis
    assert "\x1b" not in reading.analysis
