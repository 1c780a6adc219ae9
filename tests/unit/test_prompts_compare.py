"""prompt render, prompt diff, and where the tokens of a prompt go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.config import LLMConfig
from llm_integration.domain import Bar, Signal
from llm_integration.prompts import PromptTemplate, builtin_prompt, estimated_tokens, prompt_parts
from llm_integration.prompts.compare import batch_savings, diff, render_stored
from llm_integration.signal_formatter import SignalFormatter

START = datetime(2017, 1, 2, tzinfo=UTC)
BARS = tuple(Bar(START + timedelta(hours=hour), 1.05, 1.06, 1.04, 1.055, 100.0 + hour) for hour in range(60))
NAMES = ["sma_20", "rsi_14"]
CONFIG = LLMConfig(lookback_periods=20, indicators_to_include=NAMES)
OTHER = PromptTemplate(builtin_prompt().source.replace("sober", "stern").replace("version: 1", "version: 2"))


def make_signal(at: int, signal_id: str = "s", symbol: str = "EURUSD") -> Signal:
    return Signal(
        signal_id, BARS[at].timestamp, symbol, "BUY", 1.05, 1.04, 1.07, dict.fromkeys(NAMES, 1.5),
        BARS[: at + 1], notes="rsi_14: 99",
    )  # fmt: skip


def test_render_gives_exactly_what_would_be_sent() -> None:
    """Both messages are those of the formatter with these settings, and their parts add up."""
    shown = render_stored(builtin_prompt(), make_signal(40), config=CONFIG)
    formatter = SignalFormatter(CONFIG)
    assert (shown.text.system, shown.text.user) == (
        formatter.system_prompt, formatter.format_signal_data(make_signal(40)),
    )  # fmt: skip
    assert shown.tokens == estimated_tokens(shown.text.system + shown.text.user)


def test_parts_are_what_they_say() -> None:
    """Bars and indicators are counted as such, free text that imitates them is not."""
    shown = render_stored(builtin_prompt(), make_signal(40), config=CONFIG)
    rows = [line for line in shown.text.user.splitlines() if line.startswith("2017-")]
    listed = ["Indicators:", "sma_20: 1.5", "rsi_14: 1.5"]
    assert len(rows) == 20
    assert abs(shown.parts.bars - estimated_tokens("\n".join([*rows, ""]))) <= 1
    assert abs(shown.parts.indicators - estimated_tokens("\n".join([*listed, ""]))) <= 1
    before, _, rest = shown.text.user.partition("<data>\n")
    around = estimated_tokens(
        shown.text.system + before + "<data>\n</data>\n" + rest.partition("</data>\n")[2]
    )
    assert abs(shown.parts.instructions - around) <= 1


def test_parts_of_a_batch_are_found_too() -> None:
    """In a batch every signal's indicators and every table's rows are counted."""
    signals = [make_signal(40, "a"), make_signal(40, "b", "ES")]
    batch = SignalFormatter(CONFIG).batch_prompt(signals)
    parts, alone = (
        prompt_parts(batch.text, batch.system),
        render_stored(OTHER, signals[0], config=CONFIG).parts,
    )
    assert abs(parts.bars - 2 * alone.bars) <= 1
    assert abs(parts.indicators - 2 * alone.indicators) <= 1


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abc def gh", 3), ("1.0540", 6), ("é", 2), ("\ud800", 3), ("\n", 1)]
)
def test_figures_count_one_by_one_and_letters_by_three(text: str, tokens: int) -> None:
    """The estimate errs on the dear side: a price costs a token for every digit."""
    assert estimated_tokens(text) == tokens


@given(st.text(max_size=300), st.none() | st.text(max_size=50))
def test_parts_always_add_up(user: str, system: str | None) -> None:
    """Whatever the text, no part is negative and the sum is that of the whole."""
    parts = prompt_parts(user, system)
    assert parts.total == estimated_tokens((system or "") + user)
    assert min(parts.instructions, parts.bars, parts.indicators, parts.rest) >= 0


def test_diff_shows_the_changed_lines_of_each_signal() -> None:
    """For each signal a unified diff of both messages, and the difference in tokens."""
    (first, second) = diff(
        builtin_prompt(), OTHER, [make_signal(40, "a"), make_signal(41, "b")], config=CONFIG
    )
    assert (first.signal_id, second.signal_id) == ("a", "b")
    assert first.lines[:2] == ("--- default 1", "+++ default 2")
    changed = [line for line in first.lines[2:] if line[0] in "+-"]
    assert [line[:17] for line in changed] == ["-You are a sober ", "+You are a stern "]
    assert first.tokens == first.tokens_b - first.tokens_a == 0


def test_diff_of_a_prompt_with_itself_is_empty() -> None:
    """Nothing differs, so no lines and no tokens."""
    (same,) = diff(builtin_prompt(), builtin_prompt(), [make_signal(40)], config=CONFIG)
    assert (same.lines, same.tokens) == ((), 0)


def test_a_shorter_prompt_has_fewer_tokens() -> None:
    """Tokens of B minus A are negative when B leaves something out."""
    short = PromptTemplate(builtin_prompt().source.replace("{{ signal.bars }}\n", ""))
    (found,) = diff(builtin_prompt(), short, [make_signal(40)], config=CONFIG)
    gone = "\n".join([line[1:] for line in found.lines if line.startswith("-2017")])
    assert abs(found.tokens + estimated_tokens(gone + "\n")) <= 1


def test_savings_of_batches_are_those_of_their_prompts() -> None:
    """Twenty signals of one bar in one request share bars and instructions; of twenty bars none."""
    formatter = SignalFormatter(CONFIG)
    together = batch_savings(
        [make_signal(40, str(n)) for n in range(20)], 20, across_time=False, formatter=formatter
    )
    assert (together.signals, together.requests) == (20, 1)
    assert 0 < together.shared_bars < together.alone - together.together
    apart = [make_signal(at, str(at)) for at in range(20, 40)]
    honest = batch_savings(apart, 20, across_time=False, formatter=formatter)
    assert (honest.requests, honest.alone, honest.shared_bars) == (20, honest.together, 0)
    mixed = batch_savings(apart, 20, across_time=True, formatter=formatter)
    assert mixed.requests == 1
    assert mixed.together < honest.together / 2
