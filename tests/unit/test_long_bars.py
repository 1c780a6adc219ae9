"""Signals that bring hundreds of bars of their own: no turn of the host's loop has much to do."""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import FrameType
from typing import Any

import pandas as pd
import pytest

from llm_integration import LLMConfig, LLMWorker, Signal, SignalFormatter, SignalMemoryStore
from llm_integration.domain import Bar, bars_in_pieces
from llm_integration.fairness import at_once
from llm_integration.memory_store import QueuedSignal
from llm_integration.signal_formatter.bars import CACHED_BARS, BarReader
from llm_integration.worker.reading import MOST_AHEAD, SignalReader
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, Sink, signal_mapping

T0 = datetime(2026, 1, 5, tzinfo=UTC)
LONG = 500
"""The largest lookback."""
SIGNALS = 24
MOST_CALLS_IN_A_CALLBACK = 6_000
"""Calls of Python and C functions; reading and writing 500 bars takes 20,000."""


def feed(kind: str, count: int, at: int = 0) -> Any:
    """``count`` bars of one minute that nobody else has, in one of the forms that hosts use."""
    rows = [
        (T0 + timedelta(minutes=at + n), 1.1 + (at + n) / 1e5, 1.2 + n / 1e5, 1.0, 1.15 + n / 1e5, 100.0 + n)
        for n in range(count)
    ]
    match kind:
        case "mappings":
            return [
                {"timestamp": time.isoformat(), "open": o, "high": h, "low": low, "close": c, "volume": v}
                for time, o, h, low, c, v in rows
            ]
        case "rows":
            return [list(row) for row in rows]
        case "frames":
            return pd.DataFrame(rows, columns=list(Bar._fields))
        case "newest first":
            return [Bar(*row) for row in reversed(rows)]
        case _:
            return tuple(Bar(*row) for row in rows)


class CallsPerCallback:
    """Counts the calls in every callback of the loop."""

    def __init__(self) -> None:
        self.counts = [0]

    @contextmanager
    def watching(self) -> Iterator[None]:
        original = asyncio.Handle._run

        def run(handle: asyncio.Handle) -> None:
            self.counts.append(0)
            original(handle)

        asyncio.Handle._run = run  # type: ignore[assignment, method-assign]  # put back below
        sys.setprofile(self._seen)
        try:
            yield
        finally:
            sys.setprofile(None)
            asyncio.Handle._run = original  # type: ignore[method-assign]  # as it was

    def _seen(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.counts[-1] += event in ("call", "c_call")


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("kind", ["mappings", "rows", "newest first", "bars", "frames"])
async def test_no_callback_has_much_to_do(kind: str, batch_size: int) -> None:
    """From the store to the delivered analysis, though every signal brings 500 bars of its own."""
    config = LLMConfig(
        base_url="http://127.0.0.1:1/v1", max_concurrency=8, lookback_periods=LONG, batch_size=batch_size
    )
    database, calls = MemoryDatabase(), CallsPerCallback()
    store = SignalMemoryStore()
    worker = LLMWorker(config, store, database, Sink(), processor=ScriptedProcessor())
    running = asyncio.create_task(worker.run())
    await database.looked.wait()
    for number in range(SIGNALS):
        at = number * 7
        time = T0 + timedelta(minutes=at + LONG - 1)
        store.add_signal(signal_mapping(f"s-{number}", timestamp=time, bars=feed(kind, LONG, at)))
    with calls.watching():
        assert await worker.drain(30)
    assert worker.get_statistics()["completed"] == SIGNALS
    await worker.stop(2)
    await running
    assert max(calls.counts) <= MOST_CALLS_IN_A_CALLBACK


WEIRD = (0.0, -0.0, 1, True, False, None, math.nan, math.inf, "1.5", Decimal("1.25"), 1.5, 1e300)


def weird_bars(rng: random.Random, count: int) -> list[Bar]:
    """Bars of which hardly one is right, many of them alike."""
    return [
        Bar(T0 + timedelta(minutes=rng.randint(0, 40)), *rng.choices(WEIRD, k=5))  # type: ignore[arg-type]
        for _ in range(count)
    ]


def about(bars: Any, minutes: int = 1_000) -> dict[str, Any]:
    """A signal's mapping with these bars."""
    data: dict[str, Any] = signal_mapping("s", timestamp=T0 + timedelta(minutes=minutes), bars=bars)
    return data["signal_data"]  # type: ignore[no-any-return]  # it is one


@pytest.mark.parametrize("kind", ["mappings", "rows", "newest first", "bars"])
@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 1_300])
def test_bars_are_the_same_in_pieces(kind: str, count: int) -> None:
    """And as many, the last thousand up to the signal's time, in order of time."""
    bars = feed(kind, count)
    until = T0 + timedelta(minutes=1_050)
    whole = Signal.from_mapping("s", about(bars, 1_050)).bars
    pieces = at_once(bars_in_pieces(bars, until=until))
    assert pieces == whole
    first = 0 if count <= 1_000 else 51
    assert whole == feed("bars", count)[first : first + 1_000]


