"""The whole sidecar over loopback HTTP and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from database import DatabaseManager
from llm_integration import LLMConfig, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.config import DEFAULT_MODEL
from llm_integration.domain import Signal
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.simulator import FAULTS, SIMULATED_KEY, Fault, OpenRouterSimulator, rate
from llm_integration.simulator.kinds import Kind
from tests.unit.worker_parts import signal_mapping

pytestmark = pytest.mark.postgres

HOURS = [(hour, 1.1 + hour / 1000) for hour in range(11)]
BARS = [
    (f"2026-01-05T{hour:02d}:00:00+00:00", price, price + 0.002, price - 0.001, price + 0.001, 100.0)
    for hour, price in HOURS
]


FASTER: dict[str, Fault] = {"slow": Fault("slow", seconds=0.05)}
"""Faults whose own pace would only make the test longer."""
ENDLESS = {"hang", "hang_after_headers", "hang_mid_body", "pad_for_ever"}


def build(simulator: OpenRouterSimulator, db: DatabaseManager | None, **values: Any) -> LLMWorker:
    config = LLMConfig(**{
        "base_url": simulator.base_url, "requests_per_minute": 10_000, "tokens_per_minute": 10**9,
        "max_concurrency": 2, **values,
    })  # fmt: skip
    known = ModelCatalogue(config.base_url)
    processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY), catalogue=known)
    return LLMWorker(config, SignalMemoryStore(), db, processor=processor)


async def ended_or_waits(worker: LLMWorker) -> None:
    """Return once the signal has its end, or waits to be asked about again."""
    async with asyncio.timeout(15):
        while not (await worker.drain(0.05)):
            statistics = worker.get_statistics()
            if statistics["waiting_for_budget"] or statistics["state"] == "waiting":
                return


@pytest.mark.slow
async def test_every_failing_shape_ends_as_the_contract_says(db: DatabaseManager) -> None:
    """Each fault in turn: rated by the published rule, unrated, failed with a reason, or still pending."""
    wrong: list[str] = []
    async with OpenRouterSimulator(seed=3, pad_interval_seconds=0.02) as simulator:
        for name, info in FAULTS.items():
            simulator.clear_script()
            simulator.script(*[FASTER.get(name, name)] * 20)
            timeout = 0.3 if name in ENDLESS else 10.0
            worker = build(simulator, db, max_retries=0, request_timeout_seconds=timeout)
            running = asyncio.create_task(worker.run())
            worker.memory_store.add_signal(signal_mapping(name, bars=BARS))
            waits = info.kind in (Kind.KEY, Kind.MODEL) or name in ("free_per_day", "rate_limited_hour")
            if waits:
                async with asyncio.timeout(15):
                    while worker.get_statistics()["state"] != "waiting":  # noqa: ASYNC110  no event for it
                        await asyncio.sleep(0.01)
            else:
                await ended_or_waits(worker)
            await worker.stop(1)
            await running
            row = await db.get_enhanced_signal_data(name)
            expected = rate(row["prompt_text"]).rating if row.get("prompt_text") else None
            wrong += _judged(name, row, expected)
    assert not wrong


def _judged(name: str, row: dict[str, Any], expected: int | None) -> list[str]:
    info, status, rating = FAULTS[name], row["status"], row["rating"]
    problems = []
    if info.kind is Kind.READABLE and (status, rating) != ("completed", expected):
        problems.append(f"{name}: should be rated {expected}, is {status} {rating}")
    if info.kind is Kind.EITHER and (status != "completed" or rating not in (None, expected)):
        problems.append(f"{name}: should be {expected} or unrated, is {status} {rating}")
    if info.kind is Kind.UNREADABLE and (status != "completed" or rating is not None):
        problems.append(f"{name}: should be unrated, is {status} {rating}")
    if info.fails and rating is not None:
        problems.append(f"{name}: failed and yet rated {rating}")
    if info.fails and status not in ("failed", "pending", "expired"):
        problems.append(f"{name}: is {status}")
    if info.kind in (Kind.KEY, Kind.MODEL) and status != "pending":
        problems.append(f"{name}: should wait as pending, is {status}: {row.get('error')}")
    if status in ("failed", "expired") and not row["error"]:
        problems.append(f"{name}: {status} without a reason")
    return problems


async def test_lookback_periods_bounds_the_bars_that_are_sent(db: DatabaseManager) -> None:
    """The request carries so many bars and no later one."""
    async with OpenRouterSimulator(seed=1) as simulator:
        for lookback in (3, 10):
            worker = build(simulator, None, lookback_periods=lookback)
            running = asyncio.create_task(worker.run())
            worker.memory_store.add_signal(signal_mapping(f"s{lookback}", bars=BARS))
            assert await worker.drain(5)
            await worker.stop(1)
            await running
            sent = json.dumps(simulator.requests[-1].body)
            shown = [bar[0][11:16] for bar in BARS if f"2026-01-05 {bar[0][11:16]}" in sent]
            assert shown == [bar[0][11:16] for bar in BARS[-lookback:]]


async def test_max_retries_bounds_the_requests_of_one_call() -> None:
    """max_retries further attempts after the first; then the signal waits."""
    async with OpenRouterSimulator(seed=1) as simulator:
        for retries in (0, 2):
            simulator.clear_script()
            simulator.script(*["unavailable"] * 10)
            before = len(simulator.requests)
            worker = build(simulator, None, max_retries=retries)
            running = asyncio.create_task(worker.run())
            worker.memory_store.add_signal(signal_mapping(f"s{retries}"))
            await ended_or_waits(worker)
            assert not await worker.drain(0.3)
            assert len(simulator.requests) - before == retries + 1
            assert worker.get_statistics()["failed"] == 0
            await worker.stop(1)
            await running


async def test_a_retired_default_gives_one_message_and_no_failure_per_signal(
    db: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    """The dead default of older files: one warning with the settings and a successor; signals wait."""
    async with OpenRouterSimulator(seed=1) as simulator:
        worker = build(simulator, db, model="openrouter/google/gemini-2.5-flash-preview-05-20")
        running = asyncio.create_task(worker.run())
        for number in range(10):
            mapping = signal_mapping(f"s{number}")
            await db.record_signal(Signal.from_mapping(f"s{number}", mapping["signal_data"]))
            worker.memory_store.add_signal(mapping)
        async with asyncio.timeout(15):
            while worker.get_statistics()["state"] != "waiting":  # noqa: ASYNC110  no event for it
                await asyncio.sleep(0.01)
        assert not await worker.drain(0.2)
        await worker.stop(1)
        await running
        assert len(simulator.requests) <= 2
    messages = [r.getMessage() for r in caplog.records if "gemini-2.5-flash-preview-05-20" in r.getMessage()]
    assert len(messages) == 1
    for part in ("llm.model", f"{DEFAULT_MODEL}, which is served", "llm.fallback_models"):
        assert part in messages[0]
    assert len(await db.get_pending_llm_tasks(100)) == 10


async def test_fallback_models_take_over_from_a_retired_one(db: DatabaseManager) -> None:
    """With a fallback every signal is rated, by the model that is stored as the one that served."""
    async with OpenRouterSimulator(seed=1) as simulator:
        worker = build(
            simulator, db, model="google/gemini-2.5-flash-preview-05-20",
            fallback_models=["google/gemini-3.5-flash-lite"],
        )  # fmt: skip
        running = asyncio.create_task(worker.run())
        for number in range(5):
            worker.memory_store.add_signal(signal_mapping(f"s{number}"))
        assert await worker.drain(10)
        await worker.stop(1)
        await running
    row = await db.get_enhanced_signal_data("s4")
    assert row["rating"] is not None
    assert "gemini-3.5-flash-lite" in row["model_served"]


async def test_a_signal_full_of_holes_is_stored_and_rated(db: DatabaseManager) -> None:
    """No stop, stop equal to entry, NaN and infinities: stored as NULL, formatted as missing, no crash."""
    holes: dict[str, dict[str, Any]] = {
        "no stop": {"stop_loss": None}, "flat": {"stop_loss": 1.1}, "nan": {"entry_price": float("nan")},
        "inf": {"target_price": float("inf")}, "text": {"entry_price": "a lot"},
        "time": {"timestamp": "soon"},
        "nul": {"symbol": "EUR\x00USD", "notes": "\ud800"}, "braces": {"symbol": "{0.__class__}"},
    }  # fmt: skip
    async with OpenRouterSimulator(seed=1) as simulator:
        worker = build(simulator, db)
        running = asyncio.create_task(worker.run())
        for name, data in holes.items():
            worker.memory_store.add_signal(signal_mapping(name, **data))
        assert await worker.drain(10)
        await worker.stop(1)
        await running
    for name in holes:
        assert (await db.get_enhanced_signal_data(name))["status"] == "completed", name
    assert (await db.get_enhanced_signal_data("nan"))["entry_price"] is None


async def test_two_workers_on_one_database_share_the_work(db: DatabaseManager, database_url: str) -> None:
    """Each waiting task is asked once, whoever takes it."""
    for number in range(30):
        await db.record_signal(Signal.from_mapping(f"s{number}", signal_mapping("x")["signal_data"]))
    async with OpenRouterSimulator(seed=1) as simulator:
        other = DatabaseManager(database_url)
        await other.connect()
        workers = [build(simulator, db, poll_interval=0.02), build(simulator, other, poll_interval=0.02)]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        async with asyncio.timeout(20):
            while await db.get_pending_llm_tasks(1):
                await asyncio.gather(*(worker.drain(0.1) for worker in workers))
        assert all([await worker.drain(10) for worker in workers])
        for worker, task in zip(workers, running, strict=True):
            await worker.stop(1)
            await task
        await other.close()
        assert len(simulator.requests) == 30
    assert sum(worker.get_statistics()["rated"] for worker in workers) == 30
