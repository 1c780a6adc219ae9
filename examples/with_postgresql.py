"""Signals and results in PostgreSQL; what waits for it is on disk too, and the next run brings it in.

DATABASE_URL=postgresql://localhost/trading OPENROUTER_API_KEY=sk-or-v1-... python examples/with_postgresql.py
"""

import asyncio
import os

from database import DatabaseManager, Leftovers, Outbox
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker, SignalMemoryStore

OUTBOX = ".tradent/outbox"


async def main() -> None:
    config, store = LLMConfig(), SignalMemoryStore()
    database = DatabaseManager(os.environ["DATABASE_URL"])  # may be away: every call tries again
    outbox = Outbox(OUTBOX, target=database.address)
    leftovers = Leftovers(OUTBOX, database, target=database.address, worker_id=f"outbox {os.getpid()}")
    exporter = LLMCSVExporter(config)
    worker = LLMWorker(config, store, database, exporter, outbox=outbox)
    running = asyncio.create_task(worker.run())
    bringing_in = asyncio.create_task(leftovers.run())
    try:
        store.add_signal({"signal_id": "ES-1", "signal_data": {
            "timestamp": "2026-01-05T10:00:00Z", "symbol": "ES", "signal_type": "BUY",
            "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
        }})  # fmt: skip
        await worker.drain(config.drain_timeout_seconds)  # your trading loop goes here
        if not worker.unwritten:
            print(await database.get_enhanced_signal_data("ES-1"))
    finally:
        await worker.stop(10)
        bringing_in.cancel()
        await asyncio.wait([running, bringing_in], timeout=5)
        await asyncio.to_thread(exporter.close)
        await asyncio.to_thread(outbox.close)
        await database.close()


asyncio.run(main())