def test_what_was_read_before_changes_no_prompt() -> None:
    """A formatter that has seen equal, or nearly equal, bars writes what a new one writes."""
    rng = random.Random(11)
    config = LLMConfig(lookback_periods=40)
    used = SignalFormatter(config)
    for _ in range(300):
        bars = weird_bars(rng, rng.randint(1, 80))
        given = Signal("s", T0 + timedelta(minutes=30), "EURUSD", "BUY", 1.0, 0.5, 2.0, bars=bars)
        at_once(used.read_ahead(given))
        assert used.prompt(given) == SignalFormatter(config).prompt(given)


@pytest.mark.parametrize("until", [-5, 0, 30, 99, 150, 500])
def test_the_order_of_many_bars_changes_no_prompt(until: int) -> None:
    """Rising, falling, shuffled or with one bar twice: the same bars are shown, none from later."""
    bars = list(feed("bars", 200))
    shuffled = random.Random(3).sample(bars, len(bars))
    prompts = {
        SignalFormatter(LLMConfig(lookback_periods=50)).prompt(
            Signal("s", T0 + timedelta(minutes=until), "EURUSD", "BUY", 1.0, 0.5, 2.0, bars=order)
        )
        for order in (bars, bars[::-1], shuffled, [*bars, bars[7]], tuple(bars))
    }
    assert len(prompts) == 1


def test_copied_bars_are_read_once() -> None:
    """A host that copies its bars for every signal pays little for those that came before."""
    formatter = SignalFormatter(LLMConfig(lookback_periods=LONG))
    signals = [Signal.from_mapping(f"s-{n}", about(feed("mappings", LONG, n))) for n in range(2)]
    same = [Signal.from_mapping("again", about(feed("mappings", LONG)))]
    counts = []
    for signal in (*signals[:1], *same):
        watch = CallsPerCallback()
        with watch.watching():
            formatter.prompt(signal)
        counts.append(sum(watch.counts))
    assert counts[1] * 2 < counts[0]


def test_memory_of_bars_is_bounded() -> None:
    """Whatever a host brings, and however often."""
    reader = BarReader(lookback=10)
    for number in range(3 * CACHED_BARS // 64):
        reader.shown_all(feed("bars", 64, 64 * number))
        reader.shown_all(feed("bars", 64, 64 * number))
    for kept in (reader._known, reader._copies, reader._equal, reader._equal_before):
        assert 0 < len(kept) <= CACHED_BARS


class Hostile(list[Any]):
    """A container that raises whatever is asked."""

    def __len__(self) -> int:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError


async def test_a_hostile_container_stands_in_nobodys_way() -> None:
    """The signal is rated without bars, and so is the one behind it."""
    store = SignalMemoryStore()
    worker = LLMWorker(
        LLMConfig(base_url="http://127.0.0.1:1/v1"),
        store,
        MemoryDatabase(),
        Sink(),
        processor=ScriptedProcessor(),
    )
    for number, bars in enumerate((Hostile(), pd.DataFrame({"open": [object()] * 60}), feed("rows", 60))):
        store.add_signal(signal_mapping(f"s-{number}", bars=bars))
    running = asyncio.create_task(worker.run())
    assert await worker.drain(10)
    assert worker.get_statistics()["completed"] == 3
    assert not worker.get_statistics()["crashes"]
    await worker.stop(2)
    await running


async def test_signals_made_ahead_are_those_that_wait() -> None:
    """One that was replaced meanwhile is made anew; nothing is taken, and not too many are kept."""
    store = SignalMemoryStore(1_000)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1

    reader = SignalReader(turn)
    for number in range(MOST_AHEAD + 10):
        store.add_signal(signal_mapping(f"s-{number}", bars=feed("mappings", 120, number)))
    entries = store.next_pending(1_000)
    assert [entry.signal_id for entry in entries] == [f"s-{n}" for n in range(MOST_AHEAD + 10)]
    await reader.ahead(entries)
    assert turns >= 2 * len(entries)
    assert len(reader._ahead) <= MOST_AHEAD
    assert store.get_statistics()["pending"] == len(entries)
    for entry in [entries[0], entries[-1]]:
        expected = Signal.from_mapping(entry.signal_id, entry.signal_data)
        assert await reader.read_in_turns(entry) == expected
        assert reader.read(entry) == expected
    last = entries[-2]
    other = QueuedSignal(last.signal_id, about(feed("rows", 60)), 0.0, 1)
    assert reader.read(other).bars == tuple(feed("bars", 60))
    assert [entry.signal_id for entry in store.take_pending(3)] == ["s-0", "s-1", "s-2"]
    store.requeue(["s-1"])
    assert [entry.signal_id for entry in store.next_pending(2)] == ["s-1", "s-3"]
