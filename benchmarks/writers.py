"""7. Writers: results into PostgreSQL and rows into the CSV file, against the plainest ways to do it."""

from __future__ import annotations

import asyncio
import csv
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks import loops
from benchmarks.figures import compact, spread
from benchmarks.outcome import Options, Outcome, Table
from benchmarks.samples import signals
from benchmarks.sides import postgres, scratch
from benchmarks.stages import sample_analysis
from database import DatabaseManager
from llm_integration import LLMAnalysis, LLMConfig, LLMCSVExporter, Signal, SignalFormatter
from llm_integration.csv_exporter.rows import SIGNAL_COLUMNS

__all__ = ["TITLE", "run"]

TITLE = "PostgreSQL and CSV writers"
BATCH = 100
"""Results handed over at once, ``write_batch_size``'s default."""
TABLE = "plain_results"
COLUMNS = {
    "signal_id": "text", "status": "text", "rating": "int2", "choppiness": "text", "analysis": "text",
    "recommendations": "text", "parse_method": "text", "model_requested": "text", "model_served": "text",
    "provider": "text", "generation_id": "text", "finish_reason": "text", "prompt_tokens": "int8",
    "completion_tokens": "int8", "cost_usd": "numeric", "queue_ms": "float8", "api_ms": "float8",
    "total_ms": "float8", "attempts": "int4", "prompt_text": "text", "prompt_version": "text",
    "raw_reply": "text", "processed_at": "timestamptz",
}  # fmt: skip
"""What the plain ways store: the fields of an analysis that make a row."""

Pair = tuple[Signal, LLMAnalysis]
Work = Callable[[Sequence[Pair]], Awaitable[object]]


def run(options: Options) -> Outcome:
    """The same results by every way, in turns."""
    return loops.run(_run(options))


async def _run(options: Options) -> Outcome:
    count, turns = options.pick(2000, 100), options.pick(5, 2)
    stored: dict[str, list[float]] = {}
    written: dict[str, list[float]] = {}
    pairs = _pairs(count)
    async with postgres() as server:
        dsn = await server.database()
        link = await asyncpg.connect(dsn)
        async with DatabaseManager(dsn) as database:
            await link.execute(f"CREATE TABLE {TABLE} ({_columns()})")
            for turn in range(turns):
                fresh = [_renamed(pair, turn) for pair in pairs]
                await _claimed(database, fresh)
                for name, work in _ways(database, link).items():
                    stored.setdefault(name, []).append(await _rate(work, fresh))
        await link.close()
    with scratch() as folder:
        for turn in range(turns):
            await _csv(pairs, folder / str(turn), written)
    raw = {"postgres_per_second": stored, "csv_per_second": written}
    return Outcome("writers", TITLE, [_table(stored), _csv_table(written)], raw=raw)


def _pairs(count: int) -> list[Pair]:
    formatter = SignalFormatter()
    found = []
    for item in itertools.islice(signals("writer"), count):
        signal = Signal.from_mapping(item["signal_id"], item["signal_data"])
        found.append((signal, sample_analysis(signal.signal_id, formatter.format_signal_data(signal))))
    return found


def _renamed(pair: Pair, turn: int) -> Pair:
    name = f"{turn}-{pair[0].signal_id}"
    return replace(pair[0], signal_id=name), replace(pair[1], signal_id=name)


async def _claimed(database: DatabaseManager, pairs: Sequence[Pair]) -> None:
    for batch in _batches(pairs):
        await database.claim_signals([signal for signal, _ in batch], worker_id="writer", lease_seconds=600)


def _batches(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    return [pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH)]


