"""1. Handover: what the trading loop itself pays for each signal."""

from __future__ import annotations

import itertools
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import compact, percentiles, spread
from benchmarks.outcome import Options, Outcome, Table, Verdict
from benchmarks.samples import DATA, signals
from llm_integration import Signal, SignalMemoryStore
from main_with_database import TradingSystem, load
from trading.command_line import build_parser

__all__ = ["TITLE", "run"]

TITLE = "Handover"
CHUNK = 10_000
"""Signals per turn; every turn of a side starts with an empty store."""

Item = dict[str, Any]
Side = Callable[[], Callable[[Item], object]]


def run(options: Options) -> Outcome:
    """A million signals through each side, in turns."""
    turns = options.pick(100, 3)
    sides: dict[str, Side] = {
        "the timer itself": _nothing,
        "dict and deque under an RLock": _by_hand,
        "add_signal": _store,
        "_handle_new_signal up to PostgreSQL": _host,
    }
    times: dict[str, array[int]] = {name: array("q") for name in sides}
    medians: dict[str, list[float]] = {name: [] for name in sides}
    items = list(itertools.islice(signals("handover"), CHUNK))
    parsed = [_as_signal(item) for item in items]
    for _ in range(turns):
        for name, make in sides.items():
            taken = _timed(make(), parsed if name.startswith("_handle") else items)
            times[name].extend(taken)
            medians[name].append(sorted(taken)[len(taken) // 2] / 1000)
    return _outcome({name: percentiles([t / 1000 for t in values]) for name, values in times.items()},
                    medians, turns * CHUNK)  # fmt: skip


def _timed(hand_over: Callable[[Item], object], items: list[Item]) -> array[int]:
    clock = time.perf_counter_ns
    taken = array("q", bytes(8 * len(items)))
    for index, item in enumerate(items):
        started = clock()
        hand_over(item)
        taken[index] = clock() - started
    return taken


def _outcome(figures: dict[str, dict[str, float]], medians: dict[str, list[float]], count: int) -> Outcome:
    table = Table(
        f"Microseconds per signal, {count:,} signals a side",
        ["side", "p50", "p99", "p99.9", "max", "p50 of the turns (range)"],
        [
            [name, *(compact(f[point]) for point in ("p50", "p99", "p99.9", "max")), spread(medians[name])]
            for name, f in figures.items()
        ],
        "Wall-clock time, the timer's own time included. The garbage collector runs as in any process; a "
        "maximum in "
        "milliseconds is the operating system giving the core to somebody else, and the timer alone has "
        "it too.",
    )
    add = figures["add_signal"]
    met = add["p50"] <= 3 and add["p99.9"] <= 50
    verdict = Verdict(
        "add_signal", "p50 <= 3 us, p99.9 <= 50 us",
        f"p50 {compact(add['p50'])} us, p99.9 {compact(add['p99.9'])} us", met,
    )  # fmt: skip
    return Outcome("handover", TITLE, [table], [verdict], raw={"us": figures, "turn_medians_us": medians})


def _nothing() -> Callable[[Item], object]:
    return lambda item: None


def _by_hand() -> Callable[[Item], object]:
    lock, entries, order = threading.RLock(), dict[str, Item](), deque[str]()

    def add(item: Item) -> None:
        with lock:
            entries[item["signal_id"]] = item["signal_data"]
            order.append(item["signal_id"])

    return add


def _store() -> Callable[[Item], object]:
    return SignalMemoryStore(max_signals=CHUNK).add_signal


class _PostgresAtOnce:
    """In place of the recorder: what lies behind it is PostgreSQL's time, not ours."""

    async def record_signal(self, signal: Signal) -> bool:
        return True


def _host() -> Callable[[Item], object]:
    settings = load(build_parser().parse_args(["--data", str(DATA), "--no-dashboard"]))
    system: Any = TradingSystem(settings)
    sidecar = system.sidecar
    sidecar.memory_store = SignalMemoryStore(max_signals=CHUNK)
    sidecar._parts = SimpleNamespace(
        recording=SimpleNamespace(recorder=_PostgresAtOnce()), answered=(),
        rating=SimpleNamespace(off_reason=None),
    )  # fmt: skip

    def handle(item: Item) -> None:
        work: Coroutine[Any, Any, None] = system._handle_new_signal(item["signal"])
        try:
            work.send(None)
        except StopIteration:
            return
        raise RuntimeError("_handle_new_signal waits for something else than PostgreSQL")

    return handle


def _as_signal(item: Item) -> Item:
    return {"signal": Signal.from_mapping(item["signal_id"], item["signal_data"])}
