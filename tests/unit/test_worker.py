"""The worker against scripted neighbours: every way a signal can end, and what no fault may do."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llm_integration.config import LLMConfig
from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import (
    ContentFilteredError,
    DeadlineError,
    KeyRefusedError,
    OversizeRequestError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.worker import LLMWorker
from tests.unit.worker_parts import KeptOnDisk, MemoryDatabase, ScriptedProcessor, Sink, signal_mapping


def config(**values: Any) -> LLMConfig:
    return LLMConfig(**{"base_url": "http://127.0.0.1:9/v1", "max_concurrency": 2, **values})


@asynccontextmanager
async def running(worker: LLMWorker) -> AsyncIterator[LLMWorker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop(2)
        await task


class SteppedClock:
    """Time that runs, and can be moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.now


def build(
    processor: ScriptedProcessor,
    database: MemoryDatabase | None = None,
    *,
    outbox: KeptOnDisk | None = None,
    **values: Any,
) -> tuple[LLMWorker, SignalMemoryStore, Sink]:
    settings = config(**values)
    store = SignalMemoryStore(settings.max_memory_signals, settings.memory_retention_minutes)
    sink = Sink()
    return LLMWorker(settings, store, database, sink, outbox=outbox, processor=processor), store, sink


async def test_a_signal_ends_as_one_stored_and_delivered_rating() -> None:
    """A signal handed over is rated once, stored once, written once and delivered once."""
    database, delivered = MemoryDatabase(), asyncio.Queue[LLMAnalysis]()
    worker, store, sink = build(ScriptedProcessor(), database)
    worker.subscribe(delivered.put)
    async with running(worker):
        assert store.add_signal(signal_mapping("s1"))
        analysis = await asyncio.wait_for(delivered.get(), 5)
        assert await worker.drain(5)
    assert analysis.rating == 4
    assert database.results["s1"] == analysis
    assert [row[1] for row in sink.rows] == [analysis]
    assert store.get_signal("s1")["status"] == "completed"  # type: ignore[index]  # it was added above


@pytest.mark.parametrize(
    ("step", "status", "reason"),
    [
        (RequestRejectedError("400: no such field", attempts=1), TaskStatus.FAILED, "400: no such field"),
        (ContentFilteredError("the filter refused it"), TaskStatus.FAILED, "the filter refused it"),
        (OversizeRequestError("too large for a minute"), TaskStatus.FAILED, "too large for a minute"),
        (DeadlineError("would answer too late"), TaskStatus.EXPIRED, "would answer too late"),
        ("I would rather not say.", TaskStatus.COMPLETED, "no rating"),
    ],
)
async def test_every_other_end_has_its_reason(step: str | Exception, status: TaskStatus, reason: str) -> None:
    """A call that fails, or a reply that cannot be read, ends with a stored reason and no rating."""
    database = MemoryDatabase()
    worker, store, _ = build(ScriptedProcessor(step), database)
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        assert await worker.drain(5)
    assert database.results["s1"].status is status
    assert database.results["s1"].rating is None
    assert reason in (database.results["s1"].error or "")


async def test_a_signal_that_the_model_failed_waits_and_is_rated_in_the_end() -> None:
    """A call that fails for a passing reason ends no signal; what it cost is part of its cost."""
    clock, database, delivered = SteppedClock(), MemoryDatabase(), asyncio.Queue[LLMAnalysis]()
    processor = ScriptedProcessor(ServerError("503", attempts=5), ServerError("503", attempts=5))
    store = SignalMemoryStore()
    worker = LLMWorker(config(poll_interval=0.02), store, database, processor=processor, clock=clock)
    worker.subscribe(delivered.put)
    async with running(worker):
        for calls in (1, 2):
            if calls == 1:
                store.add_signal(signal_mapping("s1"))
            async with asyncio.timeout(5):
                while worker.get_statistics()["waiting_for_budget"] != 1 or len(processor.prompts) != calls:  # noqa: ASYNC110  no event for it
                    await asyncio.sleep(0.01)
            clock.now += 10
        analysis = await asyncio.wait_for(delivered.get(), 5)
    assert (analysis.rating, analysis.attempts) == (4, 11)
    assert database.results["s1"].status is TaskStatus.COMPLETED


