"""Where a signal's CPU time goes, one stage of the sidecar at a time."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.callers import BarePost, Setup
from benchmarks.figures import compact, median, spread
from benchmarks.instant_server import GOOD_CONTENT
from benchmarks.outcome import Options, Table
from benchmarks.samples import signals
from benchmarks.sides import Postgres, environment, scratch
from database import DatabaseManager
from llm_integration import (
    LLMAnalysis,
    LLMConfig,
    LLMCSVExporter,
    LLMProcessor,
    LLMResponseParser,
    ParseMethod,
    Signal,
    SignalFormatter,
    SignalMemoryStore,
    TaskStatus,
)

__all__ = ["sample_analysis", "stage_table"]

CONCURRENCY = 8
BATCH = 8
"""Rows per statement, about what eight calls in flight bring together."""

Work = Callable[[], Awaitable[object]]


def sample_analysis(signal_id: str, prompt: str) -> LLMAnalysis:
    """A complete rated analysis."""
    return LLMAnalysis(
        signal_id, TaskStatus.COMPLETED, rating=4, choppiness="no", analysis="The averages point up. " * 6,
        recommendations="Take the trade at the stated stop.", parse_method=ParseMethod.JSON,
        model_requested="google/gemini-3.5-flash-lite", model_served="google/gemini-3.5-flash-lite",
        provider="Google AI Studio", generation_id=f"gen-{signal_id}", finish_reason="stop",
        prompt_tokens=1012, completion_tokens=81, cost_usd=Decimal("0.00013365"), queue_ms=1.5, api_ms=250.0,
        total_ms=252.0, attempts=1, prompt_text=prompt, prompt_version="1", raw_reply=GOOD_CONTENT,
        processed_at=datetime.now(UTC),
    )  # fmt: skip


class Stages:
    """Each stage as a piece of work on ``count`` signals."""

    def __init__(self, count: int, server: str) -> None:
        self.count = count
        self.mappings = list(itertools.islice(signals("stage"), count))
        self.signals = [Signal.from_mapping(item["signal_id"], item["signal_data"]) for item in self.mappings]
        self.formatter, self.parser = SignalFormatter(), LLMResponseParser()
        self.prompt = self.formatter.format_signal_data(self.signals[0])
        self.url = f"{server}/v1"
        self.round = 0

    async def store(self) -> None:
        store = SignalMemoryStore(self.count)
        for item in self.mappings:
            store.add_signal(item)
        for entry in store.take_pending(self.count):
            store.finish(entry.signal_id, TaskStatus.COMPLETED)

    async def read(self) -> None:
        for item in self.mappings:
            Signal.from_mapping(item["signal_id"], item["signal_data"])

    async def format(self) -> None:
        for signal in self.signals:
            self.formatter.format_signal_data(signal)

    async def parse(self) -> None:
        for _ in range(self.count):
            self.parser.parse(GOOD_CONTENT)

    async def call(self, processor: LLMProcessor) -> None:
        left = iter(range(self.count))

        async def lane() -> None:
            for _ in left:
                await processor.complete(self.prompt, system=self.formatter.system_prompt)

        await asyncio.gather(*(lane() for _ in range(CONCURRENCY)))

    def named(self) -> list[tuple[Signal, LLMAnalysis]]:
        """The signals under ids of this round, with an analysis each; made outside the measured time."""
        self.round += 1
        fresh = [replace(one, signal_id=f"{self.round}-{one.signal_id}") for one in self.signals]
        return [(one, sample_analysis(one.signal_id, self.prompt)) for one in fresh]


async def stage_table(
    server: str, postgres: Postgres, options: Options
) -> tuple[Table, dict[str, list[float]]]:
    """CPU microseconds of this process per signal and stage."""
    os.environ.update(environment())
    stages = Stages(options.pick(1000, 50), server)
    found: dict[str, list[float]] = {}
    bare = BarePost()
    await bare.open(Setup(stages.url, CONCURRENCY))
    processor = LLMProcessor(_config(stages.url))
    database = DatabaseManager(await postgres.database())
    await database.connect()
    with scratch() as folder:
        for _ in range(options.pick(4, 2)):
            plain: dict[str, Work] = {
                "bare POST (for comparison)": lambda: bare.burst(stages.count),
                "add, take, finish in memory": stages.store,
                "read the host's mapping": stages.read,
                "format the prompt": stages.format,
                "LLMProcessor: limits, POST, classification": lambda: stages.call(processor),
                "parse the reply": stages.parse,
            }
            for name, work in plain.items():
                found.setdefault(name, []).append(await _cpu(work, stages.count))
            await _stored(stages, database, folder, found)
    await bare.close()
    await processor.close()
    await database.close()
    return _table(found), found


async def _stored(
    stages: Stages, database: DatabaseManager, folder: Path, found: dict[str, list[float]]
) -> None:
    pairs = stages.named()
    batches = [pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH)]
    claims: dict[str, Any] = {}

    async def claim() -> None:
        for batch in batches:
            wanted = [signal for signal, _ in batch]
            claims.update(await database.claim_signals(wanted, worker_id="bench", lease_seconds=60))

    async def save() -> None:
        for batch in batches:
            await database.save_outcomes([(analysis, claims[one.signal_id]) for one, analysis in batch])

    exporter = LLMCSVExporter(output_directory=folder / str(stages.round))
    exporter.start()

    async def write() -> None:
        for one, analysis in pairs:
            exporter.write_analysis(one, analysis)
        await asyncio.to_thread(exporter.flush)

    for name, work in {
        f"store signals and tasks, {BATCH} a statement": claim,
        f"store results, {BATCH} a statement": save,
        "CSV row (in its own thread)": write,
    }.items():
        found.setdefault(name, []).append(await _cpu(work, stages.count))
    await asyncio.to_thread(exporter.close)


def _config(url: str) -> LLMConfig:
    return LLMConfig(
        base_url=url, max_concurrency=CONCURRENCY, requests_per_minute=1_000_000,
        tokens_per_minute=10_000_000_000,
    )  # fmt: skip


async def _cpu(work: Work, count: int) -> float:
    started = time.process_time()
    await work()
    return (time.process_time() - started) / count * 1e6


def _table(found: dict[str, list[float]]) -> Table:
    first = next(iter(found))
    rows: list[list[Any]] = [[name, spread(values)] for name, values in found.items()]
    total = sum(median(values) for name, values in found.items() if name != first)
    rows.append(["sum of the stages", compact(total)])
    rows.append(["sum / bare POST", compact(total / median(found[first]))])
    return Table(
        "Where the CPU time goes: microseconds of the host's process per signal, stage by stage",
        ["stage", "us, median (range)"], rows,
        "Each stage alone, warm; the worker's own bookkeeping is not in it. PostgreSQL's own CPU is in "
        "its processes.",
    )  # fmt: skip
