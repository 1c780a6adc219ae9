"""The recorder between the bar loop and PostgreSQL: bounded waits, order, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from llm_integration.availability import Availability, Change
from llm_integration.domain import Bar, Signal
from llm_integration.record.recorder import SessionRecorder
from tests.unit.worker_parts import signal_mapping

T0 = datetime(2026, 1, 5, tzinfo=UTC)
BARS = [Bar(T0 + timedelta(hours=hour), 1.0, 1.2, 0.9, 1.1, 10.0) for hour in range(5)]


class SlowDatabase:
    """Takes what it gets once its gate is open; fails while ``fault`` is set."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self.tried = asyncio.Event()
        self.stored: list[str] = []

    async def record_signal(self, signal: Signal, *, worker_id: str | None = None) -> int:
        self.tried.set()
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.stored.append(signal.signal_id)
        return 1

    async def update_task_status(self, task_id: int, status: str, error: str | None = None) -> None:
        self.stored.append(f"{status}: {error}")

    async def record_bars(self, session_id: str, symbol: str, bars: Sequence[Bar]) -> None:
        if self.fault is not None:
            raise self.fault
        self.stored += [f"bar {bar.timestamp.hour}" for bar in bars]


class PoisonedRowError(Exception):
    """A row that PostgreSQL will never take."""

    retryable = False


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def recording(
    database: SlowDatabase,
    handoff: float = 5.0,
    off_reason: str | None = None,
    availability: Availability | None = None,
    sleep: Callable[[float], Awaitable[None]] = no_pause,
) -> AsyncIterator[SessionRecorder]:
    recorder = SessionRecorder(
        database, "session", "ES", handoff_seconds=handoff, off_reason=off_reason, sleep=sleep,
        availability=availability,
    )  # fmt: skip
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def a_signal(signal_id: str) -> Signal:
    return Signal.from_mapping(signal_id, signal_mapping(signal_id)["signal_data"])


async def test_a_signal_is_confirmed_before_the_bar_goes_on() -> None:
    """A healthy PostgreSQL has the signal when record_signal returns."""
    database = SlowDatabase()
    async with recording(database) as recorder:
        assert await recorder.record_signal(a_signal("s1"))
        assert database.stored == ["s1"]


async def test_the_bar_loop_waits_no_longer_than_the_handoff() -> None:
    """A stalled PostgreSQL costs the loop its bound once, and the signal arrives later."""
    database = SlowDatabase()
    database.gate.clear()
    async with recording(database, handoff=0.01) as recorder:
        async with asyncio.timeout(2):
            assert not await recorder.record_signal(a_signal("s1"))
        assert recorder.late_signals == 1
        database.gate.set()
        assert await recorder.flush(5)
    assert database.stored == ["s1"]


async def test_while_postgresql_is_known_to_be_away_nobody_waits_for_it() -> None:
    """After a refusal further signals are queued at once and written in order on return."""
    database = SlowDatabase()
    database.fault = OSError("connection refused")
    async with recording(database, handoff=0.01) as recorder:
        await recorder.record_signal(a_signal("s1"))
        await asyncio.wait_for(database.tried.wait(), 5)
        for number in range(2, 6):
            assert not await recorder.record_signal(a_signal(f"s{number}"))
        assert recorder.error is not None
        database.fault = None
        assert await recorder.flush(5)
    assert database.stored == ["s1", "s2", "s3", "s4", "s5"]


async def test_a_bar_is_stored_after_the_signals_up_to_it() -> None:
    """The last stored bar is where a resumed run goes on, so its signal must be there before it."""
    database = SlowDatabase()
    database.gate.clear()
    async with recording(database, handoff=0.001) as recorder:
        recorder.record_bar(BARS[0])
        await recorder.record_signal(a_signal("s1"))
        recorder.record_bar(BARS[1])
        assert not await recorder.flush(0.05)
        assert "bar 1" not in database.stored
        database.gate.set()
        assert await recorder.flush(5)
    assert database.stored.index("bar 1") > database.stored.index("s1")