async def test_a_signal_that_breaks_the_server_fails_after_three_calls_and_holds_nobody_up() -> None:
    """While others are answered it is asked about three times, then it has failed, with the reason."""
    clock, database = SteppedClock(), MemoryDatabase()
    processor = ScriptedProcessor()
    answer = processor.complete

    async def spoilt(prompt: str, **options: Any) -> Any:
        if "POISON" in prompt:
            processor.prompts.append(prompt)
            raise ServerError("500: it crashed", attempts=5)
        return await answer(prompt, **options)

    processor.complete = spoilt  # type: ignore[method-assign]  # the script for this one test
    store = SignalMemoryStore()
    worker = LLMWorker(config(poll_interval=0.02), store, database, processor=processor, clock=clock)
    async with running(worker):
        store.add_signal(signal_mapping("poison", symbol="POISON"))
        for number in range(10):
            store.add_signal(signal_mapping(f"s{number}"))
        async with asyncio.timeout(5):
            while "poison" not in database.results:
                await asyncio.sleep(0.01)
                clock.now += 1
        assert await worker.drain(5)
    assert sum("POISON" in prompt for prompt in processor.prompts) == 3
    assert (database.results["poison"].status, database.results["poison"].attempts) == (TaskStatus.FAILED, 15)
    assert "it crashed" in (database.results["poison"].error or "")
    assert sum(result.rated for result in database.results.values()) == 10
    assert list(database.results)[-1] == "poison"


async def test_a_stopped_line_leaves_signals_pending() -> None:
    """When the key is refused the signal is pending again, not failed, and nothing more is asked."""
    database, processor = MemoryDatabase(), ScriptedProcessor(KeyRefusedError("401"))
    worker, store, _ = build(processor, database)
    async with running(worker):
        processor_waits = asyncio.Event()

        async def refuse(*_args: Any, **_kwargs: Any) -> Any:
            processor.wait = 60.0
            processor.prompts.append("")
            processor_waits.set()
            raise KeyRefusedError("401")

        processor.complete = refuse  # type: ignore[method-assign]  # the script for this one test
        for number in range(5):
            store.add_signal(signal_mapping(f"s{number}"))
        await asyncio.wait_for(processor_waits.wait(), 5)
        assert not await worker.drain(0.1)
        assert worker.get_statistics()["state"] == "waiting"
    assert len(processor.prompts) <= 2 * worker.config.max_concurrency  # what lanes and their queue held
    assert not database.results
    assert store.get_statistics()["pending"] == 5


async def test_signals_that_grow_too_old_while_the_line_is_stopped_expire() -> None:
    """A signal past its age ends as expired with the reason, without a request."""
    database, processor = MemoryDatabase(), ScriptedProcessor(ready_in=0.01)
    worker, store, _ = build(processor, database, signal_max_age_seconds=0.001)
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        assert await worker.drain(5)
    assert database.results["s1"].status is TaskStatus.EXPIRED
    assert "signal_max_age_seconds=0.001" in (database.results["s1"].error or "")
    assert processor.prompts == []


async def test_tasks_of_earlier_runs_are_taken_back_at_the_start() -> None:
    """Waiting tasks in PostgreSQL are rated although memory never saw them."""
    database = MemoryDatabase()
    old = Signal.from_mapping("old", signal_mapping("old")["signal_data"])
    database.waiting.append((Claim(7, "old", "claim", age_seconds=1.0), old))
    worker, _, sink = build(ScriptedProcessor(), database)
    async with running(worker):
        await asyncio.wait_for(database.looked.wait(), 5)
        assert await worker.drain(5)
    assert database.results["old"].rating == 4
    assert sink.rows[0][0].signal_id == "old"


async def test_poll_interval_sets_how_often_postgresql_is_asked_for_tasks() -> None:
    """A short interval looks again and again, a long one only at the start."""
    looks = {}
    for interval in (0.01, 600.0):
        database = MemoryDatabase()
        worker, _, _ = build(ScriptedProcessor(), database, poll_interval=interval)
        async with running(worker):
            await asyncio.wait_for(database.looked.wait(), 5)
            while interval < 1 and database.looks < 3:
                database.looked.clear()
                await asyncio.wait_for(database.looked.wait(), 5)
        looks[interval] = database.looks
    assert looks[0.01] >= 3
    assert looks[600.0] == 1


async def test_a_task_held_elsewhere_is_not_asked() -> None:
    """What another worker holds or has finished costs nothing here."""
    database, processor = MemoryDatabase(), ScriptedProcessor()
    database.elsewhere.add("theirs")
    worker, store, sink = build(processor, database)
    async with running(worker):
        store.add_signal(signal_mapping("theirs"))
        assert await worker.drain(5)
        assert worker.get_statistics()["taken_elsewhere"] == 1
    assert processor.prompts == []
    assert sink.rows == []


