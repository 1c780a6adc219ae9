"""The process that a soak watches: a host with everything real in it, and an account of itself at the end.

Reads one JSON object from its standard input, prints one when it ends. It is run with ``-W error -X dev``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from database import DatabaseManager, Outbox
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.budget import key_fingerprint
from llm_integration.domain import LLMAnalysis
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.record.ledger import PostgresLedger
from tests.unit.worker_parts import signal_mapping

WARM_UP = 0.2
"""Share of the signals after which memory must not grow any more."""
MOST_WAITING = 500
BARS = [[f"2026-01-05T{hour:02}:00:00+00:00", 1.1, 1.2, 1.0, 1.15, 100.0] for hour in range(9)]


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Host:
    """Hands signals over at a steady rate and counts what comes back."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.delivered = bytearray(order["signals"])  # its own memory must not grow either
        self.statuses: Counter[str] = Counter()
        self.memory: list[int] = []
        self.tasks: list[int] = []
        self.longest_bar = 0.0

    async def on_analysis(self, analysis: LLMAnalysis) -> None:
        """A callback of the host's."""
        self.delivered[int(analysis.signal_id.rpartition("-")[2])] += 1
        self.statuses[analysis.status.value] += 1

    async def trade(self, store: SignalMemoryStore, worker: LLMWorker) -> None:
        """A trading loop: a signal now and then, and a look at how long its own turns take."""
        count, pause = self.order["signals"], 1.0 / self.order["per_second"]
        loop = asyncio.get_running_loop()
        due = loop.time()
        for number in range(count):
            while worker.unwritten + store.get_statistics()["pending"] > MOST_WAITING:
                await asyncio.sleep(0.05)
                due = loop.time()
            store.add_signal(signal_mapping(f"soak-{number}", bars=BARS, indicators={"rsi": number % 100}))
            if number % max(1, count // 50) == 0:
                gc.collect()
                self.memory.append(resident_bytes())
                self.tasks.append(len(asyncio.all_tasks()))
            due += pause
            before = loop.time()
            await asyncio.sleep(max(0.0, due - before))
            self.longest_bar = max(self.longest_bar, loop.time() - max(due, before))

    async def run(self) -> dict[str, Any]:
        """Everything, from set-up to clean-up; what there is to tell."""
        order, started = self.order, time.monotonic()
        config = LLMConfig(
            base_url=order["base_url"], csv_output_directory=order["output"],
            requests_per_minute=1_000_000, tokens_per_minute=10_000_000_000, max_memory_signals=2_000,
            memory_retention_minutes=0.5, cleanup_interval_minutes=0.1, max_concurrency=32, max_retries=8,
        )  # fmt: skip
        store, exporter = SignalMemoryStore(2_000, 0.5), LLMCSVExporter(config)
        async with DatabaseManager(order["url"]) as db:
            catalogue = ModelCatalogue(config.base_url, cache_folder=None)
            key = config.api_key.get_secret_value() if config.api_key else None
            ledger = PostgresLedger(
                db.connections, config.budgets, catalogue,
                key_fingerprint=key_fingerprint(key, config.base_url), worker_id="soak",
            )  # fmt: skip
            outbox = Outbox(order["outbox"], target=db.address, worker_id="soak")
            worker = LLMWorker(
                config, store, db, exporter, outbox=outbox, worker_id="soak", catalogue=catalogue,
                processor=LLMProcessor(config, guard=ledger, catalogue=catalogue),
            )  # fmt: skip
            worker.subscribe(self.on_analysis)
            tasks = [asyncio.create_task(worker.run()), asyncio.create_task(ledger.run())]
            await self.trade(store, worker)
            drained = await worker.drain(300)
            await worker.stop(10)
            await asyncio.to_thread(exporter.close)
            await ledger.close(5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await asyncio.to_thread(outbox.close)
            crashes = worker.get_statistics()["crashes"]
        await asyncio.sleep(0.5)
        return {
            "seconds": time.monotonic() - started,
            "drained": drained,
            "delivered": sum(count > 0 for count in self.delivered),
            "delivered_twice": sum(count - 1 for count in self.delivered if count > 1),
            "statuses": dict(self.statuses),
            "crashes": crashes,
            "memory_mib": [round(size / 2**20, 1) for size in self.memory],
            "tasks": self.tasks,
            "tasks_left": [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}],
            "threads_left": [
                t.name for t in threading.enumerate() if not t.name.startswith(("Main", "asyncio_"))
            ],
            "longest_wait_ms": self.longest_bar * 1000,
        }  # fmt: skip


def main() -> None:
    """Run what standard input says."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    order = json.loads(sys.stdin.read())
    report = asyncio.run(Host(order).run())
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
