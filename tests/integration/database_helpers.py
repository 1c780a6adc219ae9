"""What the database tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from llm_integration.domain import Bar, LLMAnalysis, ParseMethod, Signal, TaskStatus

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
LEASE = 30.0


def bars(count: int = 3) -> tuple[Bar, ...]:
    """``count`` hourly bars up to T0."""
    return tuple(
        Bar(T0 - timedelta(hours=count - 1 - index), 1.1, 1.2, 1.0, 1.15, 100.0 + index)
        for index in range(count)
    )


def signal(signal_id: str = "s-1", **changes: Any) -> Signal:
    """A complete signal, with ``changes``."""
    values: dict[str, Any] = {
        "timestamp": T0,
        "symbol": "EURUSD",
        "signal_type": "BUY",
        "entry_price": 1.1,
        "stop_loss": 1.09,
        "target_price": 1.12,
        "indicators": {"rsi_14": 55.5, "atr_14": None},
        "bars": bars(),
        "session_id": "session-1",
        "strategy": "cross",
        "notes": "a note",
    }
    return Signal(signal_id=signal_id, **values | changes)


def answer(signal_id: str = "s-1", **changes: Any) -> LLMAnalysis:
    """A complete rated analysis, with ``changes``."""
    values: dict[str, Any] = {
        "status": TaskStatus.COMPLETED,
        "rating": 4,
        "choppiness": "no",
        "analysis": "trend is up",
        "recommendations": "buy",
        "parse_method": ParseMethod.JSON,
        "warnings": ("one", "two"),
        "model_requested": "a/b",
        "model_served": "a/b-1",
        "provider": "P",
        "generation_id": "gen-1",
        "finish_reason": "stop",
        "prompt_tokens": 900,
        "completion_tokens": 80,
        "cost_usd": Decimal("0.00012"),
        "queue_ms": 1.5,
        "api_ms": 250.0,
        "total_ms": 252.0,
        "attempts": 2,
        "prompt_text": "the prompt",
        "prompt_version": "1",
        "raw_reply": '{"rating": 4}',
        "processed_at": T0,
    }
    return LLMAnalysis(signal_id=signal_id, **values | changes)


def failure(signal_id: str = "s-1", **changes: Any) -> LLMAnalysis:
    """A failed analysis, with ``changes``."""
    values: dict[str, Any] = {"status": TaskStatus.FAILED, "error": "refused", "processed_at": T0}
    return LLMAnalysis(signal_id=signal_id, **values | changes)


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of an outsider, for looking and for tampering."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def lapse(url: str) -> None:
    """Let every lease run out, as if an hour had passed."""
    async with plain(url) as connection:
        await connection.execute("UPDATE llm_workers SET lease_expires_at = now() - interval '1 hour'")
        await connection.execute(
            "UPDATE llm_enhancement_tasks SET lease_expires_at = now() - interval '1 hour' "
            "WHERE lease_expires_at IS NOT NULL"
        )


async def age_reservations(url: str) -> None:
    """Let every reservation be older than the moment in which a host hands its signal over."""
    async with plain(url) as connection:
        await connection.execute("UPDATE llm_enhancement_tasks SET claimed_at = now() - interval '1 minute'")
