"""Batches over loopback HTTP and a real PostgreSQL: whatever a reply is like, each signal has its own end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from database import DatabaseManager
from llm_integration import LLMConfig, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.simulator import BATCH_FAULTS, FAULTS, SIMULATED_KEY, Kind, OpenRouterSimulator
from tests.integration.database_helpers import lapse
from tests.integration.simulator_parts import Talk
from tests.unit.worker_parts import signal_mapping

pytestmark = pytest.mark.postgres

RISING = [
    (f"2026-01-05T{hour:02d}:00:00+00:00", price, price + 0.002, price - 0.001, price + 0.001, 100.0)
    for hour, price in ((hour, 1.1 + hour / 1000) for hour in range(11))
]
SHAPES: tuple[dict[str, Any], ...] = (
    {"symbol": "AUDUSD", "target_price": 1.12},
    {"symbol": "EURUSD", "target_price": 1.105},
    {"symbol": "GBPUSD", "target_price": 1.13, "bars": RISING},
    {"symbol": "NZDUSD", "target_price": 1.112},
    {"symbol": "USDCAD", "target_price": 1.13},
)
RATINGS = [3, 1, 5, 2, 4]
"""What the simulator's rule says about them: all different, so that no mix-up can pass."""
EVERY = {0, 1, 2, 3, 4}

ASKED_AGAIN: dict[str, set[int]] = {
    "batch_missing": {2}, "batch_only_first": {1, 2, 3, 4}, "batch_empty": EVERY, "batch_doubled": set(),
    "batch_contradiction": {0}, "batch_reordered": set(), "batch_swapped": {0, 1}, "batch_id_case": set(),
    "batch_unknown_id": {2}, "batch_extra_entry": set(), "batch_no_ids": EVERY, "batch_unrated_entry": set(),
    "batch_wrong_scale": set(), "batch_keyed": EVERY, "batch_broken_entry": {2}, "batch_cut": {2, 3, 4},
    "batch_extra_text": set(), "batch_array": set(), "batch_lines": EVERY, "batch_one_reading": EVERY,
    "batch_quoted_rating": set(),
}  # fmt: skip
"""The most signals that each spoilt reply may cost another request: those that it does not answer."""
NOT_BOOKED = {"bom_body", "lone_surrogates", "gzip", "text_plain", "pad_then_json", "byok", "unasked_stream"}
"""Replies that the simulator sends by the byte, past its own books, or that another purse pays for."""
SLOW = {"hang", "hang_after_headers", "hang_mid_body", "pad_for_ever", "slow", "slow_drip", "gzip_bomb"}
WHOLE_FAILURES = (
    "bad_gateway_html", "error_in_200", "partial_with_error", "content_empty", "broken_json_body",
    "nested_under_provider", "context_length", "payload_too_large", "moderation", "content_filter",
    "refusal", "rejected_in_200", "closed_before_headers", "reset_mid_body", "pad_then_abort",
)  # fmt: skip


def mappings(prefix: str = "s") -> list[dict[str, Any]]:
    """Five signals of one moment, each of another symbol and another rating."""
    return [signal_mapping(f"{prefix}{number}", **shape) for number, shape in enumerate(SHAPES)]


def build(simulator: OpenRouterSimulator, db: DatabaseManager, **values: Any) -> LLMWorker:
    """A worker that puts five signals into a request and tries each request once."""
    config = LLMConfig(**{
        "base_url": simulator.base_url, "requests_per_minute": 10_000, "tokens_per_minute": 10**9,
        "max_concurrency": 2, "batch_size": 5, "max_retries": 0, "poll_interval": 0.05, **values,
    })  # fmt: skip
    processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY))
    return LLMWorker(config, SignalMemoryStore(), db, processor=processor)


