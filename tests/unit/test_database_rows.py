"""Conversions between the domain and table rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.domain import Bar, Claim, LLMAnalysis, ParseMethod, Signal, TaskStatus
from llm_integration.record.bar_texts import BarTexts
from llm_integration.record.columns import cost_of
from llm_integration.record.outcome_rows import (
    OUTCOME_COLUMNS,
    analysis_from_mapping,
    analysis_from_row,
    outcome_row,
)
from llm_integration.record.rows import SIGNAL_COLUMNS, bar_columns, signal_from_row, signal_row
from llm_integration.record.storable import json_bytes, json_rows

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(timezones=st.just(UTC))
BARS = st.builds(Bar, TIMES, FINITE, FINITE, FINITE, FINITE, st.none() | FINITE)


def stored(signal: Signal) -> dict[str, Any]:
    """The row that the tables give back for ``signal``."""
    row = signal_row(signal)
    assert set(row) == set(SIGNAL_COLUMNS)
    (sent,) = json.loads(json_rows([row]))
    return row | {name: sent[name] for name in ("indicators", "context")}


@given(st.lists(BARS, max_size=5), st.dictionaries(st.text(max_size=5), st.none() | FINITE, max_size=5))
def test_bars_and_indicators_survive_the_way_through_json(
    bars: list[Bar], indicators: dict[str, Any]
) -> None:
    """What a worker takes over from another is bit for bit what the host handed in."""
    clean = {name.replace("\0", "\ufffd"): value for name, value in indicators.items()}
    signal = Signal(
        "s",
        T0,
        "ES",
        "BUY",
        1.0,
        None,
        2.0,
        clean,
        tuple(bars),
        "sess",
        "cross",
        "note",
        ("3 bars left out",),
    )
    assert signal_from_row(stored(signal)) == signal


def test_bars_that_return_are_written_as_the_first_time() -> None:
    """However many bars come by, each signal gets its own ones, and few are remembered."""
    texts = BarTexts(most=100)
    bars = [Bar(T0 + timedelta(hours=at), 1.0, 2.0, 0.5, 1.5, float(at)) for at in range(250)]
    for start, count in ((0, 50), (30, 50), (90, 50), (0, 250), (200, 50), (0, 50), (0, 0)):
        some = bars[start : start + count]
        assert json.loads(texts.join(some)) == [[one[0].isoformat(), *one[1:]] for one in some]
        assert len(texts) <= 100


def test_bars_that_can_change_or_are_gone_are_written_anew() -> None:
    """A text is remembered for one bar that cannot change, and never for what came to lie in its place."""
    texts = BarTexts(most=20)
    changing: Any = [T0, 1.0, 2.0, 0.5, 1.5, 0.0]
    for volume in (1.0, 2.0):
        changing[5] = volume
        joined = texts.join([changing, Bar(T0, 1.0, 2.0, 0.5, 1.5, 9.0)])
        assert json.loads(joined)[0][5] == volume
    for volume in range(1_000):  # each may get the memory of one before
        passing = Bar(T0, 1.0, 2.0, 0.5, 1.5, float(volume))
        assert json.loads(texts.join([passing]))[0][5] == volume


ODD = (
    st.sampled_from(["\0", "],[", "\\u0000"])
    | st.text()
    | st.floats()
    | st.lists(st.lists(st.none(), max_size=2), max_size=2)
    | st.binary(max_size=2)
)


@given(st.lists(BARS | st.tuples(TIMES, ODD, ODD), max_size=5))
def test_bars_written_at_once_are_what_they_are_one_by_one(bars: list[Any]) -> None:
    """Also when they hold what no bar should."""
    assert BarTexts(most=9).join(bars) == b"[%b]" % b",".join(json_bytes(tuple(bar)) for bar in bars)


def test_a_row_that_an_outsider_wrote_is_read_leniently() -> None:
    """NULL columns and odd JSON give missing values, never an error."""
    odd_bars = [
        [1, 2],
        "x",
        [None, 1, 2, 3, 4, 5],
        [10**30, 1, 2, 3, 4, 5],
        ["soon", 1, 2, 3, 4, 5],
        [0, 1, "x", 3, 4, 5],
        [0, 1, 2, 3, 4, 5],
        ["2026-01-05T09:00:00+00:00", 1, 2, 3, 4, None],
    ]
    row = dict.fromkeys(SIGNAL_COLUMNS) | {"signal_id": "s", "indicators": [1], "context": {"bars": odd_bars}}
    signal = signal_from_row(row)
    assert (signal.symbol, signal.indicators, signal.entry_price) == ("", {}, None)
    assert signal.bars == (Bar(datetime(2026, 1, 5, 9, tzinfo=UTC), 1.0, 2.0, 3.0, 4.0, None),)


def test_bars_that_are_no_bars_are_left_out() -> None:
    """One NaN does not keep its neighbours from being stored; a missing volume is NULL."""
    bars = [
        Bar(T0, 1, 2, 0.5, 1.5, float("nan")),
        Bar(T0 + timedelta(hours=1), float("nan"), 2, 0.5, 1.5, 7),
    ]
    assert bar_columns(bars) == ([T0], [1.0], [2.0], [0.5], [1.5], [None])
    assert bar_columns([]) == ([], [], [], [], [], [])


def outcome(**changes: Any) -> dict[str, Any]:
    """The columns of a completed analysis with ``changes``."""
    values: dict[str, Any] = {
        "signal_id": "s",
        "status": TaskStatus.COMPLETED,
        "rating": 4,
        "processed_at": T0,
    }
    row = outcome_row(LLMAnalysis(**values | changes), None, {})
    assert set(row) == set(OUTCOME_COLUMNS)
    return row


@pytest.mark.parametrize("rating", [0, 6, True, 4.0, "4", float("nan")])
def test_no_rating_is_invented(rating: Any) -> None:
    """Only an integer from 1 to 5 is stored as a rating."""
    assert outcome(rating=rating)["rating"] is None


@pytest.mark.parametrize("cost", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e99"), 0.1])
def test_a_cost_that_is_no_amount_is_unknown(cost: Any) -> None:
    """Unknown is NULL, never 0 and never NaN."""
    assert outcome(cost_usd=cost)["cost_usd"] is None


def test_an_amount_keeps_its_value() -> None:
    """Costs are exact to 1e-15 dollars."""
    assert outcome(cost_usd=Decimal("0.000123"))["cost_usd"] == "0.000123"
    assert Decimal(outcome(cost_usd=Decimal("0.1") ** 30)["cost_usd"]) == 0


@given(st.decimals() | st.decimals(min_value=-(10**13), max_value=10**13, places=8))
def test_an_amount_is_written_as_it_is_read(cost: Decimal) -> None:
    """The quick way for plain amounts stores what the careful one would."""
    wanted = cost_of(cost)
    assert outcome(cost_usd=cost)["cost_usd"] == (None if wanted is None else str(wanted))


def test_a_failed_outcome_always_has_a_reason() -> None:
    """No task ends without a rating and without a reason."""
    assert outcome(status=TaskStatus.FAILED, error=None)["error"] == "no reason given"
    assert outcome(rating=None, error="prose")["unrated_reason"] == "prose"
    assert outcome(rating=None, error="prose")["error"] is None


def test_the_same_unclaimed_outcome_has_the_same_stand_in_claim() -> None:
    """Sending an outcome twice is recognised; another outcome of the signal is not taken for it."""
    first, again = outcome()["claim_id"], outcome()["claim_id"]
    assert first == again
    assert outcome(processed_at=T0 + timedelta(seconds=1))["claim_id"] != first


def test_a_claim_that_is_no_uuid_is_nobodys() -> None:
    """A damaged claim is refused by the fence instead of failing the batch."""
    analysis = LLMAnalysis("s", TaskStatus.COMPLETED)
    assert outcome_row(analysis, Claim(1, "s", "not-a-uuid"), {})["claim_id"] == str(UUID(int=0))


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}", "  {}", "{}\n"])
@pytest.mark.parametrize("change", [str, str.upper, lambda text: text.replace("-", "")])
def test_a_claim_is_written_in_one_way(form: str, change: Callable[[str], str]) -> None:
    """However its id came, and what is no id stays nobody's."""
    given = form.format(change("6f0f2c4e-3b1d-4d7c-9a53-0c9d6f1f7a11"))
    try:
        wanted = UUID(given)
    except ValueError:
        wanted = UUID(int=0)
    row = outcome_row(LLMAnalysis("s", TaskStatus.COMPLETED), Claim(1, "s", given), {})
    assert row["claim_id"] == str(wanted)


