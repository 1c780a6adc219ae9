"""Signals and their tasks in a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from database.db_manager import DatabaseManager
from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
SIGNAL = Signal(
    "s-1", T0, "EURUSD", "BUY", 1.1, 1.09, 1.12, {"rsi_14": 55.5, "atr_14": None},
    tuple(Bar(T0 - timedelta(hours=20 - i), 1.1, 1.2, 1.0, 1.15, 100.0 + i) for i in range(20)), "sess", "cross", "n",
)  # fmt: skip


async def test_basic(db: DatabaseManager) -> None:
    """A signal goes round."""
    task = await db.record_signal(SIGNAL)
    assert await db.record_signal(SIGNAL) == task
    ((claim, signal),) = await db.claim_waiting(worker_id="w", limit=5, lease_seconds=30)
    assert signal == SIGNAL
    assert claim.task_id == task
    done = LLMAnalysis("s-1", TaskStatus.COMPLETED, rating=4, choppiness="no", processed_at=T0)
    assert await db.save_outcomes([(done, claim)]) == {"s-1"}
    ((_, back),) = await db.session_analyses("sess")
    assert back == replace(done, task_id=task)
    print(await db.get_llm_processing_stats("sess"))
    print(await db.get_enhanced_signal_data("s-1"))
