"""Conversions between the domain and table rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.outcome_rows import OUTCOME_COLUMNS, analysis_from_mapping, analysis_from_row, outcome_columns
from database.rows import MOST_WRITTEN, SIGNAL_COLUMNS, bar_columns, signal_columns, signal_from_row
from llm_integration.domain import Bar, Claim, LLMAnalysis, ParseMethod, Signal, TaskStatus

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(timezones=st.just(UTC))
BARS = st.builds(Bar, TIMES, FINITE, FINITE, FINITE, FINITE, FINITE)


def stored(signal: Signal) -> dict[str, Any]:
    """The row that the tables give back for ``signal``."""
    row = dict(zip(SIGNAL_COLUMNS, signal_columns(signal), strict=True))
    for name in ("indicators", "context"):
        row[name] = None if row[name] is None else json.loads(row[name])
    return row


@given(st.lists(BARS, max_size=5), st.dictionaries(st.text(max_size=5), st.none() | FINITE, max_size=5))
def test_bars_and_indicators_survive_the_way_through_json(
    bars: list[Bar], indicators: dict[str, Any]
) -> None:
    """What a worker takes over from another is bit for bit what the host handed in."""
    clean = {name.replace("\0", "\ufffd"): value for name, value in indicators.items()}
    signal = Signal("s", T0, "ES", "BUY", 1.0, None, 2.0, clean, tuple(bars), "sess", "cross", "note")
    assert signal_from_row(stored(signal)) == signal


def test_bars_that_return_are_written_as_the_first_time() -> None:
    """However many bars come by, each signal gets its own ones, and a bar that can change is read anew."""
    bars = [Bar(T0 + timedelta(hours=at), 1.0, 2.0, 0.5, 1.5, float(at)) for at in range(MOST_WRITTEN + 50)]
    for start in (0, 30, MOST_WRITTEN, 0):
        signal = Signal("s", T0, "ES", "BUY", 1.0, None, 2.0, {}, tuple(bars[start : start + 50]))
        assert signal_from_row(stored(signal)).bars == signal.bars
    changing: Any = [T0, 1.0, 2.0, 0.5, 1.5, 0.0]
    signal = Signal("s", T0, "ES", "BUY", 1.0, None, 2.0, {}, (changing,))
    for volume in (1.0, 2.0):
        changing[5] = volume
        assert signal_from_row(stored(signal)).bars[0].volume == volume


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
    ]
    row = dict.fromkeys(SIGNAL_COLUMNS) | {"signal_id": "s", "indicators": [1], "context": {"bars": odd_bars}}
    signal = signal_from_row(row)
    assert (signal.symbol, signal.indicators, signal.entry_price) == ("", {}, None)
    assert signal.bars == (Bar(datetime(1970, 1, 1, tzinfo=UTC), 1.0, 2.0, 3.0, 4.0, 5.0),)


def test_bars_that_are_no_bars_are_left_out() -> None:
    """One NaN does not keep its neighbours from being stored; a missing volume is 0."""
    bars = [
        Bar(T0, 1, 2, 0.5, 1.5, float("nan")),
        Bar(T0 + timedelta(hours=1), float("nan"), 2, 0.5, 1.5, 7),
    ]
    assert bar_columns(bars) == ([T0], [1.0], [2.0], [0.5], [1.5], [0.0])
    assert bar_columns([]) == ([], [], [], [], [], [])


def outcome(**changes: Any) -> dict[str, Any]:
    """The columns of a completed analysis with ``changes``."""
    values: dict[str, Any] = {
        "signal_id": "s",
        "status": TaskStatus.COMPLETED,
        "rating": 4,
        "processed_at": T0,
    }
    return dict(zip(OUTCOME_COLUMNS, outcome_columns(LLMAnalysis(**values | changes), None, {}), strict=True))


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
    assert outcome(cost_usd=Decimal("0.000123"))["cost_usd"] == Decimal("0.000123")
    assert outcome(cost_usd=Decimal("0.1") ** 30)["cost_usd"] == 0


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
    columns = outcome_columns(analysis, Claim(1, "s", "not-a-uuid"), {})
    assert dict(zip(OUTCOME_COLUMNS, columns, strict=True))["claim_id"] == UUID(int=0)


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