def test_a_callers_mapping_is_read_by_its_names() -> None:
    """The names of LLMAnalysis are understood, numbers as text included."""
    values = {
        "rating": 4, "choppiness": "no", "analysis": "fine", "parse_method": "json", "cost_usd": "0.0001",
        "prompt_tokens": 12, "warnings": ["w"], "model_served": "m", "processed_at": T0, "unknown": 1,
    }  # fmt: skip
    assert analysis_from_mapping("s", values) == LLMAnalysis(
        "s", TaskStatus.COMPLETED, rating=4, choppiness="no", analysis="fine", parse_method=ParseMethod.JSON,
        cost_usd=Decimal("0.0001"), prompt_tokens=12, warnings=("w",), model_served="m", processed_at=T0,
    )  # fmt: skip


@pytest.mark.parametrize("rating", [7, "high", True, 4.5])
def test_a_mapping_with_an_odd_rating_is_unrated_with_the_reason(rating: Any) -> None:
    """A caller's mistake becomes a stored reason, not a default."""
    analysis = analysis_from_mapping("s", {"rating": rating, "choppiness": "maybe", "cost_usd": "much"})
    assert analysis.rating is None
    assert "not a rating" in str(analysis.error)
    assert (analysis.choppiness, analysis.cost_usd) == (None, None)


def test_a_failed_task_reads_back_as_a_failed_analysis() -> None:
    """A failure has its reason and what it cost, and no result."""
    row = {
        "signal_id": "s", "status": "failed", "task_id": 3, "error": "why", "spent_usd": Decimal("0.1"),
        "completed_at": T0,
    }  # fmt: skip
    assert analysis_from_row(row) == LLMAnalysis(
        "s", TaskStatus.FAILED, task_id=3, error="why", cost_usd=Decimal("0.1"), processed_at=T0
    )
