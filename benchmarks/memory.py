"""5. Memory: what a waiting signal takes, whether a million leave anything behind, what the import costs."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks import loops
from benchmarks.figures import compact, median, spread
from benchmarks.instant_server import GOOD_CONTENT
from benchmarks.outcome import Chart, Options, Outcome, Table, Verdict
from benchmarks.resident import rss_mib
from benchmarks.samples import bars, signal_data
from benchmarks.sides import ROOT, environment
from llm_integration import LLMConfig, LLMWorker, SignalMemoryStore
from llm_integration.llm_processor import Completion

__all__ = ["TITLE", "run"]

TITLE = "Memory and import"
QUEUED = 10_000
SHORTEST_FLOW_SECONDS, LONGEST_QUICK_FLOW_SECONDS = 60.0, 20.0
MARGIN_SECONDS = 7.0
"""For the last signals, for the bytes of those that wait, and for writing everything down."""
IMPORTS = {
    "the standard library's asyncio": "asyncio", "aiohttp": "aiohttp", "this library": "llm_integration",
    "openai": "openai", "instructor": "instructor, openai; instructor.from_openai", "litellm": "litellm",
}  # fmt: skip


def run(options: Options) -> Outcome:
    """Queued signals, a million signals through a worker, imports."""
    deadline = time.monotonic() + options.seconds
    skipped: list[str] = []
    imports = _imports(options, skipped)
    flow = loops.run(_flow(options, deadline - MARGIN_SECONDS))
    queued = _queued()
    per_signal = queued["bars shared, as a feed hands them out"]["bytes"]
    growth = flow["after"] - flow["early"]
    cold = median(imports["this library"]["first_seconds"])
    verdicts = [
        Verdict(
            "a queued signal of 20 bars, 10 indicators", "<= 2 KB", f"{compact(per_signal)} bytes",
            per_signal <= 2048,
        ),
        Verdict(
            f"resident memory over {flow['count']:,} signals", "flat",
            f"{growth:+.1f} MiB from the first tenth to the end",
            growth <= 8,
        ),
        Verdict("import, byte code cached", "<= 0.6 s", f"{compact(cold)} s", cold <= 0.6),
    ]  # fmt: skip
    chart = Chart(
        "memory", "Resident memory while signals are processed", "signals, thousands", "MiB",
        {"this sidecar": [[count / 1000, size] for count, size in flow["samples"]]},
    )  # fmt: skip
    tables = [_queue_table(queued), _flow_table(flow), _import_table(imports)]
    return Outcome("memory", TITLE, tables, verdicts, [chart], skipped,
                   {"queued": queued, "flow": flow, "imports": imports})  # fmt: skip


def _queued() -> dict[str, dict[str, float]]:
    """Bytes per waiting signal, by what its bars are."""

    def shared(at: int) -> dict[str, Any]:
        return signal_data(at)

    def own(at: int) -> dict[str, Any]:
        data = signal_data(at)
        return {
            **data,
            "bars": [(bar.timestamp.isoformat(), *map(_new_float, bar[1:])) for bar in data["bars"]],
        }

    def store(make: Callable[[int], dict[str, Any]]) -> SignalMemoryStore:
        kept = SignalMemoryStore(QUEUED)
        for number in range(QUEUED):
            at = 20 + number % (len(bars()) - 20)
            kept.add_signal({"signal_id": f"queued-{number}", "signal_data": make(at)})
        return kept

    found = {}
    for name, make in {
        "bars shared, as a feed hands them out": shared,
        "bars copied for every signal (a host that does)": own,
    }.items():
        bars()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = store(make)
        found[name] = {"bytes": (tracemalloc.get_traced_memory()[0] - before) / QUEUED}
        tracemalloc.stop()
        del kept
    return found


def _new_float(value: float) -> float:
    return value * 1.0000001


class _Model:
    """Answers at once, in this process."""

    async def complete(self, prompt: str, **_: Any) -> Completion:
        await asyncio.sleep(0)
        return Completion(GOOD_CONTENT, "stop", "asked/model", "served/model", "Provider", "gen-1", 1012, 81)

    def room(self) -> tuple[int, float]:
        return 1_000_000, 0.0

    def ready_in(self) -> float:
        return 0.0

    def stopped_reason(self) -> str | None:
        return None

    def statistics(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        """Nothing to close."""


async def _flow(options: Options, deadline: float) -> dict[str, Any]:
    """Signals through store, formatter, parser and worker; the model answers in this process.

    A million, or as many as there is time for until ``deadline``.
    """
    count, chunk = options.pick(1_000_000, 20_000), options.pick(20_000, 2_000)
    config = LLMConfig(base_url="http://127.0.0.1:1/v1", max_concurrency=16, max_memory_signals=1000)
    store = SignalMemoryStore(1000)
    worker = LLMWorker(config, store, processor=_Model())
    data = [signal_data(at) for at in range(20, 520)]
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    samples: list[tuple[int, float]] = []
    started = time.perf_counter()
    budget = max(SHORTEST_FLOW_SECONDS, deadline - time.monotonic())
    if options.quick:
        budget = LONGEST_QUICK_FLOW_SECONDS
    done = 0
    while done < count and time.perf_counter() - started < budget:
        for number in range(done, done + chunk, 500):
            for place in range(500):
                store.add_signal({"signal_id": f"flow-{number + place}", "signal_data": data[place]})
            if not await worker.drain(60):
                raise RuntimeError("the worker does not get on")
        done += chunk
        gc.collect()
        samples.append((done, rss_mib()))
    seconds = time.perf_counter() - started
    rated = worker.get_statistics()["rated"]
    await worker.stop(2)
    await running
    if rated != done:
        raise RuntimeError(f"{rated} of {done} signals were rated")
    early = samples[max(0, len(samples) // 10 - 1)][1]
    return {
        "count": done, "seconds": seconds, "samples": samples, "early": early, "after": samples[-1][1],
        "highest": max(size for _, size in samples),
    }  # fmt: skip


IMPORT = """
import json, sys, time
from benchmarks.resident import rss_mib
before = rss_mib()
started = time.perf_counter()
import {module}
seconds = time.perf_counter() - started
print(json.dumps([seconds, rss_mib() - before, len(sys.modules)]))
"""


def _imports(options: Options, skipped: list[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for _ in range(options.pick(3, 1)):
        for name, module in IMPORTS.items():
            one = _import(module)
            if one is None:
                reason = f"{name}: skipped, it cannot be imported here"
                if reason not in skipped:
                    skipped.append(reason)
                continue
            entry = found.setdefault(name, {"first_seconds": [], "mib": [], "modules": one[2]})
            entry["first_seconds"].append(one[0])
            entry["mib"].append(one[1])
    for name, module in IMPORTS.items():
        if name in found and (name.startswith("this") or (name == "aiohttp" and not options.quick)):
            found[name]["compiling_seconds"] = (_import(module, compiling=True) or [math.nan])[0]
    return found


def _import(module: str, *, compiling: bool = False) -> list[float] | None:
    """Seconds, MiB and modules of an import in a fresh process; ``compiling``: without cached byte code."""
    flags = ["-X", "pycache_prefix=/nonexistent"] if compiling else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", IMPORT.format(module=module)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    values: list[float] | None = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    return values


def _queue_table(found: dict[str, dict[str, float]]) -> Table:
    return Table(
        f"Bytes per waiting signal of 20 bars and 10 indicators ({QUEUED:,} signals)",
        ["what is handed over", "bytes"],
        [[name, compact(values["bytes"])] for name, values in found.items()],
        "Everything allocated for it, the host's own dictionary of the signal included. add_signal keeps "
        "what it is given and "
        "copies nothing, so bars that many signals have in common exist once.",
    )


def _flow_table(flow: dict[str, Any]) -> Table:
    return Table(
        "Resident memory over the signals processed",
        ["signals", "after the first tenth, MiB", "highest, MiB", "at the end, MiB", "signals/s"],
        [
            [
                f"{flow['count']:,}",
                *(compact(flow[name]) for name in ("early", "highest", "after")),
                compact(flow["count"] / flow["seconds"]),
            ]
        ],
        "Store, formatter, parser and worker, with a model that answers in the same process: a million "
        "calls over HTTP with "
        "PostgreSQL would take longer than all the benchmarks together.",
    )  # fmt: skip


def _import_table(found: dict[str, dict[str, Any]]) -> Table:
    return Table(
        "Import in a fresh process",
        [
            "package", "seconds, byte code cached", "seconds, compiling everything", "memory added, MiB",
            "modules",
        ],
        [
            [
                name, spread(one["first_seconds"]), compact(one.get("compiling_seconds", math.nan)),
                spread(one["mib"]), int(one["modules"]),
            ]
            for name, one in found.items()
        ],
    )  # fmt: skip