async def test_what_another_worker_answers_reaches_this_host_too() -> None:
    """Its files and callbacks get the answer once, at the latest when the worker stops."""
    database, delivered = MemoryDatabase(), asyncio.Queue[LLMAnalysis]()
    database.elsewhere |= {"soon", "late"}
    worker, store, sink = build(ScriptedProcessor(), database, poll_interval=0.02)
    worker.subscribe(delivered.put)
    async with running(worker):
        store.add_signal(signal_mapping("soon"))
        store.add_signal(signal_mapping("late"))
        assert await worker.drain(5)
        database.results["soon"] = LLMAnalysis("soon", TaskStatus.COMPLETED, rating=2)
        assert (await asyncio.wait_for(delivered.get(), 5)).rating == 2
        database.looks = 0
        async with asyncio.timeout(5):
            while database.looks < 3:
                database.looked.clear()
                await database.looked.wait()
        database.results["late"] = LLMAnalysis("late", TaskStatus.FAILED, error="why")
    assert [(signal.signal_id, analysis.signal_id) for signal, analysis in sink.rows] == [
        ("soon", "soon"), ("late", "late"),
    ]  # fmt: skip
    assert worker.get_statistics()["completed"] == 0  # asked by nobody here


async def test_results_wait_while_postgresql_is_away_and_are_delivered_once() -> None:
    """An outage delays the row in PostgreSQL, not CSV or callbacks, and doubles nothing."""
    database = MemoryDatabase()
    worker, store, sink = build(ScriptedProcessor(), database)
    async with running(worker):
        database.fault = OSError("connection refused")
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        assert not await worker.drain(0.05)
        assert worker.get_statistics()["unwritten"] == 1
        database.fault = None
        assert await worker.drain(10)
    assert database.results["s1"].rating == 4
    assert len(sink.rows) == 1


