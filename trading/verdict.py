"""What the ratings of a run were worth, told at its end from what the run itself saw. Needs numpy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from llm_integration import Bar, LLMAnalysis, Signal, TaskStatus
from llm_integration.worth import BarColumns, RatedSignal, ReportSettings, Trade, build_report, page
from llm_integration.worth.sections import Status
from llm_integration.worth.trades import side_of

__all__ = ["PAGE", "write_verdict"]

PAGE = "worth.html"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_verdict(
    ended: Sequence[tuple[Signal, LLMAnalysis]], bars: Iterable[Bar], folder: Path, *, note: str
) -> str:
    """Write the page ``PAGE`` into ``folder`` and return the sentence that it begins with.

    ``ended`` are the run's signals, each once; ``bars`` those of their one symbol, in order. Blocks for about
    a second. Raises OSError when the page cannot be written.
    """
    columns = BarColumns.of((_microseconds(bar.timestamp), *bar[1:5]) for bar in bars)
    report = build_report(
        [_rated(signal, analysis) for signal, analysis in ended],
        {signal.symbol: columns for signal, _ in ended},
        ReportSettings(title="this run", notes=(note,)),
    )
    file = folder / PAGE
    partial = file.with_name(f".{PAGE}.{os.getpid()}")
    try:
        partial.write_text(page(report), encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return report.verdict.sentence


def _rated(signal: Signal, analysis: LLMAnalysis) -> RatedSignal:
    trade = Trade(
        signal.signal_id, side_of(signal.signal_type),
        None if signal.timestamp is None else _microseconds(signal.timestamp),
        signal.stop_loss, signal.target_price, signal.entry_price,
    )  # fmt: skip
    return RatedSignal(
        trade,
        signal.symbol,
        _status(analysis),
        analysis.rating,
        analysis.choppiness,
        analysis.model_served or "",
        cost_usd=None if analysis.cost_usd is None else float(analysis.cost_usd),
    )


def _status(analysis: LLMAnalysis) -> Status:
    if analysis.rated:
        return "rated"
    if analysis.status is TaskStatus.FAILED:
        return "failed"
    return "expired" if analysis.status is TaskStatus.EXPIRED else "unrated"


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