def _ways(database: DatabaseManager, link: asyncpg.Connection[asyncpg.Record]) -> dict[str, Work]:
    places = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
    insert = f"INSERT INTO {TABLE} VALUES ({places})"

    async def ours(pairs: Sequence[Pair]) -> None:
        for batch in _batches(pairs):
            saved = await database.save_outcomes([(analysis, None) for _, analysis in batch])
            if len(saved) != len(batch):
                raise RuntimeError("not every result was stored")

    async def copy(pairs: Sequence[Pair]) -> None:
        for batch in _batches(pairs):
            rows = [_values(analysis) for _, analysis in batch]
            await link.copy_records_to_table(TABLE, records=rows)

    async def loop(pairs: Sequence[Pair]) -> None:
        for _, analysis in pairs:
            await link.execute(insert, *_values(analysis))

    async def one_transaction(pairs: Sequence[Pair]) -> None:
        for batch in _batches(pairs):
            async with link.transaction():
                for _, analysis in batch:
                    await link.execute(insert, *_values(analysis))

    return {
        "save_outcomes: result, task, fence, one statement per 32": ours,
        "COPY into a bare table, 100 at a time": copy,
        "INSERT one by one into a bare table": loop,
        "INSERT one by one, 100 a transaction": one_transaction,
    }


def _columns() -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())


def _values(analysis: LLMAnalysis) -> list[object]:
    return [getattr(analysis, name) for name in COLUMNS]


async def _rate(work: Work, pairs: Sequence[Pair]) -> float:
    started = time.perf_counter()
    await work(pairs)
    return len(pairs) / (time.perf_counter() - started)


async def _csv(pairs: Sequence[Pair], folder: Path, written: dict[str, list[float]]) -> None:
    config = LLMConfig(csv_queue_size=1_000_000, batch_export_interval_seconds=3600)
    exporter = LLMCSVExporter(config, output_directory=folder / "ours")
    exporter.start()
    await asyncio.to_thread(exporter.flush)

    async def ours(pairs: Sequence[Pair]) -> None:
        for pair in pairs:
            exporter.write_analysis(*pair)
        if not await asyncio.to_thread(exporter.flush):
            raise RuntimeError("the CSV files are not written")

    async def module(pairs: Sequence[Pair]) -> None:
        _plain_csv(pairs, folder / "plain.csv")

    async def flushed(pairs: Sequence[Pair]) -> None:
        _plain_csv(pairs, folder / "flushed.csv", each=True)

    ways = {
        "LLMCSVExporter: locked, each row once, formulas neutralised": ours,
        "csv.writer, one flush at the end": module,
        "csv.writer, flush after each row": flushed,
    }
    for name, work in ways.items():
        written.setdefault(name, []).append(await _rate(work, pairs))
    await asyncio.to_thread(exporter.close)


def _plain_csv(pairs: Sequence[Pair], path: Path, *, each: bool = False) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(SIGNAL_COLUMNS)
        for signal, analysis in pairs:
            writer.writerow(_row(signal, analysis))
            if each:
                file.flush()
        file.flush()
        os.fsync(file.fileno())


def _row(signal: Signal, analysis: LLMAnalysis) -> list[Any]:
    return [
        signal.timestamp, signal.signal_id, signal.symbol, signal.signal_type, signal.entry_price,
        signal.stop_loss, signal.target_price, signal.risk_reward_ratio, analysis.rating, analysis.choppiness,
        analysis.analysis, analysis.recommendations, analysis.total_ms, analysis.model_served,
        analysis.processed_at,
    ]  # fmt: skip


def _table(found: dict[str, list[float]]) -> Table:
    return Table(
        "Results per second into PostgreSQL, median (range) of the turns",
        ["way", "results/s"],
        [[name, spread(values)] for name, values in found.items()],
        "Durable settings everywhere. The first writes the result, ends the task and checks the claim in "
        "one transaction, "
        "and repeating it changes nothing; the others only append to a table without keys or indexes.",
    )


def _csv_table(found: dict[str, list[float]]) -> Table:
    return Table(
        "CSV rows per second, median (range) of the turns",
        ["way", "rows/s"],
        [[name, spread(values)] for name, values in found.items()],
        f"At 14 requests a minute the file needs {compact(14 / 60)} rows a second.",
    )
