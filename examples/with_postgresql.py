"""Signals and results in PostgreSQL; what waits for it is on disk too, and the next run brings it in.

DATABASE_URL=postgresql://localhost/trading OPENROUTER_API_KEY=sk-or-v1-... python examples/with_postgresql.py
"""

import asyncio
import os

from database import DatabaseManager
from llm_integration import LLMConfig, Sidecar


async def main() -> None:
    config, url = LLMConfig(), os.environ["DATABASE_URL"]
    # The name of the session is yours: the next run of that name answers what this one leaves.
    async with Sidecar(config, database_url=url, session="example") as sidecar:
        sidecar.add_signal({"signal_id": "ES-1", "signal_data": {
            "timestamp": "2026-01-05T10:00:00Z", "symbol": "ES", "signal_type": "BUY",
            "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
        }})  # fmt: skip
        await sidecar.drain(config.drain_timeout_seconds)  # your trading loop goes here
    async with DatabaseManager(url) as database:
        print(await database.get_enhanced_signal_data("ES-1"))


asyncio.run(main())