async def test_a_row_that_is_refused_holds_nobody_up() -> None:
    """A signal PostgreSQL will never take is reported and counted; the next one is stored."""
    database = SlowDatabase()
    database.fault = PoisonedRowError("bad row")
    async with recording(database) as recorder:
        assert not await recorder.record_signal(a_signal("bad"))
        database.fault = None
        assert await recorder.record_signal(a_signal("good"))
    assert recorder.lost_signals == 1
    assert database.stored == ["good"]


async def test_what_may_wait_is_bounded() -> None:
    """Past the bounds bars and signals are counted as not stored instead of filling the memory."""
    database = SlowDatabase()
    recorder = SessionRecorder(database, "session", "ES", handoff_seconds=0.0, max_signals=1, max_bars=2)
    for bar in BARS:
        recorder.record_bar(bar)
    await recorder.record_signal(a_signal("s1"))
    await recorder.record_signal(a_signal("s2"))
    assert (recorder.lost_bars, recorder.lost_signals) == (3, 1)


async def test_with_the_llm_off_the_task_ends_with_that_reason() -> None:
    """A later run with a key does not pay for signals nobody asked about."""
    database = SlowDatabase()
    async with recording(database, off_reason="there is no API key") as recorder:
        assert await recorder.record_signal(a_signal("s1"))
    assert database.stored == ["s1", "expired: LLM off: there is no API key"]


class KeptOnDisk:
    """Remembers what the recorder wants to have kept on disk."""

    def __init__(self) -> None:
        self.held: dict[str, str | None] = {}
        self.ever: list[str] = []

    def keep_signal(self, signal: Signal, *, off_reason: str | None = None) -> None:
        self.held[signal.signal_id] = off_reason
        self.ever.append(signal.signal_id)

    def forget_signal(self, signal: Signal) -> None:
        self.held.pop(signal.signal_id, None)


async def test_a_signal_that_is_not_confirmed_in_time_is_on_disk_until_it_is() -> None:
    """Late and refused signals are kept; each is forgotten once PostgreSQL has it."""
    database, outbox = SlowDatabase(), KeptOnDisk()
    database.gate.clear()
    recorder = SessionRecorder(
        database, "session", "ES", handoff_seconds=0.0, outbox=outbox, off_reason="off", sleep=no_pause
    )
    task = asyncio.create_task(recorder.run())
    for name in ("s1", "s2"):
        assert not await recorder.record_signal(a_signal(name))
    assert outbox.held == {"s1": "off", "s2": "off"}
    database.gate.set()
    assert await recorder.flush(5)
    assert outbox.held == {}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_confirmed_signal_never_touches_the_disk() -> None:
    """A healthy PostgreSQL leaves the outbox alone."""
    outbox = KeptOnDisk()
    recorder = SessionRecorder(SlowDatabase(), "session", "ES", handoff_seconds=5.0, outbox=outbox)
    task = asyncio.create_task(recorder.run())
    assert await recorder.record_signal(a_signal("s1"))
    assert outbox.ever == []
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_stop_in_mid_outage_leaves_every_waiting_signal_on_disk() -> None:
    """keep_waiting covers the signals whose handoff is still under way; over the bound the disk has them."""
    outbox = KeptOnDisk()
    recorder = SessionRecorder(
        SlowDatabase(), "session", "ES", handoff_seconds=0.0, outbox=outbox, max_signals=2
    )
    for name in ("s1", "s2", "s3"):
        await recorder.record_signal(a_signal(name))
    outbox.held.pop("s1")
    assert recorder.keep_waiting() == 2
    assert sorted(outbox.held) == ["s1", "s2", "s3"]
    assert recorder.lost_signals == 0


class FaultyTableError(Exception):
    """PostgreSQL answers that something is not there."""

    retryable = True
    answered = True


class NoBars(SlowDatabase):
    """Takes signals, and bars once their table is back."""

    gone = True
    tries = 0

    async def record_bars(self, session_id: str, symbol: str, bars: Sequence[Bar]) -> None:
        self.tries += 1
        if self.gone:
            raise FaultyTableError("table market_data is missing")
        await super().record_bars(session_id, symbol, bars)