@asynccontextmanager
async def running(worker: LLMWorker, *, timeout: float = 1.0) -> AsyncIterator[asyncio.Task[None]]:
    """The worker at work, stopped at the end."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        await worker.stop(timeout)
        await asyncio.wait_for(task, 5)


@dataclass(frozen=True, slots=True)
class Round:
    """How five signals ended, what was sent for them, and what the simulator took for it."""

    rows: list[dict[str, Any]]
    prompts: list[str]
    billed: Decimal

    @property
    def ratings(self) -> list[int | None]:
        return [row["rating"] for row in self.rows]

    @property
    def alone(self) -> set[int]:
        """Which of them were asked about by themselves."""
        return {
            number for number, shape in enumerate(SHAPES) for p in self.prompts[1:] if shape["symbol"] in p
        }

    @property
    def cost(self) -> Decimal:
        """What the rows say the signals cost, the failed ones included."""
        return sum((row["spent_usd"] or Decimal(0) for row in self.rows), Decimal(0))


class Bench:
    """One simulator and one database for many rounds."""

    def __init__(self, simulator: OpenRouterSimulator, talk: Talk, db: DatabaseManager) -> None:
        self.simulator, self.db, self._talk = simulator, db, talk

    async def billed(self) -> Decimal:
        """What the simulator has taken from the key so far, in USD."""
        return Decimal(str((await self._talk.get("/key")).json["data"]["usage"]))

    async def round(self, name: str, *steps: str, **values: Any) -> Round:
        """Five fresh signals, the first requests meeting ``steps``."""
        self.simulator.clear_script()
        self.simulator.script(*steps)
        self.simulator.requests.clear()
        before = await self.billed()
        worker = build(self.simulator, self.db, **values)
        for mapping in mappings(f"{name}-"):
            assert worker.memory_store.add_signal(mapping)
        async with running(worker):
            assert await worker.drain(20), name
        rows = [await self.db.get_enhanced_signal_data(f"{name}-{number}") for number in range(len(SHAPES))]
        return Round(rows, prompts_of(self.simulator), await self.billed() - before)


def prompts_of(simulator: OpenRouterSimulator) -> list[str]:
    """What the user message of each chat request said, in the order in which they came."""
    return [request.body["messages"][-1]["content"] for request in simulator.requests if request.body]


@asynccontextmanager
async def bench(db: DatabaseManager) -> AsyncIterator[Bench]:
    """A simulator that talks to a worker and to the test."""
    async with (
        OpenRouterSimulator(seed=5, pad_interval_seconds=0.01) as simulator,
        aiohttp.ClientSession() as session,
    ):
        yield Bench(simulator, Talk(session, simulator), db)


def wrong_ratings(name: str, ratings: Sequence[int | None], *, must: bool = False) -> list[str]:
    """Ratings that are not the signal's own; with ``must`` also those that are not there."""
    return [
        f"{name}: signal {number} should be rated {right}, is {rating}"
        for number, (rating, right) in enumerate(zip(ratings, RATINGS, strict=True))
        if rating != right and (must or rating is not None)
    ]


def loose_ends(name: str, found: Round) -> list[str]:
    """Rows without an end, without a reason, or whose shares are not the bill."""
    problems = []
    for row in found.rows:
        if row["status"] not in ("completed", "failed"):
            problems.append(f"{name}: {row['signal_id']} is {row['status']}")
        if row["rating"] is None and not (row["error"] or row["unrated_reason"]):
            problems.append(f"{name}: {row['signal_id']} has neither rating nor reason")
    if name not in NOT_BOOKED and found.cost != found.billed:
        problems.append(f"{name}: the shares make {found.cost}, billed were {found.billed}")
    return problems


def test_every_fault_of_a_batch_has_its_expectation() -> None:
    """A new one cannot go untested."""
    assert set(ASKED_AGAIN) == set(BATCH_FAULTS)


