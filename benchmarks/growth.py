"""8. How cost grows: with the signals that wait, with the calls in flight, with the bars shown."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Generator
from typing import Any

from benchmarks import loops
from benchmarks.figures import compact, median, percentiles, spread
from benchmarks.outcome import Chart, Options, Outcome, Table, Verdict
from benchmarks.samples import signals
from benchmarks.sides import Postgres, instant_server, postgres, scratch
from benchmarks.turns import open_sides
from llm_integration import LLMConfig, Signal, SignalFormatter, SignalMemoryStore, TaskStatus
from llm_integration.domain import bars_in_pieces

__all__ = ["TITLE", "run"]

TITLE = "How cost grows"
WAITING = (10, 100, 1_000, 10_000)
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64)
LOOKBACK = (20, 50, 100, 200, 500)

Series = dict[int, list[float]]


def run(options: Options) -> Outcome:
    """Three curves."""
    return loops.run(_run(options))


async def _run(options: Options) -> Outcome:
    turns = options.pick(3, 1)
    async with instant_server() as server, postgres() as database:
        store = _store(options.pick(20, 2))
        waiting = await _pipeline(server, database, WAITING, turns, options, "waiting")
        in_flight = await _pipeline(server, database, IN_FLIGHT, turns, options, "in flight")
    lookback = _lookback(options.pick(5, 1), options.pick(500, 50))
    copied, piece = _copied(options.pick(3, 1), options.pick(60, 20))
    found: dict[str, Series] = {
        "store": store, "waiting": waiting["cpu"], "in_flight": in_flight["cpu"],
        "in_flight_rate": in_flight["rate"], "lookback": lookback,
        "copied": copied, "piece": piece,
    }  # fmt: skip
    return Outcome(
        "growth", TITLE, _tables(found), _verdicts(found), _charts(found),
        raw={name: {str(key): values for key, values in series.items()} for name, series in found.items()},
    )  # fmt: skip


def _store(turns: int) -> Series:
    """Microseconds to add, take and finish one more signal while so many wait already."""
    found: Series = {count: [] for count in WAITING}
    probe = 200
    for _ in range(turns):
        for count in WAITING:
            store = SignalMemoryStore(count + probe + 1)
            source = signals("store")
            for signal in itertools.islice(source, count):
                store.add_signal(signal)
            more = list(itertools.islice(source, probe))
            started = time.perf_counter()
            for signal in more:
                store.add_signal(signal)
                for entry in store.take_pending(1):
                    store.finish(entry.signal_id, TaskStatus.COMPLETED)
            found[count].append((time.perf_counter() - started) / probe * 1e6)
    return found


async def _pipeline(
    server: str, database: Postgres, points: tuple[int, ...], turns: int, options: Options, what: str
) -> dict[str, Series]:
    """CPU milliseconds per signal of the whole job, and signals per second."""
    found: dict[str, Series] = {"cpu": {}, "rate": {}}
    for point in points[:: options.pick(1, 3)]:
        concurrency = point if what == "in flight" else 8
        count = options.pick(500, 50) if what == "in flight" else point
        repeats = max(1, 300 // count) if what == "waiting" else 1
        with scratch() as folder:
            async with open_sides(
                ("sidecar",), server, database, folder, [], concurrency=concurrency
            ) as sides:
                one = sides["sidecar"]
                await one.ask("burst", count=200)
                for _ in range(1 if count > 5_000 else turns):
                    answers = [await one.ask("burst", count=count) for _ in range(repeats)]
                    total = count * repeats
                    found["cpu"].setdefault(point, []).append(sum(a["cpu"] for a in answers) / total * 1000)
                    found["rate"].setdefault(point, []).append(total / sum(a["wall"] for a in answers))
    return found


def _lookback(turns: int, count: int) -> Series:
    """Microseconds to write the prompt of one signal, each on the bar after the one before."""
    found: Series = {bars: [] for bars in LOOKBACK}
    for _ in range(turns):
        for bars in LOOKBACK:
            formatter = SignalFormatter(LLMConfig(lookback_periods=bars))
            items = itertools.islice(signals("look", bars), count)
            ready = [Signal.from_mapping(item["signal_id"], item["signal_data"]) for item in items]
            formatter.format_signal_data(ready[0])
            started = time.perf_counter()
            for signal in ready:
                formatter.format_signal_data(signal)
            found[bars].append((time.perf_counter() - started) / count * 1e6)
    return found


def _copied(turns: int, count: int) -> tuple[Series, Series]:
    """The same with bars copied for every signal, in pieces as the worker does it: the whole, the longest.

    Microseconds of CPU, from the host's mapping to the prompt.
    """
    whole: Series = {bars: [] for bars in LOOKBACK}
    longest: Series = {bars: [] for bars in LOOKBACK}
    for _ in range(turns):
        for bars in LOOKBACK:
            formatter = SignalFormatter(LLMConfig(lookback_periods=bars))
            ready = []
            for item in itertools.islice(signals("copied", bars), count):
                data = item["signal_data"]
                copies = [{**bar._asdict(), "timestamp": bar.timestamp.isoformat()} for bar in data["bars"]]
                ready.append({**item, "signal_data": {**data, "bars": copies}})
            _one_copied(formatter, ready[0])
            gc.collect()
            gc.freeze()
            pieces = [_one_copied(formatter, item) for item in ready[1:]]
            gc.unfreeze()
            whole[bars].append(sum(map(sum, pieces)) / len(pieces))
            longest[bars].append(percentiles([max(one) for one in pieces])["p99"])
    return whole, longest


def _one_copied(formatter: SignalFormatter, item: dict[str, Any]) -> list[float]:
    """Microseconds of CPU of each piece of work on one signal."""
    taken = []

    def piece(steps: Generator[None, None, Any]) -> Any:
        while True:
            started = time.thread_time()
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            finally:
                taken.append((time.thread_time() - started) * 1e6)

    known = piece(bars_in_pieces(item["signal_data"]["bars"]))
    started = time.thread_time()
    signal = Signal.from_mapping(item["signal_id"], {**item["signal_data"], "bars": known})
    taken.append((time.thread_time() - started) * 1e6)
    piece(formatter.read_ahead(signal))
    started = time.thread_time()
    formatter.format_signal_data(signal)
    taken.append((time.thread_time() - started) * 1e6)
    return taken


def _tables(found: dict[str, Series]) -> list[Table]:
    def rows(*names: str) -> list[list[Any]]:
        return [[str(key), *(spread(found[name][key]) for name in names)] for key in found[names[0]]]

    return [
        Table(
            "Signals waiting in memory",
            ["waiting", "store: us for one more, in and out", "whole job: CPU ms per signal"],
            [
                [str(key), spread(values), spread(found["waiting"].get(key, []))]
                for key, values in found["store"].items()
            ],
        ),
        Table(
            "Calls in flight",
            ["in flight", "CPU ms per signal", "signals/s"],
            rows("in_flight", "in_flight_rate"),
            "A server that answers at once: more calls in flight bring larger batches for PostgreSQL, not "
            "less waiting.",
        ),
        Table(
            "Bars of lookback",
            [
                "bars", "us to write one prompt", "bars copied as mappings: us of CPU to read and write",
                "the longest piece of that, p99",
            ],
            rows("lookback", "copied", "piece"),
            "Each signal is on the bar after the one before. A host that copies its bars for every signal "
            "has them read every time, some at a time, with a turn of the loop in between.",
        ),
    ]  # fmt: skip


def _verdicts(found: dict[str, Series]) -> list[Verdict]:
    store = {key: median(values) for key, values in found["store"].items()}
    look = {key: median(values) for key, values in found["lookback"].items()}
    flat, steep = store[WAITING[-1]] / store[WAITING[0]], look[LOOKBACK[-1]] / look[LOOKBACK[0]]
    return [
        Verdict(
            "one more signal with 10,000 waiting, against 10", "about the same", f"{compact(flat)}x",
            flat <= 2,
        ),
        Verdict("a prompt of 500 bars, against 20", "<= 25x", f"{compact(steep)}x", steep <= 25),
    ]  # fmt: skip


def _charts(found: dict[str, Series]) -> list[Chart]:
    def points(name: str) -> list[list[float]]:
        return [[float(key), median(values)] for key, values in found[name].items()]

    return [
        Chart(
            "waiting", "Signals waiting", "signals waiting", "microseconds per signal",
            {"store, in and out": points("store"),
             "whole job, CPU": [[x, y * 1000] for x, y in points("waiting")]}, log_x=True, log_y=True,
        ),
        Chart(
            "in_flight", "Calls in flight", "calls in flight", "signals per second",
            {"whole job": points("in_flight_rate")}, log_x=True,
        ),
        Chart(
            "lookback", "Bars of lookback", "bars", "microseconds per prompt",
            {"bars shared": points("lookback"), "bars copied": points("copied")},
        ),
    ]  # fmt: skip
