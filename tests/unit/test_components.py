"""The checks that users of earlier versions run, unchanged."""

from __future__ import annotations

import pandas as pd

from llm_integration.memory_store import SignalMemoryStore
from llm_integration.response_parser import LLMResponseParser
from llm_integration.signal_formatter import SignalFormatter

SIGNAL_DATA = {
    "timestamp": pd.Timestamp("2026-01-05T10:00:00Z"), "symbol": "ES", "signal_type": "LONG",
    "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
}  # fmt: skip


def test_a_signal_that_was_added_is_found() -> None:
    """add_signal and get_signal, as users check it."""
    store = SignalMemoryStore()
    store.add_signal({"signal_id": "test123", "signal_data": SIGNAL_DATA})
    assert store.get_signal("test123") is not None


def test_the_prompt_has_its_heading() -> None:
    """format_signal_data with a pandas frame, as users check it."""
    times = pd.date_range("2026-01-04T14:00:00Z", periods=24, freq="h")
    market_df = pd.DataFrame(
        {"timestamp": times, "open": 6890.0, "high": 6910.0, "low": 6885.0, "close": 6900.0, "volume": 1000}
    )
    prompt = SignalFormatter().format_signal_data(SIGNAL_DATA, market_df)
    assert "TRADING SIGNAL ANALYSIS REQUEST" in prompt
    assert "2026-01-05 11:00" not in prompt.replace("T", " ")


def test_a_json_reply_is_extracted() -> None:
    """extract_json_data, as users check it."""
    data = LLMResponseParser().extract_json_data('{"rating": 3, "choppiness": "no"}')
    assert data is not None
    assert data["rating"] == 3