async def test_a_sound_batch_is_one_request_and_five_results(db: DatabaseManager) -> None:
    """Each signal has the rule's rating, a parse method and a share of the bill of one request."""
    async with bench(db) as parts:
        found = await parts.round("sound")
    assert len(found.prompts) == 1
    assert found.ratings == RATINGS
    assert loose_ends("sound", found) == []
    assert all(row["cost_usd"] > 0 for row in found.rows)
    assert {(row["batch_size"], row["attempts"], row["parse_method"]) for row in found.rows} == {
        (5, 1, "json")
    }
    assert len({row["prompt_text"] for row in found.rows}) == 1
    assert len({row["generation_id"] for row in found.rows}) == 1


async def test_a_bill_that_does_not_divide_evenly_is_shared_to_its_last_fraction(db: DatabaseManager) -> None:
    """Thirds have no end; the rows of three signals still make what was billed."""
    uneven = 0
    async with bench(db) as parts:
        for model in ("google/gemini-3.5-flash", "google/gemini-2.5-flash-lite"):
            found = await parts.round(model, batch_size=3, model=model)
            assert loose_ends(model, found) == []
            costs = [row["cost_usd"] for row in found.rows[:3]]
            assert costs[1] == costs[2]
            uneven += costs[0] != costs[1]
    assert uneven, "whatever the prompts have become, their price should not divide by three"


async def test_every_fault_of_a_batch_reply_ends_right_or_unrated(db: DatabaseManager) -> None:
    """Each in turn: nobody gets another's rating, only the missing are asked again, alone and once."""
    wrong: list[str] = []
    async with bench(db) as parts:
        for name in BATCH_FAULTS:
            found = await parts.round(name, name)
            unrated = {2} if name in ("batch_unrated_entry", "batch_wrong_scale") else set()
            kept = [
                right if rating is None and number in unrated else rating
                for number, (rating, right) in enumerate(zip(found.ratings, RATINGS, strict=True))
            ]
            wrong += wrong_ratings(name, kept, must=True) + loose_ends(name, found)
            if not found.alone <= ASKED_AGAIN[name]:
                wrong.append(f"{name}: {found.alone - ASKED_AGAIN[name]} were asked again")
            if len(found.prompts) != 1 + len(found.alone):
                wrong.append(f"{name}: {len(found.prompts)} requests for {len(found.alone)} missing entries")
            for number, row in enumerate(found.rows):
                expected = (1, 2) if number in found.alone else (5, 1)
                if (row["batch_size"], row["attempts"]) != expected:
                    wrong.append(f"{name}: {number} has {row['batch_size']}, {row['attempts']}")
    assert not wrong


@pytest.mark.slow
async def test_every_odd_content_of_a_batch_reply_misleads_nobody(db: DatabaseManager) -> None:
    """Replies that are odd for one signal, here for five: the rule's rating or none, and the bill adds up."""
    wrong: list[str] = []
    odd = [
        name for name, info in FAULTS.items()
        if info.kind in (Kind.READABLE, Kind.EITHER, Kind.UNREADABLE) and name not in SLOW
    ]  # fmt: skip
    async with bench(db) as parts:
        for name in odd:
            found = await parts.round(name, name)
            wrong += wrong_ratings(name, found.ratings)
            if name in ("cost_missing", "usage_missing", "usage_null"):
                if any(row["cost_usd"] is not None for row in found.rows):
                    wrong.append(f"{name}: a cost out of nowhere")
            else:
                wrong += loose_ends(name, found)
            if len(found.prompts) > 1 + len(found.alone):
                wrong.append(f"{name}: {len(found.prompts)} requests")
    assert not wrong


async def test_a_batch_that_fails_as_a_whole_is_taken_apart_once(db: DatabaseManager) -> None:
    """One request for all, one for each, and what the first one cost is in the sum of the rows."""
    wrong: list[str] = []
    async with bench(db) as parts:
        for name in WHOLE_FAILURES:
            found = await parts.round(name, name)
            wrong += wrong_ratings(name, found.ratings, must=True) + loose_ends(name, found)
            if len(found.prompts) != 6 or found.alone != EVERY:
                wrong.append(f"{name}: {len(found.prompts)} requests, {found.alone} alone")
    assert not wrong