async def test_a_missing_table_of_bars_is_announced_once_and_signals_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While bars fail and signals succeed the state does not flip, and the message names the cause."""
    database = NoBars()
    async with recording(database) as recorder:
        for number in range(4):
            recorder.record_bar(BARS[number])
            before = database.tries
            async with asyncio.timeout(5):
                while database.tries < before + 2:  # noqa: ASYNC110  a counter has no event
                    await asyncio.sleep(0)
            assert await recorder.record_signal(a_signal(f"s-{number}"))
        assert str(recorder.error) == "table market_data is missing"
        database.gone = False
        assert await recorder.flush(5)
        error = recorder.error
    assert error is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2, said
    assert "PostgreSQL answers, but cannot store (table market_data is missing)" in said[0]
    assert "answers again" in said[1]


async def test_a_recorder_that_is_started_again_goes_on_with_what_waits() -> None:
    """Its supervisor may have to; nothing that was taken is lost, and nothing waits for the next bar."""
    database = SlowDatabase()
    database.gate.clear()
    async with recording(database, handoff=0.0) as recorder:
        await recorder.record_signal(a_signal("s-1"))
        recorder.record_bar(BARS[0])
        await database.tried.wait()
    database.gate.set()
    task = asyncio.create_task(recorder.run())
    assert await recorder.flush(5)
    task.cancel()
    assert database.stored == ["s-1", "bar 0"]


async def test_what_other_parts_met_first_is_not_announced_again() -> None:
    """The heartbeat failed before: the recorder's failures are of the same outage, and it ends with them."""
    told: list[Change] = []
    shared = Availability(lambda: 0.0, listeners=(told.append,))
    database = SlowDatabase()
    shared.failed(OSError("connection refused"), "beat")
    database.fault = OSError("connection refused")
    async with recording(database, handoff=0.01, availability=shared) as recorder:
        recorder.record_bar(BARS[0])
        assert not await recorder.record_signal(a_signal("s1"))
        async with asyncio.timeout(5):
            while shared.error_of("bars") is None or shared.error_of("signals") is None:  # noqa: ASYNC110
                await asyncio.sleep(0)
        shared.over("beat")
        assert recorder.error is not None
        database.fault = None
        assert await recorder.flush(5)
    assert [change.error for change in told] == ["connection refused", None]


async def test_a_signal_is_waited_for_while_only_others_fail() -> None:
    """That budgets cannot be asked says nothing about signals: the bar waits for its signal as ever."""
    shared = Availability(lambda: 0.0)
    shared.failed(OSError("no answer in time"), "budgets")
    async with recording(SlowDatabase(), availability=shared) as recorder:
        assert await recorder.record_signal(a_signal("s1"))
        assert recorder.error is None


async def test_each_kind_is_tried_again_after_pauses_of_its_own() -> None:
    """They double from a quarter of a second to five, as those of every part do."""
    database, pauses, enough = NoBars(), list[float](), asyncio.Event()

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            enough.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async with recording(database, availability=Availability(lambda: 0.0), sleep=note) as recorder:
        recorder.record_bar(BARS[0])
        await asyncio.wait_for(enough.wait(), 5)
    assert pauses == [0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]  # the first one gathers bars


async def test_a_recorder_that_has_ended_keeps_no_outage_alive() -> None:
    """Nobody stores signals and bars any more: the next answer that anybody gets is the end of it."""
    told: list[Change] = []
    shared = Availability(lambda: 0.0, listeners=(told.append,))
    database = SlowDatabase()
    database.fault = OSError("connection refused")
    async with recording(database, handoff=0.01, availability=shared) as recorder:
        recorder.record_bar(BARS[0])
        await recorder.record_signal(a_signal("s1"))
        async with asyncio.timeout(5):
            while shared.error_of("bars") is None or shared.error_of("signals") is None:  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert shared.error is None
    shared.over("results")
    assert [change.error for change in told] == ["connection refused", None]


async def test_a_flush_does_not_sit_out_a_pause_between_two_tries() -> None:
    """PostgreSQL is back since the last try, and there is no later one: what waits is stored at once."""
    database, paused = SlowDatabase(), asyncio.Event()
    database.fault = OSError("connection refused")

    async def for_ever(seconds: float) -> None:
        if seconds and database.fault is not None:
            paused.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async with recording(database, handoff=0.01, sleep=for_ever) as recorder:
        await recorder.record_signal(a_signal("s1"))
        await asyncio.wait_for(paused.wait(), 5)
        database.fault = None
        assert await recorder.flush(5)
    assert database.stored == ["s1"]
