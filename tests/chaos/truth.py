"""What the end of a run must be: worked out without the program, or by a run that nobody disturbed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_integration.csv_exporter import RESULT_COLUMNS, RESULT_FILE, SIGNAL_COLUMNS, SIGNAL_FILE
from tests.acceptance.test_program import SAMPLE
from tests.chaos.program import TRADING, Program, connected, outbox_entries, rows
from trading.config import TradingConfig
from trading.feed import read_bars
from trading.strategy import MovingAverageCross

__all__ = ["EndState", "Findings", "compare", "end_state", "expected_signals", "slice_of_bars"]

RUN_SPECIFIC = {"signal_id", "session_id", "llm_processing_time_ms", "processed_at"}
"""Ids follow from the session's id, which is drawn at random; times are times."""
READING = (
    "indicators", "status", "rating", "choppiness", "analysis", "recommendations", "parse_method",
    "model_served", "prompt_tokens", "completion_tokens", "cost_usd", "prompt_text", "raw_reply",
)  # fmt: skip

STORED = """
SELECT s.timestamp, s.signal_type, s.entry_price, s.stop_loss, s.target_price, s.indicators::text,
       t.status, r.rating, r.choppiness, r.analysis, r.recommendations, r.parse_method, r.model_served,
       r.prompt_tokens, r.completion_tokens, r.cost_usd, r.prompt_text, r.raw_reply, r.generation_id
FROM trading_signals s
LEFT JOIN llm_enhancement_tasks t USING (signal_id)
LEFT JOIN llm_analysis_results r USING (task_id)
WHERE s.symbol = $1 ORDER BY s.timestamp
"""


