"""Rows of the two files."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_integration.csv_exporter.rows import (
    NO_SIGNAL,
    PENDING,
    RESULT_COLUMNS,
    SIGNAL_COLUMNS,
    answer_cells,
    bar_cells,
    outcome_cells,
    signal_cells,
    signal_row,
    stream_key,
)
from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus

START = datetime(2024, 1, 1, tzinfo=UTC)


def a_bar(number: int = 0) -> Bar:
    """The ``number``-th hourly bar."""
    return Bar(START + timedelta(hours=number), 1.1, 1.25, 1.05, 1.2, 100.0 + number)


def a_signal(signal_id: str = "s-1", number: int = 0, **changes: Any) -> Signal:
    """A signal of the ``number``-th bar."""
    values: dict[str, Any] = {
        "signal_id": signal_id,
        "timestamp": START + timedelta(hours=number),
        "symbol": "EURUSD",
        "signal_type": "BUY",
        "entry_price": 1.2,
        "stop_loss": 1.1,
        "target_price": 1.4,
        "session_id": "run",
    }
    return Signal(**{**values, **changes})


def an_answer(signal_id: str = "s-1", **changes: Any) -> LLMAnalysis:
    """A rated answer to the signal."""
    values: dict[str, Any] = {
        "signal_id": signal_id,
        "status": TaskStatus.COMPLETED,
        "rating": 4,
        "choppiness": "no",
        "analysis": "Clean trend, room to the target.",
        "recommendations": "Take it.",
        "model_requested": "asked/model",
        "model_served": "served/model",
        "total_ms": 1234.5678,
        "processed_at": START + timedelta(hours=1),
    }
    return LLMAnalysis(**{**values, **changes})


def signal_line(signal: Signal, analysis: LLMAnalysis) -> str:
    """The row of ``llm_signals.csv``."""
    return signal_row(signal, analysis, answer_cells(analysis))


def ending_of(analysis: LLMAnalysis) -> str:
    """The end of the row of the signal's bar."""
    return outcome_cells(analysis, answer_cells(analysis))


def as_dict(row: str, columns: tuple[str, ...]) -> dict[str, str]:
    """The row as a CSV reader sees it; fails unless it has exactly ``columns``."""
    (cells,) = csv.reader([row])
    return dict(zip(columns, cells, strict=True))


def test_a_signal_row_has_the_contracts_columns_in_order() -> None:
    """The fifteen columns of ``llm_signals.csv`` hold the signal, the answer and its making."""
    assert ",".join(SIGNAL_COLUMNS) == (
        "timestamp,signal_id,symbol,signal_type,entry_price,stop_loss,target_price,risk_reward_ratio,"
        "llm_rating,llm_choppiness,llm_analysis,llm_recommendations,llm_processing_time_ms,"
        "llm_model_used,processed_at"
    )
    assert as_dict(signal_line(a_signal(), an_answer()), SIGNAL_COLUMNS) == {
        "timestamp": "2024-01-01T00:00:00+00:00",
        "signal_id": "s-1",
        "symbol": "EURUSD",
        "signal_type": "BUY",
        "entry_price": "1.2",
        "stop_loss": "1.1",
        "target_price": "1.4",
        "risk_reward_ratio": "2.0",
        "llm_rating": "4",
        "llm_choppiness": "no",
        "llm_analysis": "Clean trend, room to the target.",
        "llm_recommendations": "Take it.",
        "llm_processing_time_ms": "1235",
        "llm_model_used": "served/model",
        "processed_at": "2024-01-01T01:00:00+00:00",
    }


def test_an_unrated_answer_leaves_its_rating_empty() -> None:
    """No default number stands in for a rating that could not be read."""
    answer = an_answer(rating=None, choppiness=None, analysis=None, recommendations=None, model_served=None)
    row = as_dict(signal_line(a_signal(stop_loss=None), answer), SIGNAL_COLUMNS)
    assert row["llm_rating"] == row["llm_choppiness"] == row["risk_reward_ratio"] == row["stop_loss"] == ""
    assert row["llm_model_used"] == "asked/model"


def test_hostile_text_stays_in_its_cell() -> None:
    """Separators, quotes, breaks and formulas in any text neither move a cell nor start a formula."""
    hostile = '=HYPERLINK("x")\n,"\r\n;@A1\x00'
    row = signal_line(
        a_signal(hostile, symbol=hostile, signal_type=hostile),
        an_answer(hostile, analysis=hostile, recommendations=hostile, model_served=hostile),
    )
    cells = as_dict(row, SIGNAL_COLUMNS)
    assert row.count("\n") == 1
    for name in ("signal_id", "symbol", "signal_type", "llm_analysis", "llm_recommendations"):
        assert cells[name].startswith("'=HYPERLINK")
        assert ";'@A1" in cells[name]


@pytest.mark.parametrize(
    ("ending", "status", "rating"),
    [
        (NO_SIGNAL, "", ""),
        (PENDING, "pending", ""),
        (ending_of(an_answer()), "completed", "4"),
        (ending_of(an_answer(rating=None)), "completed", ""),
        (ending_of(an_answer(status=TaskStatus.FAILED, rating=None)), "failed", ""),
        (ending_of(an_answer(status=TaskStatus.EXPIRED, rating=None)), "expired", ""),
    ],
)
def test_a_result_row_is_whole_with_every_ending(ending: str, status: str, rating: str) -> None:
    """Bar, signal and outcome together fill exactly the columns of ``llm_strategy_results.csv``."""
    middle = "" if ending == NO_SIGNAL else signal_cells(a_signal())
    row = as_dict(bar_cells(stream_key("run", "EURUSD"), a_bar()) + middle + ending, RESULT_COLUMNS)
    assert row["session_id"] == "run"
    assert row["timestamp"] == "2024-01-01T00:00:00+00:00"
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [
        "1.1",
        "1.25",
        "1.05",
        "1.2",
        "100.0",
    ]
    assert row["signal_id"] == ("s-1" if middle else "")
    assert (row["llm_status"], row["llm_rating"]) == (status, rating)


def test_the_price_columns_of_a_falling_market_stay_numbers() -> None:
    """A negative price is a number, not a formula."""
    bar = Bar(START, -37.63, -0.5, -40.0, -1e-9, 0.0)
    assert bar_cells(stream_key(None, "CL"), bar).endswith(",CL,-37.63,-0.5,-40.0,-1e-09,0.0")


def test_a_bar_without_a_time_is_refused() -> None:
    """A row that could not be placed is an error, not an empty cell."""
    with pytest.raises(ValueError, match="time"):
        bar_cells(stream_key("run", "EURUSD"), a_bar()._replace(timestamp=None))  # type: ignore[arg-type]  # hostile
