"""Reading back: one signal, a session's statistics, and streams for exports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from llm_integration.domain import Bar, LLMAnalysis, Opinion, Signal, TaskStatus
from llm_integration.record import host_queries as queries
from llm_integration.record.connections import Connections
from llm_integration.record.errors import UnknownSignalError
from llm_integration.record.ledger_reports import LedgerReports
from llm_integration.record.outcome_rows import analysis_from_row, opinion_from_row
from llm_integration.record.rows import Row, signal_from_row
from llm_integration.record.storable import clean_key, clean_text

__all__ = ["Reports"]

CHUNK = 25
"""Rows per fetch of a stream: more would keep the host's loop busy for over a millisecond at a time."""
PERCENTILES = ("p50", "p95", "p99")
COUNTS = ("ratings", "unrated_reasons", "failure_reasons", "by_parse_method", "by_model")


class Reports(LedgerReports):
    """What stands in the tables, as the domain's objects or as plain dictionaries."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @property
    def connections(self) -> Connections:
        """The pool, for a ledger that shares it."""
        return self._connections

    async def get_enhanced_signal_data(self, signal_id: str) -> dict[str, Any]:
        """The signal with its task (``task_id, status, error ...``) and result (``rating, choppiness ...``).

        Keys are the column names; of the task ``task_attempts`` and ``task_created_at`` carry a prefix.
        What does not exist yet is None. Raises UnknownSignalError.
        """
        key = clean_key(signal_id)
        rows = await self._connections.fetch("reading a signal", queries.SIGNAL_WITH_OUTCOME, key)
        if not rows:
            raise UnknownSignalError(f"there is no signal {key!r}")
        return dict(rows[0])

    async def get_llm_processing_stats(self, session_id: str | None = None) -> dict[str, Any]:
        """Counts, reasons, costs and times of a session's tasks; of all sessions without an id.

        ``cost_usd`` (Decimal) sums what is known, ``cost_unknown`` counts completed answers whose cost is
        not; times are milliseconds, None while there are none.
        """
        key = None if session_id is None else clean_key(session_id)
        row = dict((await self._connections.fetch("reading statistics", queries.STATISTICS, key))[0])
        counts = row.pop("counts") or {}
        for name in ("api", "total"):
            values = row.pop(f"{name}_percentiles") or (None,) * len(PERCENTILES)
            row.update({f"{part}_{name}_ms": value for part, value in zip(PERCENTILES, values, strict=True)})
        return {"session_id": session_id, **row, **{name: counts.get(name, {}) for name in COUNTS}}

    async def session_analyses(
        self, session_id: str, *, opinions: bool = False
    ) -> list[tuple[Signal, LLMAnalysis]]:
        """All finished tasks of a session in the order of their signals (without the bars shown).

        With ``opinions`` each analysis carries the single readings that were stored with it.
        """
        async with aclosing(self.iter_analyses(session_id)) as stream:
            pairs = [pair async for pair in stream]
        if not opinions:
            return pairs
        found = await self.get_opinions([signal.signal_id for signal, _ in pairs])
        return [
            (signal, replace(analysis, opinions=found.get(signal.signal_id, ())))
            for signal, analysis in pairs
        ]

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        """How those of these signals ended that have their end, in no order."""
        found: list[LLMAnalysis] = []
        for start in range(0, len(signal_ids), CHUNK):
            keys = {clean_key(name): name for name in signal_ids[start : start + CHUNK]}
            rows = await self._connections.fetch("reading results", queries.FINISHED_OF_THESE, list(keys))
            found += [replace(analysis_from_row(row), signal_id=keys[row["signal_id"]]) for row in rows]
        return found

    async def get_opinions(self, signal_ids: Sequence[str]) -> dict[str, tuple[Opinion, ...]]:
        """The single readings behind the answers to these signals; a signal without any is missing."""
        found: dict[str, list[Opinion]] = {}
        for start in range(0, len(signal_ids), CHUNK):
            keys = {clean_key(name): name for name in signal_ids[start : start + CHUNK]}
            rows = await self._connections.fetch("reading opinions", queries.OPINIONS, list(keys))
            for row in rows:
                found.setdefault(keys[row["signal_id"]], []).append(opinion_from_row(row))
        return {name: tuple(opinions) for name, opinions in found.items()}

    async def get_messages(self, signal_id: str) -> dict[str, str | None] | None:
        """``system_text``, ``prompt_text`` and ``raw_reply`` exactly as exchanged; None without a result."""
        rows = await self._connections.fetch("reading messages", queries.MESSAGES, clean_key(signal_id))
        return dict(rows[0]) if rows else None

    async def iter_analyses(
        self, session_id: str | None = None, *, chunk: int = CHUNK
    ) -> AsyncGenerator[tuple[Signal, LLMAnalysis], None]:
        """Finished tasks of one or all sessions, streamed. Close the iterator if you leave it early."""
        key = None if session_id is None else clean_key(session_id)
        rows = self._connections.stream("reading results", queries.FINISHED_SIGNALS, key, chunk=chunk)
        async with aclosing(rows) as stream:
            async for row in stream:
                yield signal_from_row(row), analysis_from_row(row)

    async def iter_bars(
        self, session_id: str, symbol: str | None = None, *, chunk: int = CHUNK
    ) -> AsyncGenerator[tuple[str, Bar, Signal | None, LLMAnalysis | None], None]:
        """Symbol, bar, the signal on it and its analysis if it is finished, in the order of time; streamed.

        A bar with several signals comes once for each. Close the iterator if you leave it early.
        """
        rows = self._connections.stream(
            "reading bars", queries.BARS_WITH_SIGNALS, clean_key(session_id), clean_text(symbol), chunk=chunk
        )
        async with aclosing(rows) as stream:
            async for row in stream:
                signal = None if row["signal_id"] is None else signal_from_row(row)
                yield row["bar_symbol"], _bar(row), signal, _analysis(row)


def _bar(row: Row) -> Bar:
    return Bar(row["bar_timestamp"], row["open"], row["high"], row["low"], row["close"], row["volume"])


def _analysis(row: Row) -> LLMAnalysis | None:
    return analysis_from_row(row) if row["status"] and TaskStatus(row["status"]).final else None
