"""What users of earlier versions have: the checks they run, the names they import, the packages they list."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from database import DatabaseManager
from llm_integration import LLMConfig, SignalFormatter
from llm_integration.csv_exporter.rows import SIGNAL_COLUMNS
from main_with_database import TradingSystem

ROOT = Path(__file__).resolve().parents[2]
SECTION_7 = (ROOT / "tests/data/report_section_7.py.txt").read_text(encoding="utf-8")
SIGNAL_DATA = {
    "timestamp": pd.Timestamp("2026-01-05T10:00:00Z"), "symbol": "ES", "signal_type": "LONG",
    "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
}  # fmt: skip


def market_df() -> pd.DataFrame:
    """24 hourly bars, five of them after the signal."""
    times = pd.date_range("2026-01-04T14:00:00Z", periods=24, freq="h")
    prices = {"open": 6890.0, "high": 6910.0, "low": 6885.0, "close": 6900.0, "volume": 1000}
    return pd.DataFrame({"timestamp": times, **prices})


@pytest.mark.parametrize("check", SECTION_7.split("\n\n"), ids=["store", "formatter", "parser"])
def test_the_reports_own_checks_run_as_they_stand(check: str) -> None:
    """Line for line, with a signal and bars where the report leaves them out."""
    code = check.replace("{...}", "signal_data")
    exec(
        code, {"signal_data": dict(SIGNAL_DATA), "market_df": market_df()}
    )  # the report's lines, from our file


def test_the_prompt_of_a_frame_holds_no_later_bar() -> None:
    """format_signal_data with a pandas frame, as users check it."""
    prompt = SignalFormatter().format_signal_data(SIGNAL_DATA, market_df())
    assert "2026-01-05 10:00" in prompt.replace("T", " ")
    assert "2026-01-05 11:00" not in prompt.replace("T", " ")


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("llm_integration", ["SignalMemoryStore", "LLMWorker", "LLMCSVExporter"]),
        ("llm_integration.config", ["LLMConfig"]),
        ("llm_integration.memory_store", ["SignalMemoryStore"]),
        ("llm_integration.signal_formatter", ["SignalFormatter"]),
        ("llm_integration.llm_processor", ["LLMProcessor"]),
        ("llm_integration.response_parser", ["LLMResponseParser"]),
        ("llm_integration.csv_exporter", ["LLMCSVExporter"]),
        ("llm_integration.worker", ["LLMWorker"]),
        ("database.db_manager", ["DatabaseManager"]),
    ],
)
def test_the_reports_import_paths_hold(module: str, names: list[str]) -> None:
    """Each module gives the names that users import from it."""
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("owner", "methods"),
    [
        (DatabaseManager, {
            "create_llm_enhancement_task": ["signal_id"], "get_pending_llm_tasks": ["limit"],
            "update_task_status": ["task_id", "status", "error"],
            "save_llm_analysis_result": ["task_id", "signal_id", "llm_result"],
            "get_enhanced_signal_data": ["signal_id"], "get_llm_processing_stats": ["session_id"],
        }),
        (TradingSystem, {
            "setup_components": [], "_handle_new_signal": ["signal"], "run": [], "_cleanup": [],
        }),
    ],
)  # fmt: skip
def test_the_reports_methods_take_what_it_says(owner: type, methods: dict[str, list[str]]) -> None:
    """Coroutines by these names with these parameters."""
    for name, parameters in methods.items():
        method: Any = getattr(owner, name)
        assert asyncio.iscoroutinefunction(method), name
        names = list(inspect.signature(method).parameters)[1:]
        assert names[: len(parameters)] == parameters, name
        inspect.signature(method).bind(None, *parameters)  # nothing beyond them is required
    if owner is DatabaseManager:
        assert inspect.signature(DatabaseManager.get_pending_llm_tasks).parameters["limit"].default == 10
        assert inspect.signature(DatabaseManager.update_task_status).parameters["error"].default is None


def test_the_signal_file_has_the_reports_columns() -> None:
    """Exactly these, in this order."""
    assert ", ".join(SIGNAL_COLUMNS) == (
        "timestamp, signal_id, symbol, signal_type, entry_price, stop_loss, target_price, risk_reward_ratio,"
        " llm_rating, llm_choppiness, llm_analysis, llm_recommendations, llm_processing_time_ms,"
        " llm_model_used, processed_at"
    )


def test_the_reports_limits_are_the_defaults() -> None:
    """14 requests and 950,000 tokens a minute."""
    assert (LLMConfig().requests_per_minute, LLMConfig().tokens_per_minute) == (14, 950_000)


def test_the_reports_files_are_there() -> None:
    """The packages it adds, the schema, the README of the library, the ignored folder of results."""
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "backoff>=2.2.0" in required
    assert "python-dotenv>=1.0.0" in required
    assert (ROOT / "database/llm_schema_updates.sql").is_file()
    assert (ROOT / "llm_integration/README.md").is_file()
    assert "output/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