def slice_of_bars(folder: Path, first: int, count: int) -> Path:
    """A file with ``count`` bars of the sample from number ``first`` on."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    file = folder / f"bars-{first}-{count}.csv"
    file.write_text(lines[0] + "".join(lines[1 + first : 1 + first + count]), encoding="utf-8")
    return file


def expected_signals(file: Path, symbol: str = "EURUSD") -> list[tuple[datetime, str, float, float, float]]:
    """What the strategy finds in ``file``, by the strategy alone."""
    strategy = MovingAverageCross(TradingConfig(**TRADING), symbol)
    found = [strategy.on_bar(bar) for bar in read_bars(file)]
    return [
        (one.timestamp, one.signal_type, one.entry_price, one.stop_loss, one.target_price)
        for one in found
        if one is not None
    ]


@dataclass(frozen=True, slots=True)
class EndState:
    """What one session left: tables and files, without what is different in every run."""

    bars: tuple[datetime, ...]
    signals: tuple[tuple[Any, ...], ...]
    readings: Mapping[datetime, tuple[Any, ...]]
    generations: Mapping[datetime, str | None]
    bar_rows: tuple[Mapping[str, str], ...]
    signal_rows: tuple[Mapping[str, str], ...]
    tasks: int
    results: int
    sessions: tuple[str, ...]


@dataclass(slots=True)
class Findings:
    """What was wrong with an end state, counted and in words."""

    duplicates: int = 0
    missing: int = 0
    torn_lines: int = 0
    problems: list[str] = field(default_factory=list)

    def check(self, holds: bool, problem: str) -> None:
        """Note ``problem`` unless it ``holds``."""
        if not holds:
            self.problems.append(problem)


async def end_state(url: str, out: Path, symbol: str = "EURUSD") -> EndState:
    """Read everything back."""
    async with connected(url) as link:
        stored = await link.fetch(STORED, symbol)
        bars = await link.fetch("SELECT timestamp FROM market_data WHERE symbol = $1 ORDER BY 1", symbol)
        tasks = await link.fetchval(
            "SELECT count(*) FROM llm_enhancement_tasks JOIN trading_signals USING (signal_id)"
            " WHERE symbol = $1", symbol,
        )  # fmt: skip
        results = await link.fetchval(
            "SELECT count(*) FROM llm_analysis_results JOIN trading_signals USING (signal_id)"
            " WHERE symbol = $1", symbol,
        )  # fmt: skip
        sessions = await link.fetch("SELECT status FROM trading_sessions WHERE symbol = $1", symbol)
    return await asyncio.to_thread(
        lambda: EndState(
            bars=tuple(row[0] for row in bars),
            signals=tuple(tuple(row)[:5] for row in stored),
            readings={row["timestamp"]: tuple(row[name] for name in READING) for row in stored},
            generations={row["timestamp"]: row["generation_id"] for row in stored},
            bar_rows=tuple(_comparable(row, symbol) for row in rows(out / RESULT_FILE) if _of(row, symbol)),
            signal_rows=tuple(
                sorted(
                    (_comparable(row, symbol) for row in rows(out / SIGNAL_FILE) if _of(row, symbol)),
                    key=lambda row: row.get("timestamp", ""),
                )
            ),
            tasks=tasks,
            results=results,
            sessions=tuple(row[0] for row in sessions),
        )
    )


def _of(row: Mapping[str, Any], symbol: str) -> bool:
    return row.get("symbol") == symbol


def _comparable(row: Mapping[str, str], symbol: str) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in RUN_SPECIFIC}


def compare(
    program: Program, state: EndState, reference: EndState | None, *, ended: str = "completed"
) -> Findings:
    """Hold an end against the bars, the strategy, and the end of a run that was never disturbed.

    ``ended`` is the status that the one session must have, if the end could be written.
    """
    found = Findings()
    times = [bar.timestamp for bar in read_bars(program.bars)]
    signals = expected_signals(program.bars, program.symbol)
    # A busy server may not take the word of the end within its two seconds; then there is nothing to resume.
    found.check(state.sessions in ((ended,), ("running",)), f"sessions: {state.sessions}")
    _check_tables(found, state, times, signals)
    _check_files(found, program, state, times, signals)
    _check_agreement(found, state)
    left = outbox_entries(program.outbox)
    found.check(not left, f"{len(left)} entries were left in the outbox")
    if reference is not None:
        _check_equal(found, state, reference)
    return found


def _check_tables(
    found: Findings, state: EndState, times: Sequence[datetime], signals: Sequence[tuple[Any, ...]]
) -> None:
    found.check(list(state.bars) == list(times), f"{len(state.bars)} of {len(times)} bars are stored")
    _tally(found, "signals in PostgreSQL", [row[0] for row in state.signals], [row[0] for row in signals])
    found.check(list(state.signals) == list(signals), "stored signals differ from those of the strategy")
    found.check(state.tasks == len(signals), f"{state.tasks} tasks for {len(signals)} signals")
    found.check(state.results == len(signals), f"{state.results} results for {len(signals)} signals")
    open_ones = [time for time, reading in state.readings.items() if reading[1] != "completed"]
    found.check(not open_ones, f"not completed: {open_ones}")


def _check_files(
    found: Findings, program: Program, state: EndState, times: Sequence[datetime],
    signals: Sequence[tuple[Any, ...]],
) -> None:  # fmt: skip
    for name, columns in ((RESULT_FILE, RESULT_COLUMNS), (SIGNAL_FILE, SIGNAL_COLUMNS)):
        found.torn_lines += torn_lines(program.out / name, columns)
    found.check(found.torn_lines == 0, f"{found.torn_lines} torn lines")
    in_file = [_time(row) for row in state.bar_rows]
    _tally(found, "bars in the file", in_file, times)
    found.check(in_file == list(times), "the file of bars is not in bar order or not whole")
    _tally(found, "signals in the file", [_time(row) for row in state.signal_rows], [s[0] for s in signals])


def _check_agreement(found: Findings, state: EndState) -> None:
    """Both files say of each signal what PostgreSQL says."""
    rating = READING.index("rating")
    for name in ("bar_rows", "signal_rows"):
        for row in getattr(state, name):
            reading = state.readings.get(_time(row))
            if reading is not None and row["llm_rating"] != str(reading[rating] or ""):
                found.problems.append(f"{name} of {row['timestamp']}: not the rating of PostgreSQL")


def _tally(found: Findings, what: str, there: Sequence[Any], wanted: Sequence[Any]) -> None:
    counts = Counter(there)
    twice = sum(count - 1 for count in counts.values())
    missing = len(set(wanted) - set(counts))
    foreign = len(set(counts) - set(wanted))
    found.duplicates += twice
    found.missing += missing
    found.check(not (twice or missing or foreign), f"{what}: {twice} twice, {missing} missing, {foreign} odd")


def _check_equal(found: Findings, state: EndState, reference: EndState) -> None:
    for time, reading in reference.readings.items():
        mine = state.readings.get(time)
        if mine != reading:
            wrong = [n for n, a, b in zip(READING, mine or (), reading, strict=False) if a != b]
            found.problems.append(f"the answer about {time} differs in {wrong or 'everything'}")
    for name in ("bar_rows", "signal_rows"):
        mine_rows = {row["timestamp"]: row for row in getattr(state, name)}
        for row in getattr(reference, name):
            mine_row = mine_rows.get(row["timestamp"])
            if mine_row is not None and mine_row != row:
                wrong = [key for key in row if row[key] != mine_row.get(key)]
                found.problems.append(f"{name} of {row['timestamp']}: {', '.join(wrong)} differ")


def _time(row: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(row["timestamp"]).astimezone(UTC)


def torn_lines(file: Path, columns: Sequence[str]) -> int:
    """Lines of ``file`` that are not whole, and rows that have too few or too many cells."""
    if not file.exists():
        return 0
    data = file.read_bytes()
    unfinished = 0 if data.endswith(b"\n") or not data else 1
    odd = sum(None in row or None in row.values() for row in rows(file))
    headers = sum(line == ",".join(columns).encode() for line in data.split(b"\n"))
    return unfinished + odd + abs(headers - 1)