async def test_no_call_is_made_while_too_many_results_are_unwritten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """max_unwritten_results bounds what an outage can pile up, and so what it can cost; it is said once."""
    database = MemoryDatabase()
    processor = ScriptedProcessor()
    worker, store, sink = build(processor, database, max_unwritten_results=1, max_concurrency=1)
    async with running(worker):
        database.fault = OSError("connection refused")
        for number in range(20):
            store.add_signal(signal_mapping(f"s{number}"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        assert not await worker.drain(0.05)
        assert len(processor.prompts) <= 4
        assert "max_unwritten_results" in worker.get_statistics()["note"]
        assert worker.get_statistics()["state"] == "waiting"
        assert caplog.text.count("no further call is made") == 1
        database.fault = None
        assert await worker.drain(15)
    assert len(database.results) == 20


async def test_stop_returns_in_time_and_gives_back_what_hangs() -> None:
    """A call that never ends does not delay stop by more than a second; its task is pending again."""
    database, processor = MemoryDatabase(), ScriptedProcessor(asyncio.Event())
    worker, store, _ = build(processor, database)
    task = asyncio.create_task(worker.run())
    store.add_signal(signal_mapping("s1"))
    await asyncio.wait_for(processor.called.wait(), 5)
    async with asyncio.timeout(1.2):
        await worker.stop(0.2)
    await asyncio.wait_for(task, 1)
    assert database.released == ["s1"]
    assert database.retired == [worker.worker_id]
    assert store.get_signal("s1")["status"] == "pending"  # type: ignore[index]  # it was added above
    assert processor.closed


async def test_stop_lets_calls_in_flight_finish() -> None:
    """An answer that arrives within the timeout is kept."""
    gate, database = asyncio.Event(), MemoryDatabase()
    processor = ScriptedProcessor(gate)
    worker, store, _ = build(processor, database)
    task = asyncio.create_task(worker.run())
    store.add_signal(signal_mapping("s1"))
    await asyncio.wait_for(processor.called.wait(), 5)
    stopping = asyncio.create_task(worker.stop(5))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait_for(stopping, 5)
    await task
    assert database.results["s1"].rating == 4


async def test_failing_and_slow_callbacks_hurt_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is reported once and counted; others get every analysis."""
    seen: list[str] = []
    release, done = threading.Event(), threading.Event()

    def blocking(analysis: LLMAnalysis) -> None:
        release.wait(10)
        done.set()

    async def broken(analysis: LLMAnalysis) -> None:
        raise ValueError("not my day")

    async def good(analysis: LLMAnalysis) -> None:
        seen.append(analysis.signal_id)

    database = MemoryDatabase()
    worker, store, _ = build(ScriptedProcessor(), database)
    for callback in (blocking, broken, good):
        worker.subscribe(callback)
    with caplog.at_level(logging.ERROR):
        async with running(worker):
            for number in range(5):
                store.add_signal(signal_mapping(f"s{number}"))
            assert not await worker.drain(0.3)
            assert worker.get_statistics()["callback_waiting"] == 5
            release.set()
            assert await worker.drain(5)
    assert sorted(seen) == [f"s{number}" for number in range(5)]
    assert worker.get_statistics()["callback_errors"] == 5
    assert sum("not my day" in (record.exc_text or "") for record in caplog.records) == 1
    assert done.wait(5)


async def test_a_crash_of_the_worker_is_logged_and_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """A fault inside the sidecar costs at most the signal it struck, with its reason stored."""
    database = MemoryDatabase()
    worker, store, _ = build(
        ScriptedProcessor(ZeroDivisionError("a bug"), ZeroDivisionError("a bug")), database
    )
    with caplog.at_level(logging.ERROR):
        async with running(worker):
            store.add_signal(signal_mapping("s1"))
            assert await worker.drain(5)
            store.add_signal(signal_mapping("s2"))
            assert await worker.drain(5)
            crashes = worker.get_statistics()["crashes"]
    assert database.results["s1"].status is TaskStatus.FAILED
    assert database.results["s2"].rating == 4
    assert sum(crashes.values()) == 2
    assert "restarts in" in caplog.text


async def test_without_a_key_the_worker_is_off_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """No key at OpenRouter itself: one warning that names the variable, and no request."""
    processor = ScriptedProcessor()
    worker = LLMWorker(LLMConfig(), processor=processor)
    async with running(worker):
        await asyncio.sleep(0)  # its first turn
        worker.memory_store.add_signal(signal_mapping("s1"))
    assert worker.get_statistics()["state"] == "off"
    assert "OPENROUTER_API_KEY" in caplog.text
    assert processor.prompts == []


async def test_signals_added_from_another_thread_wake_the_worker() -> None:
    """poll_interval is only the backstop, also for additions from other threads."""
    database = MemoryDatabase()
    worker, store, _ = build(ScriptedProcessor(), database, poll_interval=600.0)
    async with running(worker):
        await asyncio.wait_for(database.looked.wait(), 5)
        await asyncio.to_thread(store.add_signal, signal_mapping("s1"))
        assert await worker.drain(5)
    assert database.results["s1"].rating == 4


async def test_one_info_line_per_signal_and_no_reply_text(caplog: pytest.LogCaptureFixture) -> None:
    """The log names id, rating, method, model, milliseconds and cost, and forges no line."""
    worker, store, _ = build(ScriptedProcessor(), MemoryDatabase())
    with caplog.at_level(logging.INFO, "llm_integration"):
        async with running(worker):
            store.add_signal(signal_mapping("evil\nid"))
            assert await worker.drain(5)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("signal ")]
    assert len(lines) == 1
    for part in ("evil?id", "4", "method=json", "model=served/model", "ms=", "cost=0.0001"):
        assert part in lines[0]
    assert "Clean trend" not in caplog.text


def cleanup_calls(store: SignalMemoryStore) -> Callable[[], int]:
    """Count the calls of the store's cleanup from now on."""
    calls = 0
    original = store.cleanup_old_signals

    def counted(limit: int | None = None) -> int:
        nonlocal calls
        calls += 1
        return original(limit)

    store.cleanup_old_signals = counted  # type: ignore[method-assign]  # a counter around the real one
    return lambda: calls


async def test_cleanup_interval_sets_how_often_memory_is_cleaned() -> None:
    """Finished signals past their retention leave memory at the configured interval."""
    worker, store, _ = build(
        ScriptedProcessor(), None, cleanup_interval_minutes=0.0002, memory_retention_minutes=0.0
    )
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        assert await worker.drain(5)
        calls = cleanup_calls(store)
        async with asyncio.timeout(5):
            while not calls():  # noqa: ASYNC110  the cleanup has no event to wait for
                await asyncio.sleep(0.005)
    assert store.get_signal("s1") is None


async def test_a_result_reached_without_a_claim_is_claimed_before_it_is_stored() -> None:
    """What was rated while PostgreSQL was away meets the same fence as everything else, signal included."""
    database = MemoryDatabase()
    worker, store, sink = build(ScriptedProcessor(), database)
    database.fault = OSError("connection refused")
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        database.fault = None
        assert await worker.drain(10)
    assert database.results["s1"].rating == 4
    assert database.claims_shown["s1"] == database.live["s1"]
    assert worker.get_statistics()["refused_by_fence"] == 0


async def test_a_result_whose_task_was_finished_elsewhere_meanwhile_is_refused() -> None:
    """Without a claim to be had, an answer from an outage does not overwrite another worker's."""
    database = MemoryDatabase()
    worker, store, sink = build(ScriptedProcessor(), database, lease_seconds=1)
    database.fault = OSError("connection refused")
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        database.elsewhere.add("s1")
        database.fault = None
        assert await worker.drain(20)
    assert database.results == {}
    assert worker.get_statistics()["refused_by_fence"] == 1


async def test_results_are_on_disk_while_the_database_is_away_and_not_longer() -> None:
    """Every waiting result is kept in the outbox, and forgotten once PostgreSQL has it."""
    database, outbox = MemoryDatabase(), KeptOnDisk()
    worker, store, _ = build(ScriptedProcessor(), database, outbox=outbox)
    database.fault = OSError("connection refused")
    async with running(worker):
        for number in range(3):
            store.add_signal(signal_mapping(f"s{number}"))
        async with asyncio.timeout(5):
            while len(outbox.held) < 3:
                outbox.kept.clear()
                await outbox.kept.wait()
        database.fault = None
        assert await worker.drain(10)
    assert outbox.held == {}
    assert len(database.results) == 3


async def test_a_healthy_database_leaves_the_outbox_alone() -> None:
    """Nothing is written twice while PostgreSQL answers in time."""
    database, outbox = MemoryDatabase(), KeptOnDisk()
    worker, store, _ = build(ScriptedProcessor(), database, outbox=outbox)
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        assert await worker.drain(5)
    assert outbox.ever == []


async def test_what_a_stop_leaves_unwritten_is_on_disk() -> None:
    """A worker stopped in mid-outage leaves its results to the next run."""
    database, outbox = MemoryDatabase(), KeptOnDisk()
    worker, store, sink = build(ScriptedProcessor(), database, outbox=outbox)
    database.fault = OSError("connection refused")
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        await worker.stop(0.3)
    assert list(outbox.held) == ["s1"]


async def test_signals_that_wait_in_memory_are_stored_meanwhile() -> None:
    """While the line is stopped, a host's signals reach PostgreSQL as pending tasks all the same."""
    database, processor = MemoryDatabase(), ScriptedProcessor(ready_in=30.0)
    worker, store, _ = build(processor, database)
    async with running(worker):
        for number in range(40):
            store.add_signal(signal_mapping(f"s{number}"))
        async with asyncio.timeout(5):
            while len(database.recorded) < 40:
                database.stored.clear()
                await database.stored.wait()
    assert database.recorded == [f"s{number}" for number in range(40)]


async def test_a_host_that_stores_its_signals_itself_is_left_to_it() -> None:
    """Nothing is written twice for the bundled host."""
    database, processor = MemoryDatabase(), ScriptedProcessor(ready_in=30.0)
    store = SignalMemoryStore()
    worker = LLMWorker(config(), store, database, processor=processor, stores_signals=False)
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        assert not await worker.drain(0.05)
        assert not store.untold  # so none of them can ever be stored from here
    assert database.recorded == []


async def test_signals_that_wait_in_an_outage_are_on_disk_until_postgresql_has_them() -> None:
    """A process killed then loses none of them; afterwards they are stored in order."""
    database, outbox, processor = MemoryDatabase(), KeptOnDisk(), ScriptedProcessor(ready_in=30.0)
    clock = SteppedClock()
    store = SignalMemoryStore()
    worker = LLMWorker(config(), store, database, outbox=outbox, processor=processor, clock=clock)
    database.fault = OSError("connection refused")
    async with running(worker):
        for number in range(3):
            store.add_signal(signal_mapping(f"s{number}"))
        async with asyncio.timeout(5):
            while len(outbox.signals) < 3:
                outbox.kept.clear()
                await outbox.kept.wait()
        database.fault = None
        clock.now += 10
        store.add_signal(signal_mapping("s3"))
        async with asyncio.timeout(5):
            while len(database.recorded) < 4:
                database.stored.clear()
                await database.stored.wait()
    assert sorted(database.recorded) == ["s0", "s1", "s2", "s3"]
    assert outbox.signals == {}


async def test_a_cancelled_stop_does_not_hold_up_the_next_one() -> None:
    """A host that loses patience with stop can call it again and gets its answer in time."""
    processor = ScriptedProcessor(asyncio.Event())
    worker, store, _ = build(processor)
    task = asyncio.create_task(worker.run())
    store.add_signal(signal_mapping("s1"))
    await asyncio.wait_for(processor.called.wait(), 5)
    first = asyncio.create_task(worker.stop(5))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(2):
        await worker.stop(0.5)
    await asyncio.wait_for(task, 2)


async def test_many_signals_that_grow_too_old_together_give_way_to_the_host() -> None:
    """Ending a thousand of them takes many slices of the loop, not one."""
    clock, processor = SteppedClock(), ScriptedProcessor(ready_in=30.0)
    store, sink = SignalMemoryStore(2_000), Sink()
    worker = LLMWorker(
        config(signal_max_age_seconds=20.0), store, None, sink, processor=processor, clock=clock
    )
    for number in range(1_000):
        store.add_signal(signal_mapping(f"s{number}"))
    ended: list[int] = []
    async with running(worker):
        await asyncio.sleep(0)
        clock.now += 100
        store.add_signal(signal_mapping("wakes the worker"))
        async with asyncio.timeout(10):
            while worker.get_statistics()["expired"] < 1_000:
                ended.append(worker.get_statistics()["expired"])
                await asyncio.sleep(0)
    steps = [later - earlier for earlier, later in itertools.pairwise(ended)]
    assert max(steps) <= 40


async def test_a_task_from_postgresql_grows_too_old_while_the_line_is_stopped() -> None:
    """Nothing is asked, nothing is paid, and the reason is stored."""
    clock, database = SteppedClock(), MemoryDatabase()
    refused = KeyRefusedError("401: the key is refused")
    processor = ScriptedProcessor(*[refused] * 50)
    worker = LLMWorker(
        config(signal_max_age_seconds=100.0, poll_interval=0.05),
        None,
        database,
        processor=processor,
        clock=clock,
    )
    signal = Signal.from_mapping("old", signal_mapping("old")["signal_data"])
    database.waiting.append((Claim(1, "old", "c1", 0, 0.0), signal))
    async with running(worker):
        await asyncio.wait_for(processor.called.wait(), 5)
        processor.wait = 0.01
        clock.now += 200
        assert await worker.drain(10)
    assert database.results["old"].status is TaskStatus.EXPIRED


async def test_a_task_that_is_claimed_twice_at_once_is_asked_about_once() -> None:
    """PostgreSQL hands out a signal that came through memory while it was asked: the later claim counts."""
    database, answer = MemoryDatabase(), asyncio.Event()
    processor = ScriptedProcessor(answer)
    worker, store, _ = build(processor, database, poll_interval=0.02)
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(processor.called.wait(), 5)
        later = Claim(1, "s1", "the later claim", attempts=2)
        database.waiting.append((later, Signal.from_mapping("s1", signal_mapping("s1")["signal_data"])))
        async with asyncio.timeout(5):
            while database.waiting:
                database.looked.clear()
                await database.looked.wait()
        answer.set()
        assert await worker.drain(5)
    assert len(processor.prompts) == 1
    assert database.claims_shown["s1"] == later


async def test_an_answer_waits_for_the_lease_of_a_dead_worker_and_is_not_asked_for_again() -> None:
    """A resumed run rates in an outage what the killed one had claimed: the answer is stored in the end."""
    database, processor = MemoryDatabase(), ScriptedProcessor()
    worker, store, sink = build(processor, database, lease_seconds=5)
    database.fault = OSError("connection refused")
    async with running(worker):
        store.add_signal(signal_mapping("s1"))
        await asyncio.wait_for(sink.arrived.wait(), 5)
        database.elsewhere.add("s1")
        database.fault = None
        assert not await worker.drain(0.7)
        database.elsewhere.clear()
        assert await worker.drain(10)
    assert database.results["s1"].rating == 4
    assert len(processor.prompts) == 1
    assert worker.get_statistics()["refused_by_fence"] == 0