async def test_what_always_fails_costs_one_request_more_than_asking_alone(db: DatabaseManager) -> None:
    """Every answer is an error about its prompt: five failures, each with its reason, after six requests."""
    async with bench(db) as parts:
        for name in ("moderation", "refusal", "content_filter"):
            found = await parts.round(name, *[name] * 20)
            assert len(found.prompts) == 6
            assert [row["status"] for row in found.rows] == ["failed"] * 5
            assert loose_ends(name, found) == []


async def test_signals_that_are_all_rejected_alike_wait_instead_of_failing(db: DatabaseManager) -> None:
    """Taken apart, two of five fail with the reason; after the third nothing more is sent."""
    async with bench(db) as parts:
        parts.simulator.script(*["context_length"] * 20)
        worker = build(parts.simulator, db)
        for mapping in mappings("long-"):
            assert worker.memory_store.add_signal(mapping)
        async with running(worker), asyncio.timeout(20):
            while worker.get_statistics()["state"] != "waiting":  # noqa: ASYNC110  no event for it
                await asyncio.sleep(0.01)
        rows = [await db.get_enhanced_signal_data(f"long-{number}") for number in range(5)]
    statuses = [row["status"] for row in rows]
    assert statuses.count("failed") >= 2
    assert statuses.count("pending") >= 1
    assert len(parts.simulator.requests) <= 1 + 3 + worker.config.max_concurrency
    assert all("lookback_periods" in row["error"] for row in rows if row["status"] == "failed")


async def test_a_poisoned_signal_spoils_its_neighbours_once(db: DatabaseManager) -> None:
    """A filter refuses the text of one of five: that one fails with the reason, the others are rated."""
    async with bench(db) as parts:
        worker = build(parts.simulator, db)
        poisoned = mappings()
        poisoned[3]["signal_data"]["notes"] = "[[simulate:moderation]]"
        for mapping in poisoned:
            worker.memory_store.add_signal(mapping)
        async with running(worker):
            assert await worker.drain(20)
        assert len(parts.simulator.requests) == 6
    rows = [await db.get_enhanced_signal_data(f"s{number}") for number in range(5)]
    assert [row["rating"] for row in rows] == [3, 1, 5, None, 4]
    assert rows[3]["status"] == "failed"
    assert rows[3]["error"]


async def test_signals_taken_out_of_a_batch_are_asked_in_their_order(db: DatabaseManager) -> None:
    """The one that has waited longest is not made to wait longest again."""
    async with bench(db) as parts:
        found = await parts.round("order", "bad_gateway", max_concurrency=1)
        partly = await parts.round("partly", "batch_only_first", max_concurrency=1)
    symbols = [shape["symbol"] for shape in SHAPES]
    asked = [next(symbol for symbol in symbols if symbol in prompt) for prompt in found.prompts[1:]]
    assert asked == symbols
    asked = [next(symbol for symbol in symbols if symbol in prompt) for prompt in partly.prompts[1:]]
    assert asked == symbols[1:]


async def test_signals_that_did_not_fit_into_a_request_are_in_the_next(db: DatabaseManager) -> None:
    """However many come after it, a signal is overtaken by those alone whose requests were made already."""
    names = [f"SYM{number:02d}" for number in range(40)]
    async with bench(db) as parts:
        worker = build(parts.simulator, db, max_concurrency=1, batch_max_tokens=1_300)
        for name in names:
            worker.memory_store.add_signal(signal_mapping(name, symbol=name))
        async with running(worker):
            assert await worker.drain(20)
        prompts = prompts_of(parts.simulator)
    order = [name for prompt in prompts for name in names if name in prompt]
    assert sorted(order) == names
    assert len(prompts) < 40
    assert max(order.index(name) - names.index(name) for name in names) <= 2 * 5


