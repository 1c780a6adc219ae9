"""Results in a format of your own, here JSON lines in the place of the CSV files.

OPENROUTER_API_KEY=sk-or-v1-... python examples/own_sink.py
"""

import asyncio
from pathlib import Path

from json_lines import JsonLinesSink

from llm_integration import LLMConfig, Sidecar


async def main() -> None:
    config = LLMConfig()
    async with Sidecar(config, sinks=[JsonLinesSink(Path("ratings.jsonl"))]) as sidecar:
        sidecar.add_signal({"signal_id": "ES-1", "signal_data": {
            "timestamp": "2026-01-05T10:00:00Z", "symbol": "ES", "signal_type": "BUY",
            "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
        }})  # fmt: skip
        await sidecar.drain(config.drain_timeout_seconds)  # your trading loop goes here


asyncio.run(main())