async def test_a_refused_key_in_mid_batch_gives_every_signal_back(db: DatabaseManager) -> None:
    """Five signals are pending again in PostgreSQL, none failed, and one request was made."""
    async with bench(db) as parts:
        parts.simulator.script(*["unauthorized"] * 5)
        worker = build(parts.simulator, db)
        for mapping in mappings():
            worker.memory_store.add_signal(mapping)
        async with running(worker):
            async with asyncio.timeout(10):
                while worker.get_statistics()["state"] != "waiting":  # noqa: ASYNC110  no event for it
                    await asyncio.sleep(0.01)
        assert len(parts.simulator.requests) == 1
    assert len(await db.get_pending_llm_tasks(10)) == 5


async def test_stopping_in_mid_batch_gives_every_signal_back(db: DatabaseManager) -> None:
    """Nobody has answered: all five are pending, here and in PostgreSQL, and the next worker rates them."""
    async with bench(db) as parts:
        parts.simulator.script("hang")
        worker = build(parts.simulator, db)
        for mapping in mappings():
            worker.memory_store.add_signal(mapping)
        async with running(worker, timeout=0.2):
            await asyncio.wait_for(parts.simulator.wait_for_requests(1), 10)
        assert worker.memory_store.get_statistics()["pending"] == 5
        assert len(await db.get_pending_llm_tasks(10)) == 5
        assert await _rated_by_the_next(parts, db) == RATINGS
        assert len(parts.simulator.requests) == 2


async def test_stopping_between_a_batch_and_its_missing_ones_keeps_what_was_answered(
    db: DatabaseManager,
) -> None:
    """One entry was missing and is being asked about: four results stand, one signal is pending again."""
    async with bench(db) as parts:
        parts.simulator.script("batch_missing", "hang")
        worker = build(parts.simulator, db)
        for mapping in mappings():
            worker.memory_store.add_signal(mapping)
        async with running(worker, timeout=0.5):
            await asyncio.wait_for(parts.simulator.wait_for_requests(2), 10)
        rows = [await db.get_enhanced_signal_data(f"s{number}") for number in range(5)]
        assert [row["rating"] for row in rows] == [3, 1, None, 2, 4]
        assert [task["signal_id"] for task in await db.get_pending_llm_tasks(10)] == ["s2"]
        assert await _rated_by_the_next(parts, db) == RATINGS
        assert len(parts.simulator.requests) == 3


async def test_a_worker_that_dies_in_mid_batch_loses_nothing(db: DatabaseManager, database_url: str) -> None:
    """It never said goodbye: when its lease is over another worker rates all five, each once."""
    async with bench(db) as parts:
        parts.simulator.script("hang")
        voice = DatabaseManager(database_url)
        worker = build(parts.simulator, voice)
        for mapping in mappings():
            worker.memory_store.add_signal(mapping)
        task = asyncio.create_task(worker.run())
        await asyncio.wait_for(parts.simulator.wait_for_requests(1), 10)
        await voice.close()  # or it would hand its tasks back
        task.cancel()
        await asyncio.wait({task})
        assert await db.get_pending_llm_tasks(10) == []
        await lapse(database_url)
        assert await _rated_by_the_next(parts, db) == RATINGS
        assert len(parts.simulator.requests) == 2
        await worker._processor.close()


async def _rated_by_the_next(parts: Bench, db: DatabaseManager) -> list[int | None]:
    """The ratings after another worker has taken what is left."""
    worker = build(parts.simulator, db)
    async with running(worker), asyncio.timeout(20):
        while (await db.get_llm_processing_stats())["completed"] < 5:  # noqa: ASYNC110  in PostgreSQL
            await asyncio.sleep(0.02)
    return [(await db.get_enhanced_signal_data(f"s{number}"))["rating"] for number in range(5)]
